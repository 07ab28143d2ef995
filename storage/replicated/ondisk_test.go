package replicated

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestOnDisk: nothing counts as durable before it was flushed, and all does then.
func TestOnDisk(t *testing.T) {
	disk := memdisk.New()
	r, err := openReplica(disk, storage.K("kv", "svc", "main"), rand.Uint64, noPause)
	require.NoError(t, err)
	defer r.close()
	put := func(key storage.Key, value string) storage.Write {
		return storage.Write{Key: key, Value: []byte(value)}
	}
	_, err = r.commit(writesOf(put(storage.K("a", "1"), "one"), put(storage.K("a", "2"), "two"), put(storage.K("ab"), "no"), put(storage.K("b"), "gone")))
	require.NoError(t, err)
	require.NoError(t, r.save())
	require.Empty(t, OnDisk(disk, "svc", "main", ""))
	disk.Flush(func(err error) { require.NoError(t, err) })
	require.Equal(t, []storage.Entry{{Key: storage.K("a", "1"), Value: []byte("one")}, {Key: storage.K("a", "2"), Value: []byte("two")}}, OnDisk(disk, "svc", "main", storage.K("a")))
	require.Len(t, OnDisk(disk, "svc", "main", ""), 4)

	_, err = r.commit(writesOf(put(storage.K("a-b"), "beside"), put(storage.K("a"), "above")))
	require.NoError(t, err)
	require.NoError(t, r.save())
	disk.Flush(func(err error) { require.NoError(t, err) })
	var keys []storage.Key
	for _, e := range OnDisk(disk, "svc", "main", "") {
		keys = append(keys, e.Key)
	}
	require.Equal(t, []storage.Key{"/a", "/a/1", "/a/2", "/a-b", "/ab", "/b"}, keys, "in the order of keys, not of bytes")
	require.Empty(t, OnDisk(disk, "svc", "other", ""))

	_, err = r.commit(writesOf(storage.Write{Key: storage.K("b"), Delete: true}))
	require.NoError(t, err)
	require.NoError(t, r.save())
	require.Len(t, OnDisk(disk, "svc", "main", storage.K("b")), 1, "the deletion is not flushed")
	disk.Flush(func(err error) { require.NoError(t, err) })
	require.Empty(t, OnDisk(disk, "svc", "main", storage.K("b")))
}

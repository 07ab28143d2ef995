package storage

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage/memdisk"
)

// TestOnDisk: nothing counts as durable before it was flushed, and all does then.
func TestOnDisk(t *testing.T) {
	disk := memdisk.New()
	r, err := openReplica(disk, K("kv", "svc", "main"), rand.Uint64, noPause)
	require.NoError(t, err)
	defer r.close()
	put := func(key Key, value string) write { return write{key: key, value: []byte(value)} }
	_, err = r.commit(writesOf(put(K("a", "1"), "one"), put(K("a", "2"), "two"), put(K("ab"), "no"), put(K("b"), "gone")))
	require.NoError(t, err)
	require.NoError(t, r.save())
	require.Empty(t, ReplicaOnDisk(disk, "svc", "main", ""))
	disk.Flush(func(err error) { require.NoError(t, err) })
	require.Equal(t, []Entry{{K("a", "1"), []byte("one")}, {K("a", "2"), []byte("two")}}, ReplicaOnDisk(disk, "svc", "main", K("a")))
	require.Len(t, ReplicaOnDisk(disk, "svc", "main", ""), 4)
	require.Empty(t, ReplicaOnDisk(disk, "svc", "other", ""))

	_, err = r.commit(writesOf(write{key: K("b"), delete: true}))
	require.NoError(t, err)
	require.NoError(t, r.save())
	require.Len(t, ReplicaOnDisk(disk, "svc", "main", K("b")), 1, "the deletion is not flushed")
	disk.Flush(func(err error) { require.NoError(t, err) })
	require.Empty(t, ReplicaOnDisk(disk, "svc", "main", K("b")))

	store, err := openBlockStore(disk)
	require.NoError(t, err)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*chunkSize/16)
	sink := newBlockSink(nil)
	root, err := buildDAG(bytes.NewReader(content), sink)
	require.NoError(t, err)
	same, err := RootOf(content)
	require.NoError(t, err)
	require.Equal(t, root, same)
	require.NoError(t, store.put(sink.list))
	_, err = BlocksOnDisk(disk, root, len(content))
	require.ErrorIs(t, err, ErrNotFound)
	disk.Flush(func(err error) { require.NoError(t, err) })
	got, err := BlocksOnDisk(disk, root, len(content))
	require.NoError(t, err)
	require.Equal(t, content, got)
	_, err = BlocksOnDisk(disk, root, len(content)-1)
	require.ErrorIs(t, err, ErrTooLarge)

	leaf := sink.list[0].cid
	spoilt := bytes.Clone(sink.list[0].raw)
	spoilt[7] ^= 1
	require.NoError(t, disk.Put(context.Background(), blockKey(leaf), spoilt))
	_, err = BlocksOnDisk(disk, root, len(content))
	require.NoError(t, err, "what was overwritten was not flushed")
	disk.Flush(func(err error) { require.NoError(t, err) })
	_, err = BlocksOnDisk(disk, root, len(content))
	require.ErrorIs(t, err, ErrCorrupt)
	require.NoError(t, disk.Delete(context.Background(), datastore.RawKey(blockKey(leaf).String())))
}

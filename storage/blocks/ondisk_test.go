package blocks

import (
	"bytes"
	"context"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestBlocksOnDisk: nothing counts as durable before it was flushed, and all does then.
func TestBlocksOnDisk(t *testing.T) {
	disk := memdisk.New()
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
	_, err = OnDisk(disk, root, len(content))
	require.ErrorIs(t, err, storage.ErrNotFound)
	disk.Flush(func(err error) { require.NoError(t, err) })
	got, err := OnDisk(disk, root, len(content))
	require.NoError(t, err)
	require.Equal(t, content, got)
	_, err = OnDisk(disk, root, len(content)-1)
	require.ErrorIs(t, err, storage.ErrTooLarge)

	leaf := sink.list[0].cid
	spoilt := bytes.Clone(sink.list[0].raw)
	spoilt[7] ^= 1
	require.NoError(t, disk.Put(context.Background(), blockKey(leaf), spoilt))
	_, err = OnDisk(disk, root, len(content))
	require.NoError(t, err, "what was overwritten was not flushed")
	disk.Flush(func(err error) { require.NoError(t, err) })
	_, err = OnDisk(disk, root, len(content))
	require.ErrorIs(t, err, storage.ErrCorrupt)
	require.NoError(t, disk.Delete(context.Background(), datastore.RawKey(blockKey(leaf).String())))
}

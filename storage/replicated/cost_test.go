package replicated

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestWhatAnEntryCosts bounds what one more replica of a process pays for an entry,
// in the index, the tail and on its disk: keys, values, deltas and what lies on the
// disks are in memory once.
func TestWhatAnEntryCosts(t *testing.T) {
	const entries, readers, bytesMax = 2000, 8, 250
	cost := func(readers int) int64 {
		w := newReplica(t, memdisk.New())
		defer w.close()
		before := heapInUse()
		disks := make([]*memdisk.Disk, readers)
		list := make([]*testReplica, readers)
		for n := range list {
			disks[n] = memdisk.New()
			list[n] = newReplica(t, disks[n])
			defer list[n].close()
		}
		for i := range entries {
			k := storage.K("claims", fmt.Sprintf("bafkreiexample%039d%06d", readers, i), fmt.Sprintf("%052d", i%50))
			d, err := w.commit(put(k, "what a hoarder says of an item"))
			require.NoError(t, err)
			for _, r := range list {
				require.NoError(t, r.ingest([][]byte{d.raw}))
				require.Nil(t, r.crdt, "taken over")
			}
		}
		for _, d := range disks {
			require.NoError(t, d.FlushUpTo(d.Writes()))
		}
		now := heapInUse()
		runtime.KeepAlive(list)
		return now - before
	}
	alone := cost(0)
	perEntry := (cost(readers) - alone) / entries / readers
	t.Logf("%d bytes for each entry of a replica", perEntry)
	require.Less(t, perEntry, int64(bytesMax))
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

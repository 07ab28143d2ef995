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
	const few, many, readers, bytesMax = 300, 1500, 8, 450
	cost := func(readers, entries int) int64 {
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
			k := storage.K("claims", fmt.Sprintf("bafkreiexample%035d%04d%06d", entries, readers, i), fmt.Sprintf("%052d", i%50))
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
	cost(readers, many) // what a process needs once, such as tables that have grown
	more := func(readers int) int64 { return cost(readers, many) - cost(readers, few) }
	alone := more(0)
	perEntry := (more(readers) - alone) / (many - few) / readers
	t.Logf("%d bytes for each entry of a replica, %d for the entry", perEntry, alone/(many-few))
	require.Less(t, perEntry, int64(bytesMax))
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

package pebbledisk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
)

// batchesEach is how many batches a writer writes.
const batchesEach = 400

// writer writes numbered batches and syncs them.
type writer struct {
	id     int
	synced atomic.Int64 // how many are acknowledged
}

// valueOf is what writer w writes with number n: one in eight goes to a file beside the tree.
func valueOf(w, n int) []byte {
	size := 100
	if (w+n)%8 == 0 {
		size = separateMin + n
	}
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(w + n + i)
	}
	return value
}

func writtenKey(w, n int, part string) datastore.Key {
	return datastore.RawKey(fmt.Sprintf("/%d/%06d/%s", w, n, part))
}

func (w *writer) run(d storage.Disk) error {
	ctx := context.Background()
	for n := range batchesEach {
		b, err := d.Batch(ctx)
		if err != nil {
			return err
		}
		_ = b.Put(ctx, writtenKey(w.id, n, "a"), valueOf(w.id, n))
		_ = b.Put(ctx, writtenKey(w.id, n, "b"), nil)
		if err := b.Commit(ctx); err != nil {
			return err
		}
		if n%3 != 0 && n < batchesEach-1 {
			continue
		}
		done := make(chan error, 1)
		d.Flush(func(err error) { done <- err })
		if err := <-done; err != nil {
			return err
		}
		w.synced.Store(int64(n + 1))
	}
	return nil
}

// TestPowerCuts: at any moment, also while memtables are written out and levels compacted, a power cut
// leaves all that was acknowledged, and of each writer's batches the first ones, each of them whole.
func TestPowerCuts(t *testing.T) {
	const cuts = 20
	fs := vfs.NewCrashableMem()
	c := openCut(t, fs)
	var ended sync.WaitGroup
	writers := make([]*writer, 4)
	for i := range writers {
		w := &writer{id: i}
		writers[i] = w
		ended.Go(func() {
			if err := w.run(c); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range cuts {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		until := int64((i + 1) * batchesEach / cuts * 9 / 10)
		for until -= r.Int64N(10); writers[i%len(writers)].synced.Load() < until && !t.Failed(); {
			runtime.Gosched()
		}
		synced := make([]int, len(writers)) // looked at before the cut
		for i, w := range writers {
			synced[i] = int(w.synced.Load())
		}
		left := openCut(t, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: (i % 4) * 33, RNG: r}))
		for w := range writers {
			checkPrefix(t, left, w, synced[w])
		}
		require.NoError(t, left.Close())
	}
	ended.Wait()
	m := c.db.Metrics()
	require.Positive(t, m.Flush.Count, "memtables were written out meanwhile")
	require.Positive(t, m.Compact.Count, "and levels compacted")
	require.Positive(t, m.BlobFiles.LiveCount, "and values written beside them")
}

// checkPrefix expects at least so many batches of a writer, without a gap.
func checkPrefix(t *testing.T, d storage.Disk, w, atLeast int) {
	results, err := d.Query(context.Background(), query.Query{Prefix: fmt.Sprintf("/%d", w)})
	require.NoError(t, err)
	entries, err := results.Rest()
	require.NoError(t, err)
	require.NoError(t, results.Close())
	require.GreaterOrEqual(t, len(entries), 2*atLeast, "what writer %d was told is durable is lost", w)
	require.Zero(t, len(entries)%2, "half a batch")
	for i, e := range entries {
		n, part, value := i/2, "a", []byte{}
		if i%2 == 1 {
			part = "b"
		} else {
			value = valueOf(w, n)
		}
		require.Equal(t, writtenKey(w, n, part).String(), e.Key)
		require.Equal(t, value, e.Value, e.Key)
	}
}

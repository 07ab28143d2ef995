package blocks_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/storage/internal/filedisk"
	"github.com/taucloud/tau/transport"
)

// nodeMemoryMax is through how much memory content of any size passes, in bytes of
// heap in use.
const nodeMemoryMax = 64 << 20

// TestAnySizePassesThroughLittleMemory: half a gigabyte is added from a reader,
// fetched by another node and read there, while the heap of both together stays
// within what each of them may take.
func TestAnySizePassesThroughLittleMemory(t *testing.T) {
	if testing.Short() || clustertest.UnderRace {
		t.Skip("moves half a gigabyte")
	}
	passThrough(t, 512<<20)
}

// BenchmarkAnySize does the same with 2 GiB.
func BenchmarkAnySize(b *testing.B) {
	const size = 2 << 30
	b.SetBytes(size)
	for b.Loop() {
		b.ReportMetric(float64(passThrough(b, size))/(1<<20), "MiB-heap")
	}
}

// passThrough returns the most heap that was in use.
func passThrough(t testing.TB, size int64) uint64 {
	// The collector lets garbage gather until it is as much as what lives. A node
	// that has little memory says so, as is done here.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(nodeMemoryMax))
	a, b := newNode(t, 0, filedisk.New(t)), newNode(t, 1, filedisk.New(t))
	require.NoError(t, b.host.Learn(a.host.Addrs()[0]))
	runtime.GC()
	most := sampleHeap(t)
	root := a.add(t, noise(size, 1))
	added := most()
	b.do(t, func(ctx context.Context) error {
		return b.store.Fetch(ctx, root, []transport.Peer{a.peer}, 2*size)
	})
	fetched := most()
	require.Equal(t, size, b.read(t, root))
	read := most()
	t.Logf("heap in MiB: added %d, fetched %d, read %d", added>>20, fetched>>20, read>>20)
	require.Less(t, max(added, fetched, read), uint64(nodeMemoryMax))
	return max(added, fetched, read)
}

// sampleHeap looks at the heap every 5 ms until the test ends. The function that it
// returns says the most since it was last called.
func sampleHeap(t testing.TB) (most func() uint64) {
	var seen atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				seen.Store(max(seen.Load(), m.HeapInuse))
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return func() uint64 { return seen.Swap(0) }
}

package dreamland

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A world that has grown large gives the collector a thread, a small one does not.
func TestLargeHeapsAreCollectedBeside(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("there is one processor only")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stop := giveCollectorThread(time.Millisecond, 1<<50)
	time.Sleep(50 * time.Millisecond)
	stop()
	require.Equal(t, 1, runtime.GOMAXPROCS(0))

	runtime.GC()
	defer giveCollectorThread(time.Millisecond, 1)()
	require.Eventually(t, func() bool { return runtime.GOMAXPROCS(0) == 2 }, time.Minute, time.Millisecond)
}

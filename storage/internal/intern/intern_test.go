package intern

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type text struct{ s string }

func TestEqualValuesAreSharedAndGo(t *testing.T) {
	table := New(func(a, b *text) bool { return *a == *b })
	a := table.Get(1, &text{"a"})
	require.Same(t, a, table.Get(1, &text{"a"}))
	b := table.Get(1, &text{"b"})
	require.Equal(t, "b", b.s, "of the same hash, and not equal")
	require.NotSame(t, b, table.Get(1, &text{"b"}))
	for i := range uint64(1000) {
		table.Get(i+2, &text{"short-lived"})
	}
	for deadline := time.Now().Add(10 * time.Second); table.Len() > 1 && time.Now().Before(deadline); {
		runtime.GC()
		runtime.Gosched()
	}
	require.Equal(t, 1, table.Len())
	require.Same(t, a, table.Get(1, &text{"a"}))
	runtime.KeepAlive(a)
}

// TestWhatIsHeldStays, also when somebody says that the one before it is gone.
func TestWhatIsHeldStays(t *testing.T) {
	table := New(func(a, b *text) bool { return *a == *b })
	a := table.Get(1, &text{"a"})
	table.shards[1].forget(1)
	require.Equal(t, 1, table.Len())
	require.Same(t, a, table.Get(1, &text{"a"}))
	table.shards[2].forget(2)
	require.Equal(t, 1, table.Len())
	runtime.KeepAlive(a)
}

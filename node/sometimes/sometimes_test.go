package sometimes

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var second, first = Register("z/second", "b"), Register("a/first", "a")

func TestMarksAreCountedWhileSomebodyCounts(t *testing.T) {
	counting.Store(false) // as in a process that has just begun
	for _, m := range []*Mark{first, second} {
		m.count.Store(0)
	}
	first.Hit()
	require.Empty(t, Hits(), "nobody counts yet")
	Count()
	first.Hit()
	first.HitIf(true)
	second.HitIf(false)
	require.Equal(t, map[string]int{"a/first": 2}, Hits())
	Count()
	require.Empty(t, Hits())
	require.Equal(t, []*Mark{first, second}, Marks())
	require.Equal(t, "a/first a", first.Name()+" "+first.Doc())
	require.Panics(t, func() { Register("a/first", "") })
	require.Zero(t, testing.AllocsPerRun(100, first.Hit))
}

// BenchmarkHit is what a mark costs where nobody counts.
func BenchmarkHit(b *testing.B) {
	counting.Store(false)
	for b.Loop() {
		first.Hit()
	}
}

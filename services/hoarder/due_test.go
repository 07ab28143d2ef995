package hoarder

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestDueQueue compares the queue with a sorted list, while items are moved,
// taken out and forgotten.
func TestDueQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := indexOf(t)
		want := map[string]time.Duration{}
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			root := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "root")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				at := now + time.Duration(rapid.IntRange(0, 9).Draw(t, "at"))
				x.due.set(x.get(root), at)
				want[root] = at
			case 2:
				x.due.remove(x.get(root))
				delete(want, root)
			case 3:
				x.forget(x.get(root))
				delete(want, root)
			case 4:
				now += time.Duration(rapid.IntRange(0, 9).Draw(t, "pass"))
				var due []string
				for it := x.due.pop(now); it != nil; it = x.due.pop(now) {
					due = append(due, it.root)
				}
				var expected []string
				for root, at := range want {
					if at <= now {
						expected = append(expected, root)
					}
				}
				slices.SortFunc(expected, func(a, b string) int {
					if want[a] != want[b] {
						return int(want[a] - want[b])
					}
					return int(a[0]) - int(b[0])
				})
				for _, root := range expected {
					delete(want, root)
				}
				require.Equal(t, expected, due)
			}
			for i, it := range x.list {
				require.Equal(t, int32(i), it.at)
				require.Same(t, it, x.items[it.root])
			}
		}
	})
}

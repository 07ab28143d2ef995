package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestEventHeapIsAPriorityQueue compares it with a sorted list.
func TestEventHeapIsAPriorityQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h eventHeap
		var list []*event
		ties := uint64(0)
		for range rapid.IntRange(0, 200).Draw(t, "operations") {
			pick := func() *event { return list[rapid.IntRange(0, len(list)-1).Draw(t, "which")] }
			switch op := rapid.IntRange(0, 5).Draw(t, "operation"); {
			case op <= 2 || len(list) == 0:
				ties++
				e := &event{at: rapid.Int64Range(0, 20).Draw(t, "at"), tie: ties * 0x9e3779b97f4a7c15, index: -1}
				h.push(e)
				list = append(list, e)
			case op == 3:
				e := pick()
				h.remove(e)
				require.Equal(t, -1, e.index)
				list = slices.DeleteFunc(list, func(o *event) bool { return o == e })
			case op == 4:
				e := pick()
				e.at = rapid.Int64Range(0, 20).Draw(t, "later")
				h.fix(e)
			default:
				first := slices.MinFunc(list, func(a, b *event) int {
					if a.before(b) {
						return -1
					}
					return 1
				})
				require.Same(t, first, h.pop())
				list = slices.DeleteFunc(list, func(o *event) bool { return o == first })
			}
			require.Len(t, h, len(list))
			for i, e := range h {
				require.Equal(t, i, e.index)
			}
		}
	})
}

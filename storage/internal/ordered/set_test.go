package ordered

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSet compares with a sorted slice, and its snapshots with copies of that.
func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, oracle := NewSet(cmp.Compare[int]), []int{}
		if rapid.Bool().Draw(t, "built") {
			for i := range rapid.IntRange(0, 2000).Draw(t, "len") {
				s.Append(2 * i)
				oracle = append(oracle, 2*i)
			}
		}
		var frozen []Snapshot[int]
		var copies [][]int
		item := rapid.IntRange(0, rapid.SampledFrom([]int{10, 5000}).Draw(t, "range"))
		for range rapid.IntRange(0, 1500).Draw(t, "steps") {
			i := item.Draw(t, "item")
			at, found := slices.BinarySearch(oracle, i)
			switch rapid.IntRange(0, 40).Draw(t, "action") {
			case 0:
				frozen, copies = append(frozen, s.Freeze()), append(copies, slices.Clone(oracle))
			case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
				require.Equal(t, found, s.Delete(i))
				if found {
					oracle = slices.Delete(oracle, at, at+1)
				}
			default:
				s.Insert(i)
				if !found {
					oracle = slices.Insert(oracle, at, i)
				}
			}
		}
		require.Equal(t, len(oracle), s.Len())
		from := item.Draw(t, "from")
		at, _ := slices.BinarySearch(oracle, from)
		rest := []int{}
		s.From(func(i int) bool { return i < from }, func(i int) bool {
			rest = append(rest, i)
			return true
		})
		require.Equal(t, append([]int{}, oracle[at:]...), rest)
		for i, f := range frozen {
			list := []int{}
			for j := range f.Len() {
				list = append(list, f.At(j))
			}
			require.Equal(t, append([]int{}, copies[i]...), list, "a snapshot does not change")
		}
	})
}

package shrink

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func subset(part, of []int) bool {
	return !slices.ContainsFunc(part, func(x int) bool { return !slices.Contains(of, x) })
}

// firstOf makes an oracle of a predicate.
func firstOf(fails func([]int) bool, runs *int) func([][]int) int {
	return func(candidates [][]int) int {
		for i, c := range candidates {
			*runs++
			if fails(c) {
				return i
			}
		}
		return -1
	}
}

// TestMinFindsWhatItTakes: where a failure takes some of the numbers and nothing
// hides it, exactly those are found.
func TestMinFindsWhatItTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		needed := rapid.SliceOfNDistinct(rapid.IntRange(0, max(n-1, 0)), 0, min(n, 6), rapid.ID[int]).Draw(t, "needed")
		slices.Sort(needed)
		runs := 0
		got := Min(n, firstOf(func(c []int) bool {
			require.True(t, slices.IsSorted(c))
			return subset(needed, c)
		}, &runs))
		require.True(t, slices.Equal(needed, got), "%v, not %v", got, needed)
		require.LessOrEqual(t, runs, 30+100*(len(needed)+1), "tries for %d of %d", len(needed), n)
	})
}

// TestMinIsMinimal: whatever the failure depends on, what is left fails, and does
// not without any one of it.
func TestMinIsMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		whole := 0
		fails := func(c []int) bool { // by lot, but for the whole
			if len(c) == n {
				whole++
				return true
			}
			h := seed
			for _, x := range c {
				h = (h ^ uint64(x+1)) * 1099511628211
			}
			return h>>33%3 == 0
		}
		runs := 0
		got := Min(n, firstOf(fails, &runs))
		require.True(t, fails(got))
		for i := range got {
			if len(got) > 1 {
				require.False(t, fails(slices.Delete(slices.Clone(got), i, i+1)), "without %d of %v", got[i], got)
			}
		}
		require.LessOrEqual(t, runs, n*n+3*n+2)
	})
}

func TestMinTable(t *testing.T) {
	for _, c := range []struct {
		n     int
		fails func([]int) bool
		want  []int
	}{
		{0, func([]int) bool { return true }, nil},
		{5, func([]int) bool { return true }, nil},
		{1, func(c []int) bool { return len(c) == 1 }, []int{0}},
		{8, func(c []int) bool { return slices.Contains(c, 7) }, []int{7}},
		{8, func(c []int) bool { return len(c) == 8 }, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{8, func(c []int) bool { return slices.Contains(c, 0) && slices.Contains(c, 7) }, []int{0, 7}},
	} {
		runs := 0
		require.Equal(t, c.want, Min(c.n, firstOf(c.fails, &runs)), "of %d", c.n)
	}
}

package hoarder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRarity(t *testing.T) {
	for _, c := range []struct {
		name           string
		demand         int64
		target, copies int
		size           int64
		want           int64
	}{
		{"complete", 5, 3, 3, 100, 0},
		{"in surplus", 5, 3, 4, 100, 0},
		{"one lacking", 1, 3, 2, 100, 64},
		{"two lacking", 1, 3, 1, 100, 128},
		{"demand multiplies", 10, 3, 1, 100, 1280},
		{"64 KiB counts half", 1, 3, 2, 64 << 10, 32},
		{"1 MiB counts a sixth", 1, 3, 2, 1 << 20, 10},
		{"unknown size is small", 1, 3, 2, 0, 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, rarity(c.demand, c.target, c.copies, c.size))
		})
	}
}

func TestRarityIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		demand := rapid.Int64Range(1, 1<<30).Draw(t, "demand")
		target := rapid.IntRange(1, 64).Draw(t, "target")
		copies := rapid.IntRange(0, target-1).Draw(t, "copies")
		size := rapid.Int64Range(0, 1<<40).Draw(t, "size")
		r := rarity(demand, target, copies, size)
		require.Positive(t, r)
		require.GreaterOrEqual(t, rarity(demand+1, target, copies, size), r)
		require.GreaterOrEqual(t, rarity(demand, target+1, copies, size), r)
		require.LessOrEqual(t, rarity(demand, target, copies+1, size), r)
		require.LessOrEqual(t, rarity(demand, target, copies, 2*size), r)
	})
}

func TestBetterCandidatesActFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		score := rapid.Int64Range(0, 1<<40).Draw(t, "score")
		lack := rapid.IntRange(1, 5).Draw(t, "lack")
		size := rapid.Int64Range(0, 1<<30).Draw(t, "size")
		draw := func(name string) float64 { return rapid.Float64Range(0, 0.999).Draw(t, name) }
		first := competeDelay(score, rapid.IntRange(0, lack-1).Draw(t, "ahead"), lack, size, draw("a"))
		require.Less(t, first, competeWithin)
		behind := rapid.IntRange(lack, 100).Draw(t, "behind")
		late := competeDelay(score, behind, lack, size, draw("b"))
		require.Greater(t, late, first, "who ranks behind gives those ahead time to fetch")
		require.Greater(t, competeDelay(score, behind+1, lack, size, draw("c")), late)
	})
}

func TestRareItemsAreFetchedSooner(t *testing.T) {
	require.Greater(t, competeDelay(64, 0, 1, 0, 0.5), competeDelay(64*8, 0, 1, 0, 0.5))
	require.Equal(t, time.Duration(0), competeDelay(64, 0, 1, 0, 0))
}

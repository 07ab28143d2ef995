package fault

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var seconds = func(lo, hi int) Range {
	return Range{Min: time.Duration(lo) * time.Second, Max: time.Duration(hi) * time.Second}
}

func TestChurnKeepsItsNumberAndItsTimes(t *testing.T) {
	nodes := []string{"a", "b", "c", "d", "e"}
	rapid.Check(t, func(t *rapid.T) {
		c := Churn{Nodes: nodes, Count: rapid.IntRange(1, 7).Draw(t, "count"), Up: seconds(1, 5), Down: seconds(2, 6), For: 2 * time.Minute}
		list := c.Unfold(NewDraw(rapid.Uint64().Draw(t, "seed")))
		require.NotEmpty(t, list)
		last := time.Duration(0)
		for i, one := range list {
			require.GreaterOrEqual(t, one.At, last)
			last = one.At
			require.Less(t, one.At, c.For)
			require.True(t, one.For >= c.Down.Min && one.For <= c.Down.Max)
			down := 1
			for _, other := range list[:i] {
				if other.At+other.For >= one.At {
					down++
					require.NotEqual(t, one.Fault.(Crash).Nodes, other.Fault.(Crash).Nodes, "twice down at once")
				}
			}
			require.LessOrEqual(t, down, c.Count)
		}
	})
}

func TestPlansAreFunctionsOfTheirDraw(t *testing.T) {
	nodes := []string{"a", "b", "c"}
	for _, p := range []Plan{
		CrashLoop{Nodes: nodes, Up: seconds(1, 3), Down: seconds(1, 2), For: time.Minute},
		Churn{Nodes: nodes, Count: 2, Up: seconds(1, 3), Down: seconds(1, 2), For: time.Minute},
		RollingRestart{Nodes: nodes, Gap: seconds(1, 9), Down: seconds(1, 2)},
		Flaky{Pairs: Pairs{From: nodes, To: nodes, TwoWay: true}, Every: seconds(1, 4), For: time.Minute},
	} {
		one := fmt.Sprint(p.Unfold(NewDraw(1)))
		require.Equal(t, one, fmt.Sprint(p.Unfold(NewDraw(1))), "%T", p)
		require.NotEqual(t, one, fmt.Sprint(p.Unfold(NewDraw(2))), "%T", p)
	}
}

func TestPlansWithoutPausesEnd(t *testing.T) {
	require.LessOrEqual(t, len(CrashLoop{Nodes: []string{"a"}, For: time.Second}.Unfold(NewDraw(1))), 500)
	require.LessOrEqual(t, len(Flaky{Pairs: Pairs{From: []string{"a"}, To: []string{"b"}}, For: time.Second}.Unfold(NewDraw(1))), 1000)
}

func TestSomeIsFair(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	count := map[string]int{}
	for seed := range uint64(5000) {
		picked := NewDraw(seed).Some(names, 2)
		require.Len(t, picked, 2)
		require.Less(t, picked[0], picked[1], "in the order of names")
		for _, n := range picked {
			count[n]++
		}
	}
	for _, n := range names {
		require.InDelta(t, 2000, count[n], 150, n)
	}
	require.Equal(t, names, NewDraw(1).Some(names, 9))
}

func TestForksDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	d := NewDraw(1)
	for _, f := range []Draw{d, NewDraw(2), d.Fork(1), d.Fork("1"), d.Fork(1, 1), d.Fork(11), d.Fork("a").Fork("b"), d.Fork("ab"), d.Fork("a", 1), d.Fork("a1", 1)} {
		seen[f.Uint64()] = true
	}
	require.GreaterOrEqual(t, len(seen), 9)
	require.Equal(t, 5*time.Second, d.Between(5*time.Second, 5*time.Second))
}

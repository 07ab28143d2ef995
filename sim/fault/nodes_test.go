package fault

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSmaller: each smaller fault is of the same kind, hits fewer of the same
// nodes, and every node of a fault can be hit alone.
func TestSmaller(t *testing.T) {
	nodes := []string{"a", "b", "c", "d"}
	pairs := Pairs{From: []string{"a", "b"}, To: []string{"c", "d", "e"}, TwoWay: true}
	for _, f := range []Fault{
		Crash{Nodes: nodes, LoseDisk: true}, Stop{nodes}, Start{nodes}, Restart{nodes}, Pause{nodes}, Suspend{nodes},
		Skew{Nodes: nodes, By: 1}, Drift{Nodes: nodes, PPM: 2}, Disk{Nodes: nodes, Condition: Condition{Full: true}}, Corrupt{Nodes: nodes, Values: 3},
		Lie{Nodes: nodes}, Failpoint{Point: "p", Nodes: nodes, Times: 2}, Isolate{Pairs{From: nodes, To: nodes, TwoWay: true}},
		Partition{[][]string{{"a", "b"}, {"c", "d"}}}, Cut{pairs}, Hold{pairs}, Refuse{pairs}, Reset{pairs}, Slow{Pairs: pairs, Shape: Shape{Bandwidth: 4}},
		Duplicate{Pairs: pairs, Again: Again{Chance: 1}},
	} {
		all := Nodes(f)
		require.NotEmpty(t, all, "%T", f)
		list := Smaller(f)
		require.NotEmpty(t, list, "%T", f)
		for _, less := range list {
			require.Equal(t, fmt.Sprintf("%T", f), fmt.Sprintf("%T", less))
			require.Less(t, len(Nodes(less)), len(all), "%v", less)
			for _, n := range Nodes(less) {
				require.Contains(t, all, n)
			}
		}
		if _, ok := f.(Crash); ok {
			for _, n := range nodes {
				require.True(t, slices.ContainsFunc(list, func(x Fault) bool { return slices.Equal(Nodes(x), []string{n}) && x.(Crash).LoseDisk }))
			}
		}
	}
	require.Empty(t, Smaller(Crash{Nodes: nodes[:1]}))
	require.Empty(t, Smaller(Heal{}))
	require.Empty(t, Smaller(Failpoint{Point: "p"}), "on all nodes")
}

func TestConcerns(t *testing.T) {
	for _, c := range []struct {
		f    Fault
		is   []string
		want bool
	}{
		{Crash{Nodes: []string{"a"}}, []string{"a", "b"}, true},
		{Crash{Nodes: []string{"c"}}, []string{"a", "b"}, false},
		{Cut{Pairs{From: []string{"a"}, To: []string{"c"}}}, []string{"a", "b"}, false},
		{Cut{Pairs{From: []string{"a", "c"}, To: []string{"b"}}}, []string{"a", "b"}, true},
		{Partition{[][]string{{"a", "b"}, {"c"}}}, []string{"a", "b"}, false},
		{Partition{[][]string{{"a"}, {"b"}}}, []string{"a", "b"}, true},
		{Isolate{Pairs{From: []string{"c"}, To: []string{"a", "b", "c"}, TwoWay: true}}, []string{"a", "b"}, false},
		{Failpoint{Point: "p"}, []string{"a"}, true},
		{Heal{}, []string{"a"}, true},
	} {
		require.Equal(t, c.want, Concerns(c.f, c.is), "%v", c.f)
	}
}

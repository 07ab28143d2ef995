package check_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
)

func TestATallyCountsItsPartsApart(t *testing.T) {
	var tally check.Tally
	tally.Evaluated()
	tally.Excused("asleep")
	tally.Counting(check.AfterHeal)
	tally.EvaluatedMany(3)
	tally.Excused("gone")
	tally.Excused("gone")
	require.Equal(t, check.Count{Evaluated: 1, Excused: map[string]int{"asleep": 1}}, tally.Counted(check.During))
	require.Equal(t, check.Count{Evaluated: 3, Excused: map[string]int{"gone": 2}}, tally.Counted(check.AfterHeal))
}

func TestATallyKeepsFewReasons(t *testing.T) {
	var tally check.Tally
	for i := range 1000 {
		tally.Excused(fmt.Sprint("reason ", i))
	}
	c := tally.Counted(check.During)
	require.Len(t, c.Excused, 65)
	require.Equal(t, 1000-64, c.Excused["other reasons"])
}

type view struct {
	check.View
	nodes []check.NodeView
}

func (v view) Nodes() []check.NodeView { return v.nodes }

func TestMissingCountsNodesThatShouldBeUp(t *testing.T) {
	runs := func(string) node.Service { return struct{ node.Service }{} }
	not := func(string) node.Service { return nil }
	n := func(name string, should, up bool, service func(string) node.Service) check.NodeView {
		return check.NodeView{Name: name, Services: []string{"tns"}, ShouldBeUp: should, Up: up, Service: service}
	}
	v := view{nodes: []check.NodeView{n("a", true, true, runs), n("kept-down", false, false, not)}}
	require.NoError(t, check.Missing(v, "tns"))
	require.Len(t, check.Expected(v, "tns"), 1)

	v.nodes = append(v.nodes, n("b", true, false, not))
	require.NoError(t, check.Missing(v, "seer"))
	require.ErrorContains(t, check.Missing(v, "tns"), "b should run tns and does not")
	require.Len(t, check.Expected(v, "tns"), 2)

	v.nodes[2] = n("c", true, true, not)
	require.ErrorContains(t, check.Missing(v, "tns"), "c should run tns")
}

package run

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// thinker is a service that believes in many things, and counts what it was asked.
type thinker struct {
	node.Service
	says  map[string]string
	asked int
}

func (s *thinker) beliefs(_ check.View, _ node.Service, wanted func(string) bool) (list []scenario.Belief, all bool) {
	for about, says := range s.says {
		if wanted == nil || wanted(about) {
			s.asked++
			list = append(list, scenario.Belief{About: about, Says: says})
		}
	}
	return list, false
}

type oneNode struct {
	check.View
	now time.Duration
	s   node.Service
}

func (v *oneNode) Now() time.Duration { return v.now }
func (v *oneNode) Nodes() []check.NodeView {
	return []check.NodeView{{Name: "n-1", Services: []string{"s"}, Service: func(string) node.Service { return v.s }}}
}

type heardBeliefs map[string]string

func (heardBeliefs) Traced() bool { return true }
func (h heardBeliefs) Believes(_, _, about, says string) {
	h[about] = says
}

// TestWhatNobodyNamesIsLookedUpSeldom: with a thousand things and one that changes,
// a second costs one look; what changes without a fact is noticed all the same.
func TestWhatNobodyNamesIsLookedUpSeldom(t *testing.T) {
	s := &thinker{says: map[string]string{}}
	for i := range beliefsMax {
		s.says[fmt.Sprintf("p/%d", i)] = "open"
	}
	v, heard := &oneNode{s: s}, heardBeliefs{}
	var b beliefs
	look := func() { b.look(heard, v, s.beliefs, time.Minute) }
	look()
	require.Len(t, heard, beliefsMax)
	s.asked = 0
	fact := func(values ...string) {
		f := check.Fact{At: v.now, Node: "n-1"}
		for _, x := range values {
			f.Fields = append(f.Fields, node.Field{Name: "x", Value: x})
		}
		b.hear(f)
	}
	fact("p", "7")
	s.says["p/7"], s.says["p/8"] = "locked", "locked"
	v.now = time.Second
	look()
	require.Equal(t, "locked", heard["p/7"])
	require.Equal(t, "open", heard["p/8"], "no fact has named it")
	require.Equal(t, 1, s.asked)
	v.now = lately + time.Second
	s.says["p/7"] = "done"
	fact("p", "9") // what is on its way is still looked at
	look()
	require.Equal(t, "done", heard["p/7"])
	b.hear(check.Fact{At: v.now, Node: scenario.Client, Fields: []node.Field{{Name: "x", Value: "8"}}})
	v.now += time.Second
	look()
	require.Equal(t, "open", heard["p/8"], "users learn of everything")
	delete(s.says, "p/9")
	v.now = wholeLook
	look()
	require.Equal(t, "locked", heard["p/8"])
	require.Empty(t, heard["p/9"])
	require.Less(t, s.asked, 2*beliefsMax)
}

package run

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// still is a view of nodes that do not change.
type still struct {
	now   time.Duration
	nodes []check.NodeView
}

func (s still) Now() time.Duration            { return s.now }
func (s still) Nodes() []check.NodeView       { return s.nodes }
func (s still) Connected(string, string) bool { return true }
func (s still) Node(name string) (check.NodeView, bool) {
	for _, n := range s.nodes {
		if n.Name == name {
			return n, true
		}
	}
	return check.NodeView{}, false
}

// TestWhatAFaultHits: the moment is the last fact, as long as it says what is done now.
func TestWhatAFaultHits(t *testing.T) {
	var c coverage
	c.hear(check.Fact{At: 9 * time.Second, Node: "a", Service: "monkey", Name: "lock-taken"})
	c.hear(check.Fact{At: 10 * time.Second, Node: "a", Service: "monkey", Name: "build-started"})
	c.hear(check.Fact{At: 5 * time.Second, Node: "a", Service: "seer", Name: "heard"})
	view := still{11 * time.Second, []check.NodeView{
		{Name: "a", Up: true, Services: []string{"monkey", "seer"}}, {Name: "b", Services: []string{"monkey"}},
	}}
	c.hit(fault.Crash{Nodes: []string{"a", "b", "client"}}, view)
	c.hit(fault.Pause{Nodes: []string{"a"}}, view)
	c.hit(fault.Crash{Nodes: []string{"b"}}, view)
	c.hit(fault.Heal{}, view)
	require.Equal(t, map[string]int{
		"crash monkey build-started": 1, "crash seer quiet": 1, "crash monkey down": 2,
		"pause monkey build-started": 1, "pause seer quiet": 1,
	}, c.moments)
}

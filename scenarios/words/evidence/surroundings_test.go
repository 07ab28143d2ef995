package evidence

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/check"
)

// crowd is a view of nodes that are all connected, or none is.
type crowd struct {
	check.View
	nodes []check.NodeView
	now   time.Duration
	cut   bool
}

func (v crowd) Nodes() []check.NodeView       { return v.nodes }
func (v crowd) Now() time.Duration            { return v.now }
func (v crowd) Connected(string, string) bool { return !v.cut }

// TestCalmKnowsAllMembers: also those that come after one that is not well, and
// more than it looks at the connections of.
func TestCalmKnowsAllMembers(t *testing.T) {
	v := crowd{now: time.Minute}
	for i := range 3 * MembersMax {
		v.nodes = append(v.nodes, check.NodeView{Name: fmt.Sprint("n", i), Services: []string{"tns"}, Up: i != 3})
	}
	c := NewCalm("tns")
	c.Look(v)
	require.Len(t, c.Members, 3*MembersMax)
	require.False(t, c.Whole)
}

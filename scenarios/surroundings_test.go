package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/check"
)

// crowd is a view of nodes that are all connected.
type crowd struct {
	check.View
	nodes []check.NodeView
}

func (v crowd) Nodes() []check.NodeView       { return v.nodes }
func (v crowd) Now() time.Duration            { return time.Minute }
func (v crowd) Connected(string, string) bool { return true }

// TestCalmKnowsAllMembers: also those that come after one that is not well, and
// more than it looks at the connections of.
func TestCalmKnowsAllMembers(t *testing.T) {
	v := crowd{}
	for i := range 3 * membersMax {
		v.nodes = append(v.nodes, check.NodeView{Name: fmt.Sprint("n", i), Services: []string{"tns"}, Up: i != 3})
	}
	c := newCalm("tns")
	c.look(v)
	require.Len(t, c.members, 3*membersMax)
	require.False(t, c.whole)
}

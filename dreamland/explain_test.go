package dreamland

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/scenario"
)

// TestSuspects: of many faults those are left out that could concern the nodes of the
// story, and began before its last fact.
func TestSuspects(t *testing.T) {
	step := func(at int, node string) scenario.Step {
		return scenario.Step{At: time.Duration(at) * time.Second, Fault: fault.Crash{Nodes: []string{node}}}
	}
	few := []scenario.Step{step(1, "a"), {At: 2 * time.Second}, step(3, "b")}
	list, others := suspects(few, []string{"a"}, time.Second)
	require.Equal(t, []int{0, 2}, list, "all faults, and no action")
	require.Zero(t, others)
	var many []scenario.Step
	for i := range 40 {
		many = append(many, step(i, string(rune('a'+i%2))))
	}
	list, others = suspects(many, []string{"a"}, 5*time.Second)
	require.Equal(t, []int{0, 2, 4}, list)
	require.Equal(t, 37, others)
	list, _ = suspects(many, []string{"b"}, 0)
	require.Len(t, list, whatIfMax, "none began before: the last ones")
	require.Equal(t, 39, list[whatIfMax-1])
}

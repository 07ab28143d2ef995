package worldtest

import (
	"slices"

	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// Healed is a world without a scenario, looked at after everything has
// been mended: all of its nodes but the client should be up.
type Healed struct{ *sim.World }

// Node implements check.View.
func (v Healed) Node(name string) (check.NodeView, bool) {
	n, found := v.World.Node(name)
	n.ShouldBeUp = found && name != scenario.Client
	return n, n.ShouldBeUp
}

// Nodes implements check.View.
func (v Healed) Nodes() []check.NodeView {
	all := slices.DeleteFunc(v.World.Nodes(), func(n check.NodeView) bool { return n.Name == scenario.Client })
	for i := range all {
		all[i].ShouldBeUp = true
	}
	return all
}

// Unaudited are the checks of list that need no users who ask all the time:
// nobody does in a world without a scenario.
func Unaudited(list []scenario.Check) []scenario.Check {
	audited := []string{"answers-are-true", "artifacts-are-kept", "versions-are-true", "members-are-told", "items-are-told"}
	return slices.DeleteFunc(list, func(c scenario.Check) bool { return slices.Contains(audited, c.Name) })
}

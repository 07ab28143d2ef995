package replicas

import (
	"math"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
)

// Measures are figures about the replicated stores of a cloud: of the running
// replica that has the most, over all services.
func Measures() []scenario.Measure {
	most := func(of func(storage.ReplicaStats) int) func(check.View) float64 {
		return func(v check.View) float64 { return mostOfReplicas(v, of) }
	}
	return []scenario.Measure{
		{Name: "storage.deltas", Unit: "deltas", Doc: "deltas that a replica keeps for those that lag behind, at most",
			Of: most(func(s storage.ReplicaStats) int { return s.Deltas })},
		{Name: "storage.delta-bytes", Unit: "bytes", Doc: "size of the deltas that a replica keeps, at most",
			Of: most(func(s storage.ReplicaStats) int { return s.DeltaBytes })},
		{Name: "storage.entries", Unit: "values", Doc: "values in a replica, at most",
			Of: most(func(s storage.ReplicaStats) int { return s.Entries })},
	}
}

func mostOfReplicas(v check.View, of func(storage.ReplicaStats) int) float64 {
	most := -1
	for _, n := range v.Nodes() {
		for _, service := range Services {
			owner, ok := n.Service(service).(Owner)
			if ok && n.Up && owner.Replica() != nil {
				most = max(most, of(owner.Replica().Stats()))
			}
		}
	}
	if most < 0 {
		return math.NaN() // nobody has one
	}
	return float64(most)
}

// Figures describe what the checks of this package count.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "storage.joins", Unit: "joins", Doc: "how often a replica took a whole state in"},
		{Name: "storage.rescues", Unit: "rescues", Doc: "how often a replica handed on what only it had, before it took a whole state"},
		{Name: "storage.mends", Unit: "mends", Doc: "how often a replica found that something was missing on its disk, and had it supplied"},
		{Name: "storage.writers", Unit: "replicas", Doc: "the most writers that one store had"},
	}
}

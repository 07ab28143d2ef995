package run

import (
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// restartAfter keeps a node down that a failpoint is about to crash, for the failpoint's
// restart-after.
func (r *runner) restartAfter(f check.Fact) {
	for _, active := range r.ledger.Active() {
		p, ok := active.(fault.Failpoint)
		if !ok || p.Point != f.Text("point") || p.RestartAfter == 0 || !p.On(f.Node) {
			continue
		}
		// a moment later it has crashed
		r.world.After(1, "keep down "+f.Node, func() {
			end := r.ledger.Begin(fault.Crash{Nodes: []string{f.Node}})
			r.world.After(p.RestartAfter, "restart "+f.Node, end)
		})
		return
	}
}

// failpoints are those that have acted: in this process, or as nodes of real processes say.
func (r *runner) failpoints() map[string]int {
	if r.live {
		return r.acted
	}
	return fail.Hits()
}

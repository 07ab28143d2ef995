package sim

import (
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

var _ check.View = (*World)(nil)

// Nodes implements check.View.
func (w *World) Nodes() []check.NodeView {
	views := make([]check.NodeView, len(w.nodes))
	for i, n := range w.nodes {
		views[i] = check.NodeView{
			Name:     n.name,
			Peer:     n.identity.Peer(),
			Services: n.listed,
			Up:       n.up(),
			Paused:   n.paused,
			Since:    n.since,
			Service:  n.service,
		}
	}
	return views
}

// promptly is what a fault may delay a frame by before two nodes do not count as
// connected any more: no time-out of a service is meant for more.
const promptly = time.Second

// Connected implements check.View.
func (w *World) Connected(a, b string) bool {
	na, nb := w.node(a), w.node(b)
	if !na.up() || !nb.up() || na.paused || nb.paused {
		return false
	}
	if na == nb {
		return true
	}
	for _, s := range []fault.LinkState{w.net.stateOf(na, nb), w.net.stateOf(nb, na)} {
		if s.Cut || s.Held || s.Refused || s.Shape.LatencyMax > promptly {
			return false
		}
	}
	return true
}

// up: started and not about to stop.
func (n *Node) up() bool { return n.life != nil && n.life.running != nil && !n.life.stopping }

func (n *Node) service(name string) node.Service {
	if n.life == nil || n.life.running == nil {
		return nil
	}
	return n.life.running.Service(name)
}

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
		views[i] = n.view()
	}
	return views
}

// Node implements check.View.
func (w *World) Node(name string) (check.NodeView, bool) {
	n := w.byName[name]
	if n == nil {
		return check.NodeView{}, false
	}
	return n.view(), true
}

func (n *Node) view() check.NodeView {
	return check.NodeView{
		Name:       n.name,
		Peer:       n.identity.Peer(),
		Services:   n.listed,
		Up:         n.up(),
		Paused:     n.frozen(),
		DiskBad:    n.faults.condition != fault.Condition{},
		Lies:       n.lies.Chance > 0,
		LiesAll:    n.lies.Chance > 0 && n.lies.All,
		Since:      n.since,
		Disk:       n.disk,
		DiskBytes:  n.disk.Bytes(),
		Configured: n.settings,
		Service:    n.look,
	}
}

// promptly is the largest delay by faults at which two nodes still count as connected: the timeouts
// of services allow for no more.
const promptly = time.Second

// lossPromptly is how much may be lost on a link on which frames come promptly: not
// one in a million is lost three times in a row.
const lossPromptly = 0.01

// Connected implements check.View.
func (w *World) Connected(a, b string) bool {
	na, nb := w.node(a), w.node(b)
	if !na.up() || !nb.up() || na.frozen() || nb.frozen() {
		return false
	}
	if na == nb {
		return true
	}
	return w.net.prompt(na, nb, w.nowNS()) && w.net.prompt(nb, na, w.nowNS())
}

// prompt reports whether a frame that is sent now arrives soon.
func (n *network) prompt(from, to *Node, now int64) bool {
	s := n.stateOf(from, to)
	if s.Cut || s.Held || s.Refused || s.Shape.LatencyMax > promptly || s.Shape.Loss > lossPromptly {
		return false
	}
	l := n.links[linkKey(from, to)]
	return l == nil || l.busyUntil-now <= int64(promptly)
}

// up: started and not about to stop.
func (n *Node) up() bool { return n.life != nil && n.life.running != nil && !n.life.stopping }

func (n *Node) service(name string) node.Service {
	if n.life == nil || n.life.running == nil {
		return nil
	}
	return n.life.running.Service(name)
}

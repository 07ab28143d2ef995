package sim

import (
	"slices"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

var _ transport.Witness = (*host)(nil)

// OnDelivery adds a listener to all that handlers get from other nodes. It is called with the
// engine of the receiver locked.
func (w *World) OnDelivery(f func(check.Delivery)) { w.onDelivery = append(w.onDelivery, f) }

// Handled implements transport.Witness.
func (h *host) Handled(from transport.Peer, name string) {
	w := h.net.w
	sender := w.byPeer[from]
	if sender == nil || sender == h.node {
		return
	}
	for _, f := range w.onDelivery {
		f(check.Delivery{At: w.Now(), To: h.node.name, From: sender.standingIn(h.node.cloud), Name: name})
	}
}

// standingOf is what a configured node may do: the one place in which the world says so, to checks
// and to the directory.
func standingOf(cfg NodeConfig, listed []string) check.Standing {
	s := check.Standing{Node: cfg.Name, Member: !cfg.Stranger && !cfg.Invited}
	if s.Member {
		s.Grants.Services = slices.Concat(listed, cfg.Granted)
		slices.Sort(s.Grants.Services)
		s.Grants.Services = slices.Compact(s.Grants.Services)
	}
	return s
}

// standingIn is what the node may do with a node of a cloud: elsewhere it is a stranger.
func (n *Node) standingIn(c *cloud) check.Standing {
	if n.cloud == c {
		return n.standing
	}
	return check.Standing{Node: n.name}
}

// admit makes the node a member, unless it is a stranger; those that are told of all know it from now on or, if it has to be
// found, from its first start.
func (n *Node) admit() {
	if !n.standing.Member {
		return
	}
	if n.contacts == nil {
		n.cloud.dir.Add(n.identity.Peer(), n.listed...)
	}
	n.cloud.dir.Grant(n.identity.Peer(), n.standing.Grants.Services...)
}

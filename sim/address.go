package sim

import (
	"fmt"
	"slices"

	"github.com/taucloud/tau/transport"
)

// A node that learns of the others reaches them by addresses: those that it was told (transport.Addressed),
// and those of its conns, as libp2p's identify would tell. A node that has moved is not reached under an
// address of before. Nodes that are told of all know where everybody is.

// place is where a node is: it moves to another machine, or to another port of the same.
type place struct{ machine, port int }

// address is where the node is now.
func (n *Node) address() string {
	return fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/%d", n.place.machine, n.index>>8, n.index&255, 4242+n.place.port)
}

// placesMax bounds how often a node can move.
const placesMax = 255

// Move implements fault.Target: conns that the node has break, as those of a machine whose address is gone.
func (w *World) Move(name string, portOnly bool) bool {
	n := w.node(name)
	switch {
	case portOnly:
		n.place.port++
	case n.place.machine == placesMax:
		return false
	default:
		n.place.machine++
	}
	w.observe(n.name, "node", "moved")
	if n.life != nil {
		for _, id := range sortedIDs(n.life.host.ends) {
			for _, e := range n.life.host.ends[id].conn.ends {
				w.After(0, "moved "+e.link.label, func() { e.end(errReset) })
			}
		}
	}
	return true
}

// Configure implements fault.Target.
func (w *World) Configure(name string) bool {
	n := w.node(name)
	n.contactsAt = map[string]string{}
	for _, c := range n.contacts {
		if other := w.byName[c]; other != nil {
			n.contactsAt[c] = other.address()
		}
	}
	return len(n.contactsAt) > 0
}

// Addresses implements transport.Addressed.
func (h *host) Addresses() []string { return []string{h.node.address()} }

// SetAddresses implements transport.Addressed.
func (h *host) SetAddresses(p transport.Peer, addresses []string) { h.told[p] = addresses }

// reaches reports whether the host knows where a node is.
func (h *host) reaches(target *Node) bool {
	if h.node.contacts == nil || h.node.hostile { // attackers find out where their victims are
		return true
	}
	at, p := target.address(), target.identity.Peer()
	return h.met[p] == at || slices.Contains(h.told[p], at)
}

// meet remembers where the other end of a conn is.
func (h *host) meet(other *Node) {
	if h.node.contacts != nil {
		h.met[other.identity.Peer()] = other.address()
	}
}

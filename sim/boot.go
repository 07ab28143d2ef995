package sim

import (
	"context"
	"log/slog"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

func (life *incarnation) boot(ctx context.Context) {
	n := life.node
	running, err := node.Start(ctx, life.main, node.Config{
		Name:     n.name,
		Identity: n.identity,
		Services: n.services,
		Contacts: n.known(),
		World: node.World{
			NewLoop: func(name string) (clock.Loop, func()) {
				l := life.newLoop(name)
				return l, l.stop
			},
			Host:       life.port(),
			Disk:       life.disk,
			Directory:  n.directory(),
			Membership: n.membership(),
			Rand:       life.rand,
			Observer:   n.w,
			Log:        slog.New(&logHandler{w: n.w, node: n.name}),
			Crash:      life.crashFromWithin,
		},
	})
	if n.invited && transport.KindOf(err) == transport.Conflict { // no use in trying it again
		n.w.observe(n.name, "node", "turned-away", node.F("error", err.Error()))
		n.w.After(0, n.name+" is turned away", func() {
			if n.life == life {
				n.crash(false)
			}
		})
		return
	}
	if err != nil {
		n.w.observe(n.name, "node", "start-failed", node.F("error", err.Error()))
		n.w.After(0, "start of "+n.name+" failed", func() {
			if n.life == life {
				n.crash(false)
				n.supervise(startRetryDelay)
			}
		})
		return
	}
	life.running, n.since = running, n.w.Now()
	n.w.observe(n.name, "node", "started", node.F("incarnation", running.Incarnation()), node.F("peer", n.identity.Peer()))
}

// port is the node's network: a hostile one's host is tapped.
func (life *incarnation) port() transport.Host {
	if life.tap != nil {
		return life.tap
	}
	return life.host
}

// directory is that of a node which is told of all others, nil for one that learns them.
func (n *Node) directory() transport.Directory {
	if n.contacts == nil {
		return n.cloud.dir
	}
	return nil
}

// membership is what the node is told of its cloud in its configuration.
func (n *Node) membership() *node.Membership {
	m := &node.Membership{Cloud: n.cloud.name, Key: n.cloud.first, Certificate: n.certificate, Ticket: n.ticket}
	if n.ticket != nil {
		m.Key = n.ticket.CloudKey
	}
	return m
}

// home is where the node was at first, and others are told that it is.
func (n *Node) home() string { at := *n; at.place = place{}; return at.address() }

// known are the members of the node's configuration.
func (n *Node) known() (list []node.Contact) {
	for _, name := range n.contacts {
		if other := n.w.byName[name]; other != nil {
			at, told := n.contactsAt[name]
			if !told {
				at = other.home()
			}
			list = append(list, node.Contact{Peer: other.identity.Peer(), Addresses: []string{at}})
		}
	}
	return list
}

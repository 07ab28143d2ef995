package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"github.com/taucloud/tau/transport/membership"
)

// cloud is what some nodes of a world belong to: a name, and the key that has signed their
// certificates before the world began. Clouds of one world share its network and nothing else.
type cloud struct {
	name   string
	seed   uint64
	turn   int                // how often the key was replaced
	key    transport.Identity // of today
	first  transport.Peer     // what nodes are told that is in their configuration
	serial uint64
	// dir says who is there to those nodes that are told of all.
	dir *transport.StaticDirectory
	// issuers are what the cloud key has signed of those that sign for others.
	issuers []membership.Certificate
}

// FirstCloud is the cloud of nodes whose configuration names none.
const FirstCloud = "sim"

// cloud is that of a name, always the same from the same seed.
func (w *World) cloud(name string) *cloud {
	if name == "" {
		name = FirstCloud
	}
	c := w.clouds[name]
	if c == nil {
		c = &cloud{name: name, seed: w.cfg.Seed, dir: transport.NewStaticDirectory()}
		c.key = c.keyOf(0)
		c.first = c.key.Peer()
		w.clouds[name] = c
	}
	return c
}

// keyOf is the key after so many replacements.
func (c *cloud) keyOf(turn int) transport.Identity {
	if turn == 0 {
		return transport.NewIdentity(fmt.Appendf(nil, "sim/%d/cloud/%s", c.seed, c.name))
	}
	return transport.NewIdentity(fmt.Appendf(nil, "sim/%d/cloud/%s/%d", c.seed, c.name, turn))
}

// Certified is what a node's first certificate says, where it differs.
type Certified struct {
	// Services are those that it names; nil: all that the node is listed for, and granted.
	Services []string
	// Lifetime is how long it counts from the epoch on; 0: most of a year.
	Lifetime time.Duration
}

// Certificates count from a month before the epoch, for nodes whose clocks are that slow, to most of a
// year after it. One that is to end in the story begins like those that issuers sign.
const (
	certifiedBefore = 30 * 24 * time.Hour
	certifiedAfter  = 300 * 24 * time.Hour
)

// certify gives a node the certificate of what it may do, and grant to others.
func (c *cloud) certify(n *Node, issues []string, lifetime time.Duration) *membership.Presented {
	c.serial++
	is := membership.Certificate{
		Cloud: c.name, Serial: c.serial, Subject: n.identity.Peer(), Name: n.name,
		Services: n.standing.Grants.Services, Issues: slices.Compact(slices.Sorted(slices.Values(issues))),
		NotBefore: epoch.Add(-certifiedBefore).Unix(), NotAfter: epoch.Add(certifiedAfter).Unix(),
	}
	if lifetime > 0 {
		is.NotBefore, is.NotAfter = epoch.Add(-membership.SkewMax).Unix(), epoch.Add(lifetime).Unix()
	}
	signed, err := membership.Issue(c.key, is)
	if err != nil {
		panic(fmt.Sprintf("sim: certify %s: %v", n.name, err)) // a name or a list that is too long
	}
	if len(issues) > 0 {
		c.issuers = append(c.issuers, is)
	}
	return &membership.Presented{Certificate: signed}
}

// Custody is what the people who run a cloud have, and no node: its key.
type Custody struct {
	Cloud string
	// Key is the cloud key, Successor the one by which they would replace it. First is that by which nodes are set up.
	Key, Successor transport.Identity
	First          transport.Peer
	// Issuers are what the cloud key has signed of those that sign for others.
	Issuers []membership.Certificate
	// Turned says that the cloud key was replaced by Successor.
	Turned func()
}

// Custody is that of a cloud.
func (w *World) Custody(name string) Custody {
	c := w.cloud(name)
	next := c.keyOf(c.turn + 1)
	return Custody{
		Cloud: c.name, Key: c.key, Successor: next, First: c.first, Issuers: slices.Clone(c.issuers),
		Turned: func() {
			if c.key.Peer() != next.Peer() {
				c.turn, c.key = c.turn+1, next
			}
		},
	}
}

// Invite gives a node that has no certificate the invitation by which it is to get one, from its next
// start on.
func (w *World) Invite(name string, t membership.Ticket) { w.node(name).ticket = &t }

// Says is what a node announces of itself at this moment; not if it is down, or told of all.
func (w *World) Says(name string) (said addressbook.Signed, up bool) {
	n := w.node(name)
	if !n.up() || n.contacts == nil {
		return said, false
	}
	said, _ = n.life.running.Members().Own()
	return said, true
}

// AddressesOf are where a node is, as the people know who run it.
func (w *World) AddressesOf(p transport.Peer) []string {
	if n := w.byPeer[p]; n != nil {
		return []string{n.address()}
	}
	return nil
}

// Joined says that a node has come into its cloud, for what it may do there.
func (w *World) Joined(name string, services []string) {
	n := w.node(name)
	n.standing.Member, n.standing.Grants.Services = true, slices.Sorted(slices.Values(services))
}

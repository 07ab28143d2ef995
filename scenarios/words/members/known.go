package members

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// knownWithin is how long after all are up and reach each other everybody knows whom it uses, and every seer
// knows all: two seers must meet, and each node asks every 5 s.
const knownWithin = 30 * time.Second

// directory is the discovery agent of a node, as a checker sees it.
type directory interface {
	// Book is nil if the node is told of all.
	Book() []addressbook.Announcement
	Wanted() []string
	Lookup(service string) (peers []transport.Peer, known bool)
}

// register is a seer, as a checker sees it.
type register interface {
	Present() []addressbook.Announcement
}

// membersAreKnown compares what nodes and seers believe to be the members of the cloud with who is there.
type membersAreKnown struct {
	check.Tally
	calmSince time.Duration // negative: it is not calm
	// missing are those that left without a word: they are remembered for depart-after.
	missing map[transport.Peer]time.Duration
	// leaving are the peers of those that have left or are about to, by node.
	leaving     map[string]transport.Peer
	departAfter time.Duration
	// newest is what a node, in one of its lives, believes of a peer.
	newest map[belief]addressbook.Stamp
}

type belief struct {
	node  string
	since time.Duration
	seer  bool
	of    transport.Peer
}

func newMembersAreKnown() *membersAreKnown {
	return &membersAreKnown{calmSince: -1, missing: map[transport.Peer]time.Duration{}, leaving: map[string]transport.Peer{}, newest: map[belief]addressbook.Stamp{}}
}

func (*membersAreKnown) Name() string { return "members-are-known" }

// Fact notes who leaves, and disturbances between two looks.
func (c *membersAreKnown) Fact(f check.Fact) error {
	if p, leaves := c.leaving[f.Node]; leaves && f.Name == "left" && f.Int("told") > 0 {
		delete(c.missing, p) // a seer has heard of it
	}
	if f.Service != "node" {
		return nil
	}
	if p, ok := f.Get("peer").(transport.Peer); ok && f.Name == "leaves" {
		c.leaving[f.Node], c.missing[p] = p, f.At
	}
	c.calmSince = -1 // somebody starts, ends, moves or leaves
	return nil
}

// Poll implements check.OnPoll.
func (c *membersAreKnown) Poll(v check.View) error {
	nodes := v.Nodes()
	if !calm(v, nodes) {
		c.calmSince = -1
	} else if c.calmSince < 0 {
		c.calmSince = v.Now()
	}
	for _, n := range nodes {
		if err := c.noStepBack(n); err != nil {
			return err
		}
	}
	if c.calmSince < 0 || v.Now()-c.calmSince < knownWithin {
		return nil
	}
	return c.compare(v, nodes)
}

// Settled demands that it can be judged, and holds.
func (c *membersAreKnown) Settled(v check.View) error {
	if c.calmSince < 0 {
		return fmt.Errorf("not all nodes are up and reach each other")
	}
	return c.compare(v, v.Nodes())
}

// calm reports whether all nodes are up and reach each other.
func calm(v check.View, nodes []check.NodeView) bool {
	if len(nodes) > evidence.MembersMax {
		return false
	}
	for i, n := range nodes {
		if !n.Up || n.Paused || n.DiskBad {
			return false
		}
		for _, other := range nodes[i+1:] {
			if !v.Connected(n.Name, other.Name) {
				return false
			}
		}
	}
	return true
}

// noStepBack demands that nobody believes an older announcement after a newer one.
func (c *membersAreKnown) noStepBack(n check.NodeView) error {
	if s, ok := n.Service(seerapi.Service).(register); ok {
		if err := c.remember(n, true, s.Present()); err != nil {
			return err
		}
	}
	if d, ok := n.Service(seer.DiscoveryName).(directory); ok {
		return c.remember(n, false, d.Book())
	}
	return nil
}

func (c *membersAreKnown) remember(n check.NodeView, seer bool, book []addressbook.Announcement) error {
	for _, a := range book {
		b := belief{n.Name, n.Since, seer, a.Peer}
		if before := c.newest[b]; a.Stamp().Compare(before) < 0 {
			return fmt.Errorf("%s believes announcement %v of %s after %v", n.Name, a.Stamp(), a.Name, before)
		}
		c.newest[b] = a.Stamp()
	}
	return nil
}

// compare demands that everybody believes what is so.
func (c *membersAreKnown) compare(v check.View, nodes []check.NodeView) error {
	for _, n := range nodes {
		if set, ok := n.Configured(seerapi.Service).(*seer.Settings); ok {
			c.departAfter = max(c.departAfter, set.DepartAfter)
		}
	}
	for _, n := range nodes {
		d, ok := n.Service(seer.DiscoveryName).(directory)
		if !ok || d.Book() == nil {
			continue // it is told of all
		}
		for _, service := range d.Wanted() {
			peers, known := d.Lookup(service)
			if !known {
				return fmt.Errorf("%s does not know who offers %s", n.Name, service)
			}
			if err := c.same(v, n.Name, service, peers, offering(nodes, service)); err != nil {
				return err
			}
		}
		if s, ok := n.Service(seerapi.Service).(register); ok {
			var peers []transport.Peer
			for _, a := range s.Present() {
				peers = append(peers, a.Peer)
			}
			if err := c.same(v, n.Name+"'s seer", "anything", peers, offering(nodes, "")); err != nil {
				return err
			}
		}
		c.Evaluated()
	}
	return nil
}

// offering are the nodes that offer a service, all for "", in canonical order.
func offering(nodes []check.NodeView, service string) (peers []transport.Peer) {
	for _, n := range nodes {
		if service == "" || slices.Contains(n.Services, service) {
			peers = append(peers, n.Peer)
		}
	}
	slices.SortFunc(peers, transport.Peer.Compare)
	return peers
}

func (c *membersAreKnown) same(v check.View, who, service string, believed, there []transport.Peer) error {
	for _, p := range there {
		if !slices.Contains(believed, p) {
			return fmt.Errorf("%s does not know that %s offers %s", who, nameOf(v, p), service)
		}
	}
	for _, p := range believed {
		left, silently := c.missing[p]
		if !slices.Contains(there, p) && !(silently && v.Now() < left+c.departAfter*5/4+knownWithin) {
			return fmt.Errorf("%s believes that %s, which has left, offers %s", who, nameOf(v, p), service)
		}
	}
	return nil
}

func nameOf(v check.View, p transport.Peer) string {
	for _, n := range v.Nodes() {
		if n.Peer == p {
			return n.Name
		}
	}
	return p.Short()
}

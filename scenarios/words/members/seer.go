// Package members are the words about seers: who is alive, and who is told so.
package members

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

const (
	// seerGoneBound is seer's promise, 5 s after the last beacon by its own clock,
	// and what delays of the wire may add: the usual one, and 2.5 s above it.
	seerGoneBound = 10 * time.Second
	// seerSettleBound is how long two nodes must have been connected before one
	// must know of the other: conns that a fault broke are noticed by a
	// keep-alive and dialed anew with a backoff, then comes the next beacon.
	seerSettleBound = 20 * time.Second
	// seerMissBound is for how long a link that becomes slow, or breaks again and
	// again, may hide a node.
	seerMissBound = 10 * time.Second
)

// Checks are the expectations about who is known to be alive.
func Checks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "dead-node-leaves",
			Doc:  "a node that has been down or paused for 10 s is in no seer's answers",
			New: func() check.Checker {
				return &deadNodeLeaves{awake: awakeSince{}, downAt: map[transport.Peer]time.Duration{}, bySeer: map[string]map[string]time.Duration{}}
			},
		},
		{
			Name: "live-node-present",
			Doc:  "a node that has been up and connected with a seer for 20 s, itself or by another seer, is never missing from its answers for 10 s",
			New: func() check.Checker {
				return &liveNodePresent{awake: awakeSince{}, links: map[int][]linkSeen{}, muted: map[string]time.Duration{}}
			},
		},
		{
			Name: "members-are-told",
			Doc:  "what seers tell users of nodes, by every method, is true: who runs, its name, incarnation, services, room and age",
			New:  func() check.Checker { return newMembersAreTold() },
		},
		{
			Name: "members-are-known",
			Doc:  "when all nodes have been up and connected for 30 s, each knows exactly who offers what it uses, and each seer all; nobody ever believes an older announcement after a newer one",
			New:  func() check.Checker { return newMembersAreKnown() },
		},
		{
			Name: "clouds-never-mix",
			Doc:  "no node and no seer ever takes a node of another cloud, or of none, for a member of its own",
			New:  func() check.Checker { return &neverMix{} },
		},
		{
			Name: "seers-agree",
			Doc:  "after healing, all seers name exactly the nodes that are up",
			New:  func() check.Checker { return &seersAgree{} },
		},
	}
}

// awakeSince tells, by node, since when it has been seen up and not paused.
type awakeSince map[string]time.Duration

// look notes who is awake. A restart between two looks shows in Since.
func (a awakeSince) look(v check.View) {
	for _, n := range v.Nodes() {
		since, known := a[n.Name]
		switch {
		case !n.Up || n.Paused:
			delete(a, n.Name)
		case !known:
			a[n.Name] = v.Now()
		default:
			a[n.Name] = max(since, n.Since)
		}
	}
}

// seers lists the seers that have been awake for a while.
func (a awakeSince) seers(v check.View, d time.Duration) []seen {
	var list []seen
	for _, n := range v.Nodes() {
		since, awake := a[n.Name]
		if s, ok := n.Service("seer").(Seer); ok && awake && v.Now()-since >= d && s.Settled() {
			list = append(list, seen{name: n.Name, elapsed: s.Elapsed(), live: s.Live()})
		}
	}
	return list
}

// seen is what one seer answers.
type seen struct {
	name    string
	elapsed time.Duration    // its own clock
	live    []transport.Peer // in canonical order
}

func (s seen) has(p transport.Peer) bool {
	_, found := slices.BinarySearchFunc(s.live, p, transport.Peer.Compare)
	return found
}

// deadNodeLeaves also measures how long it takes. It counts each look at what a
// seer answers of a node that has been dead for long enough.
type deadNodeLeaves struct {
	check.Tally
	awake    awakeSince
	downAt   map[transport.Peer]time.Duration
	bySeer   map[string]map[string]time.Duration // the same, by node and seer, by the seer's clock
	polledAt time.Duration
	slowest  time.Duration
}

func (*deadNodeLeaves) Name() string { return "dead-node-leaves" }

// Fact implements check.OnFact.
func (c *deadNodeLeaves) Fact(f check.Fact) error {
	peer, _ := f.Get("peer").(transport.Peer)
	switch f.Name {
	case "member-up":
		delete(c.downAt, peer) // it sent a beacon after all
	case "member-gone":
		if at, down := c.downAt[peer]; down && f.Text("why") == "silent" {
			c.slowest = max(c.slowest, f.At-at)
		}
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *deadNodeLeaves) Poll(v check.View) error {
	c.awake.look(v)
	defer func() { c.polledAt = v.Now() }()
	// One that woke a moment ago gives everybody a grace.
	seers := c.awake.seers(v, seerGoneBound)
	for _, n := range v.Nodes() {
		if !c.dead(v, n) {
			delete(c.bySeer, n.Name)
			continue
		}
		before := c.bySeer[n.Name]
		c.bySeer[n.Name] = map[string]time.Duration{} // seers that are not awake now start anew
		for _, s := range seers {
			since, known := before[s.name]
			if !known {
				since = s.elapsed
			}
			c.bySeer[n.Name][s.name] = since
			if s.elapsed-since < seerGoneBound {
				continue
			}
			c.Evaluated()
			if s.has(n.Peer) {
				return fmt.Errorf("%s has been dead since %s, %s still names it after %s of its own time", n.Name, c.downAt[n.Peer], s.name, s.elapsed-since)
			}
		}
	}
	return nil
}

// dead notes since when a node has been down or paused, and reports whether it
// already was at the last look. One that came up for a moment in between died
// anew.
func (c *deadNodeLeaves) dead(v check.View, n check.NodeView) bool {
	if n.Up && !n.Paused {
		delete(c.downAt, n.Peer)
		return false
	}
	since, known := c.downAt[n.Peer]
	switch {
	case known && (n.Up || since >= n.Since):
		return true
	case n.Up:
		c.downAt[n.Peer] = v.Now()
	default: // while it stops, Since is still when it came up
		c.downAt[n.Peer] = max(n.Since, c.polledAt)
	}
	return false
}

// Figures implements check.Figures.
func (c *deadNodeLeaves) Figures() map[string]float64 {
	return map[string]float64{
		"seer.detection-max-seconds": c.slowest.Seconds(),
	}
}

// liveNodePresent keeps, for each seer (by its place among the nodes), what it
// saw of its links to each node. It counts each look at what a seer answers of a
// node that it must know.
type liveNodePresent struct {
	check.Tally
	awake awakeSince
	links map[int][]linkSeen
	count int // of nodes
	// muted is when a failpoint last kept a node from sending its beacon.
	muted map[string]time.Duration
}

// mutedFor is how long a failpoint may hold a beacon back.
const mutedFor = time.Minute

// linkSeen is a link between a seer and a node, which may be a seer too.
type linkSeen struct {
	connected bool
	since     time.Duration // of being connected
	present   time.Duration // when the seer last named the node, or did not have to
}

func (*liveNodePresent) Name() string { return "live-node-present" }

// Fact implements check.OnFact.
func (c *liveNodePresent) Fact(f check.Fact) error {
	if f.Name == "failpoint" && f.Text("point") == "beacon/before-send" {
		c.muted[f.Node] = f.At
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *liveNodePresent) Poll(v check.View) error {
	c.awake.look(v)
	nodes := v.Nodes()
	if len(nodes) != c.count { // one has left for ever
		c.links, c.count = map[int][]linkSeen{}, len(nodes)
	}
	for i, s := range nodes {
		if slices.Contains(s.Services, "seer") {
			c.look(v, i, nodes)
		}
	}
	answers := map[string]seen{}
	for _, s := range c.awake.seers(v, seerSettleBound) {
		answers[s.name] = s
	}
	for i, s := range nodes {
		links, answer := c.links[i], answers[s.Name]
		for j, n := range nodes[:len(links)] {
			l := &links[j]
			d := c.connectedFor(v, i, j)
			known := answer.name != "" && d >= seerSettleBound-seerMissBound
			if known {
				c.Evaluated()
			}
			if !known || answer.has(n.Peer) {
				l.present = v.Now()
			} else if missing := v.Now() - l.present; missing >= seerMissBound {
				return fmt.Errorf("%s has been up and connected with %s for %s, which has not named it for %s", n.Name, s.Name, d, missing)
			}
		}
	}
	return nil
}

// look notes which nodes can send their beacons to a seer now.
func (c *liveNodePresent) look(v check.View, seerAt int, nodes []check.NodeView) {
	links := c.links[seerAt]
	if links == nil {
		links = make([]linkSeen, len(nodes))
		c.links[seerAt] = links
	}
	for i, n := range nodes {
		l := &links[i]
		at, muted := c.muted[n.Name]
		muted = muted && v.Now()-at < mutedFor
		now := !muted && n.Service(seer.BeaconName) != nil && v.Connected(nodes[seerAt].Name, n.Name)
		if now && (!l.connected || l.since < n.Since) {
			l.since = v.Now()
		}
		l.connected = now
	}
}

// connectedFor is for how long a seer could know of a node: by its beacons, or
// from another seer that hears them.
func (c *liveNodePresent) connectedFor(v check.View, seerAt, nodeAt int) time.Duration {
	links := c.links[seerAt]
	d := links[nodeAt].age(v)
	if d >= seerSettleBound {
		return d
	}
	for other, theirs := range c.links {
		d = max(d, min(links[other].age(v), theirs[nodeAt].age(v)))
	}
	return d
}

func (l linkSeen) age(v check.View) time.Duration {
	if !l.connected {
		return 0
	}
	return v.Now() - l.since
}

// seersAgree counts each comparison of a seer's answer with the nodes that
// should be up.
type seersAgree struct{ check.Tally }

func (*seersAgree) Name() string { return "seers-agree" }

// Settled implements check.OnSettled.
func (c *seersAgree) Settled(v check.View) error {
	if err := check.Missing(v, "seer"); err != nil {
		return err
	}
	var up []transport.Peer
	names := map[transport.Peer]string{}
	for _, n := range v.Nodes() {
		names[n.Peer] = n.Name
		if n.ShouldBeUp {
			up = append(up, n.Peer)
		}
	}
	slices.SortFunc(up, transport.Peer.Compare)
	for _, n := range v.Nodes() {
		s, ok := n.Service("seer").(Seer)
		if !n.Up || !ok {
			continue
		}
		if !s.Settled() {
			return fmt.Errorf("%s has not settled", n.Name)
		}
		c.Evaluated()
		if live := s.Live(); !slices.Equal(live, up) {
			return fmt.Errorf("%s names %d nodes, %d should be up%s", n.Name, len(live), len(up), firstDifference(live, up, names))
		}
	}
	return nil
}

// firstDifference names a node that is only in one of two sorted lists.
func firstDifference(answer, up []transport.Peer, names map[transport.Peer]string) string {
	for _, p := range up {
		if !slices.Contains(answer, p) {
			return ", " + names[p] + " is missing"
		}
	}
	for _, p := range answer {
		if !slices.Contains(up, p) {
			return ", " + names[p] + " is dead"
		}
	}
	return ""
}

package scenarios

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
	// and what delays of the wire may add.
	seerGoneBound = 8 * time.Second
	// seerSettleBound is how long two nodes must have been connected before one
	// must know of the other: conns that a fault broke are noticed by a
	// keep-alive and dialed anew with a backoff, then comes the next beacon.
	seerSettleBound = 20 * time.Second
	// seerMissBound is for how long a link that becomes slow, or breaks again and
	// again, may hide a node.
	seerMissBound = 10 * time.Second
)

func seerChecks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "dead-node-leaves",
			Doc:  "a node that has been down or paused for 8 s is in no seer's answers",
			New: func() check.Checker {
				return &deadNodeLeaves{awake: awakeSince{}, downAt: map[transport.Peer]time.Duration{}, bySeer: map[string]map[string]time.Duration{}}
			},
		},
		{
			Name: "live-node-present",
			Doc:  "a node that has been up and connected with a seer for 20 s is never missing from its answers for 10 s",
			New: func() check.Checker {
				return &liveNodePresent{awake: awakeSince{}, connected: map[[2]string]time.Duration{}, present: map[[2]string]time.Duration{}}
			},
		},
		{
			Name: "seers-agree",
			Doc:  "after healing, all seers name exactly the nodes that are up",
			New:  func() check.Checker { return seersAgree{} },
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
		if s, ok := n.Service("seer").(*seer.Service); ok && awake && v.Now()-since >= d && s.Settled() {
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

// deadNodeLeaves also measures how long it takes.
type deadNodeLeaves struct {
	awake    awakeSince
	downAt   map[transport.Peer]time.Duration
	bySeer   map[string]map[string]time.Duration // the same, by node and seer, by the seer's clock
	polledAt time.Duration
	gone, up int
	slowest  time.Duration
}

func (*deadNodeLeaves) Name() string { return "dead-node-leaves" }

// Fact implements check.OnFact.
func (c *deadNodeLeaves) Fact(f check.Fact) error {
	peer, _ := f.Get("peer").(transport.Peer)
	switch f.Name {
	case "member-up":
		c.up++
		delete(c.downAt, peer) // it sent a beacon after all
	case "member-gone":
		c.gone++
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
			if s.elapsed-since >= seerGoneBound && s.has(n.Peer) {
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
		"seer.members-up":            float64(c.up),
		"seer.members-gone":          float64(c.gone),
		"seer.detection-max-seconds": c.slowest.Seconds(),
	}
}

type liveNodePresent struct {
	awake     awakeSince
	connected map[[2]string]time.Duration // since when, by seer and node
	present   map[[2]string]time.Duration // when it was last in the answers
}

func (*liveNodePresent) Name() string { return "live-node-present" }

// Poll implements check.OnPoll.
func (c *liveNodePresent) Poll(v check.View) error {
	c.awake.look(v)
	answers := map[string]seen{}
	for _, s := range c.awake.seers(v, seerSettleBound) {
		answers[s.name] = s
	}
	for _, s := range v.Nodes() {
		if s.Service("seer") == nil {
			continue
		}
		for _, n := range v.Nodes() {
			pair := [2]string{s.Name, n.Name}
			d := c.connectedFor(v, s, n)
			if answer, ok := answers[s.Name]; !ok || d < seerSettleBound-seerMissBound || answer.has(n.Peer) {
				c.present[pair] = v.Now()
			} else if missing := v.Now() - c.present[pair]; missing >= seerMissBound {
				return fmt.Errorf("%s has been up and connected with %s for %s, which has not named it for %s", n.Name, s.Name, d, missing)
			}
		}
	}
	return nil
}

// connectedFor notes whether a node can send its beacons to a seer now and
// returns for how long it could.
func (c *liveNodePresent) connectedFor(v check.View, s, n check.NodeView) time.Duration {
	pair := [2]string{s.Name, n.Name}
	if n.Service(seer.BeaconName) == nil || !v.Connected(s.Name, n.Name) {
		delete(c.connected, pair)
		return 0
	}
	since, known := c.connected[pair]
	if !known || since < n.Since {
		since = v.Now()
		c.connected[pair] = since
	}
	return v.Now() - since
}

type seersAgree struct{}

func (seersAgree) Name() string { return "seers-agree" }

// Settled implements check.OnSettled.
func (seersAgree) Settled(v check.View) error {
	var up []transport.Peer
	names := map[transport.Peer]string{}
	for _, n := range v.Nodes() {
		names[n.Peer] = n.Name
		if n.Up && n.Service(seer.BeaconName) != nil {
			up = append(up, n.Peer)
		}
	}
	slices.SortFunc(up, transport.Peer.Compare)
	for _, n := range v.Nodes() {
		s, ok := n.Service("seer").(*seer.Service)
		if !n.Up || !ok {
			continue
		}
		if !s.Settled() {
			return fmt.Errorf("%s has not settled", n.Name)
		}
		if live := s.Live(); !slices.Equal(live, up) {
			return fmt.Errorf("%s names %d nodes, %d are up%s", n.Name, len(live), len(up), firstDifference(live, up, names))
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

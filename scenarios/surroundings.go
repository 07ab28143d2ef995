package scenarios

import (
	"slices"
	"time"

	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// surroundings is what checks know of nodes: names, settings, and whose word
// counts less because of what happened to its disk.
type surroundings struct {
	names map[transport.Peer]string
	// slots is how many jobs a monkey is configured to do at once, lease the longest
	// lease, keep the least number of versions that a tns is to keep.
	slots map[string]int
	lease time.Duration
	keep  int
	// rotted are nodes whose disks may not have kept what they knew, badDisk those
	// whose disks are troubled just now, wasBad those that ever were.
	rotted, badDisk, wasBad map[string]bool
}

func newSurroundings() surroundings {
	return surroundings{names: map[transport.Peer]string{}, slots: map[string]int{}, rotted: map[string]bool{}, badDisk: map[string]bool{}, wasBad: map[string]bool{}}
}

// fact learns.
func (s *surroundings) fact(f check.Fact) {
	if f.Service == "node" && f.Name == "disk-rotted" {
		s.rotted[f.Node] = true
	}
}

// look learns from the world.
func (s *surroundings) look(v check.View) {
	nodes := v.Nodes()
	for _, n := range nodes {
		s.badDisk[n.Name] = n.DiskBad
		if n.DiskBad {
			s.wasBad[n.Name] = true
		}
	}
	if len(s.names) == len(nodes) {
		return
	}
	for _, n := range nodes {
		s.names[n.Peer] = n.Name
		if set, ok := n.Configured("monkey").(*monkey.Settings); ok {
			s.slots[n.Name] = set.Slots
		}
		if set, ok := n.Configured("tns").(*tns.Settings); ok && (s.keep == 0 || set.KeepVersions < s.keep) {
			s.keep = set.KeepVersions
		}
		if set, ok := n.Configured("patrick").(*patrick.Settings); ok {
			s.lease = max(s.lease, set.Lease)
		}
	}
}

// forgets reports whether a node may have forgotten with a fact what it knew.
func (s *surroundings) forgets(f check.Fact) bool {
	return f.Service == "node" && (f.Name == "crashed" || f.Name == "stopped" && s.badDisk[f.Node])
}

// name is the node that a fact's answer came from.
func (s *surroundings) name(f check.Fact) string {
	by, _ := f.Get("by").(transport.Peer)
	return s.names[by]
}

// calm is the time in which all nodes of some services have been up, honest, with sound disks
// and able to talk to each other. What is promised of a whole cloud only is
// demanded then.
type calm struct {
	services []string
	members  map[string]bool
	since    time.Duration
	whole    bool
}

// membersMax bounds the pairs that are looked at in each poll. More members are
// never calm.
const membersMax = 64

func newCalm(services ...string) calm { return calm{services: services, members: map[string]bool{}} }

// fact: a node that was down between two polls has not been up.
func (c *calm) fact(f check.Fact) {
	if f.Service == "node" && c.members[f.Node] {
		c.whole = false
	}
}

// look is to be called with each poll.
func (c *calm) look(v check.View) {
	now := c.isWhole(v)
	if now && !c.whole {
		c.since = v.Now()
	}
	c.whole = now
}

func (c *calm) isWhole(v check.View) bool {
	well := true
	var names []string
	for _, n := range v.Nodes() {
		if !slices.ContainsFunc(n.Services, func(s string) bool { return slices.Contains(c.services, s) }) {
			continue
		}
		c.members[n.Name] = true // all of them, also if one is not well
		well = well && n.Up && !n.Paused && !n.DiskBad && !n.LiesAll && len(names) < membersMax
		names = append(names, n.Name)
	}
	if !well {
		return false
	}
	for i, a := range names {
		for _, b := range names[i+1:] {
			if !v.Connected(a, b) {
				return false
			}
		}
	}
	return true
}

// lasts reports whether it has been calm since a moment, and for a while before,
// so that nobody believes any more that somebody else is out of reach.
func (c *calm) lasts(since time.Duration) bool {
	return c.whole && c.since+steadyAfter <= since
}

package evidence

import (
	"slices"
	"time"

	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// Surroundings is what checks know of nodes: names, settings, and whose word
// counts less because of what happened to its disk.
type Surroundings struct {
	Names map[transport.Peer]string
	// slots is how many jobs a monkey is configured to do at once, lease the longest
	// lease, keep the least number of versions that a tns is to keep.
	Slots map[string]int
	Lease time.Duration
	Keep  int
	// rotted are nodes whose disks may not have kept what they knew, badDisk those
	// whose disks are troubled just now, wasBad those that ever were.
	Rotted, BadDisk, WasBad map[string]bool
}

// NewSurroundings knows nothing yet.
func NewSurroundings() Surroundings {
	return Surroundings{Names: map[transport.Peer]string{}, Slots: map[string]int{}, Rotted: map[string]bool{}, BadDisk: map[string]bool{}, WasBad: map[string]bool{}}
}

// Learn learns.
func (s *Surroundings) Learn(f check.Fact) {
	if f.Service == "node" && f.Name == "disk-rotted" {
		s.Rotted[f.Node] = true
	}
}

// Look learns from the world.
func (s *Surroundings) Look(v check.View) {
	nodes := v.Nodes()
	for _, n := range nodes {
		s.BadDisk[n.Name] = n.DiskBad
		if n.DiskBad {
			s.WasBad[n.Name] = true
		}
	}
	if len(s.Names) == len(nodes) {
		return
	}
	for _, n := range nodes {
		s.Names[n.Peer] = n.Name
		if set, ok := n.Configured("monkey").(*monkey.Settings); ok {
			s.Slots[n.Name] = set.Slots
		}
		if set, ok := n.Configured("tns").(*tns.Settings); ok && (s.Keep == 0 || set.KeepVersions < s.Keep) {
			s.Keep = set.KeepVersions
		}
		if set, ok := n.Configured("patrick").(*patrick.Settings); ok {
			s.Lease = max(s.Lease, set.Lease)
		}
	}
}

// Forgets reports whether a node may have forgotten with a fact what it knew.
func (s *Surroundings) Forgets(f check.Fact) bool {
	return f.Service == "node" && (f.Name == "crashed" || f.Name == "stopped" && s.BadDisk[f.Node])
}

// AnsweredBy is the node that a fact's answer came from.
func (s *Surroundings) AnsweredBy(f check.Fact) string {
	by, _ := f.Get("by").(transport.Peer)
	return s.Names[by]
}

// Calm is the time in which all nodes of some services have been up, honest, with sound disks
// and able to talk to each other. What is promised of a whole cloud only is
// demanded then.
type Calm struct {
	services []string
	Members  map[string]bool
	since    time.Duration
	Whole    bool
}

// MembersMax bounds the pairs that are looked at in each poll. More members are
// never calm.
const MembersMax = 64

// NewCalm is about the nodes that run one of the services.
func NewCalm(services ...string) Calm { return Calm{services: services, Members: map[string]bool{}} }

// Learn: a node that was down between two polls has not been up.
func (c *Calm) Learn(f check.Fact) {
	if f.Service == "node" && c.Members[f.Node] {
		c.Whole = false
	}
}

// Look is to be called with each poll.
func (c *Calm) Look(v check.View) {
	now := c.isWhole(v)
	if now && !c.Whole {
		c.since = v.Now()
	}
	c.Whole = now
}

func (c *Calm) isWhole(v check.View) bool {
	well := true
	var names []string
	for _, n := range v.Nodes() {
		if !slices.ContainsFunc(n.Services, func(s string) bool { return slices.Contains(c.services, s) }) {
			continue
		}
		c.Members[n.Name] = true // all of them, also if one is not well
		well = well && n.Up && !n.Paused && !n.DiskBad && !n.LiesAll && len(names) < MembersMax
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

// Lasts reports whether it has been calm since a moment, and for a while before,
// so that nobody believes any more that somebody else is out of reach.
func (c *Calm) Lasts(since time.Duration) bool {
	return c.Whole && c.since+SteadyAfter <= since
}

// SteadyAfter is how long two nodes must have been connected before a call
// between them is sure to succeed: a broken conn is noticed late.
const SteadyAfter = 20 * time.Second

// HoarderSettings is how a hoarder is configured.
func HoarderSettings(n check.NodeView) hoarder.Settings {
	if set, ok := n.Configured(hoarderapi.Service).(*hoarder.Settings); ok {
		return *set
	}
	return *hoarder.DefaultSettings()
}

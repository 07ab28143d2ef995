package run

import (
	"strings"
	"time"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// coverage knows at which moments of which services faults have hit.
type coverage struct {
	last    map[instance]lastFact
	moments map[string]int
}

// instance is a service on a node.
type instance struct{ node, service string }

// lastFact is the last one that an instance has reported.
type lastFact struct {
	name string
	at   time.Duration
}

// quietAfter is virtual time without a fact after which it says nothing about what a
// service does.
const quietAfter = 3 * time.Second

// The moments of a service that reports nothing.
const (
	momentQuiet = "quiet"
	momentDown  = "down"
)

func (c *coverage) hear(f check.Fact) {
	if c.last == nil {
		c.last = map[instance]lastFact{}
	}
	c.last[instance{f.Node, f.Service}] = lastFact{f.Name, f.At}
}

// hit notes what a fault is about to hit. One of all nodes at once says nothing about
// moments, so of a fault the first few nodes count.
func (c *coverage) hit(f fault.Fault, view check.View) {
	if c.moments == nil {
		c.moments = map[string]int{}
	}
	kind, _, _ := strings.Cut(f.String(), " ")
	nodes := fault.Nodes(f)
	for _, name := range nodes[:min(len(nodes), hitsPerFaultMax)] {
		n, found := view.Node(name)
		if !found {
			continue
		}
		for _, service := range n.Services {
			c.moments[kind+" "+service+" "+c.moment(n, service, view.Now())]++
		}
	}
}

const hitsPerFaultMax = 8

func (c *coverage) moment(n check.NodeView, service string, now time.Duration) string {
	last, heard := c.last[instance{n.Name, service}]
	switch {
	case !n.Up:
		return momentDown
	case !heard || now-last.at > quietAfter:
		return momentQuiet
	}
	return last.name
}

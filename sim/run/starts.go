package run

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// startBound is how long a node that should be up may take to come up, once no fault delays it: a
// supervisor's pause, and the start itself.
const startBound = time.Minute

// readyBound is how long after healing a service may refuse to serve if its spec
// does not say.
const readyBound = 30 * time.Second

// everyNodeStarts is an expectation of every scenario: a node starts unless a fault explains why it
// does not, comes back when its fault is over, and serves after healing. Without it, expectations
// about running nodes would hold in a cloud that never boots.
type everyNodeStarts struct {
	check.Tally
	// bounds is how long after healing each service may refuse.
	bounds map[string]time.Duration
	// disturbed is when a fault last could have kept a node from starting, down
	// when it last went down, late since when it has been missing.
	disturbed, down, late map[string]time.Duration
	// diskBad tells what is wrong with a disk at the moment of a fact.
	diskBad func(node string) bool
	// healed is when everything was; negative: not yet.
	healed time.Duration
}

func newEveryNodeStarts(s *scenario.Scenario, diskBad func(node string) bool) *everyNodeStarts {
	c := &everyNodeStarts{
		bounds: map[string]time.Duration{}, disturbed: map[string]time.Duration{}, down: map[string]time.Duration{},
		late: map[string]time.Duration{}, diskBad: diskBad, healed: -1,
	}
	for _, n := range s.Nodes {
		for _, one := range n.Services {
			c.bounds[one.Spec.Name] = readyBound
			if one.Spec.ReadyWithin > 0 {
				c.bounds[one.Spec.Name] = one.Spec.ReadyWithin
			}
		}
	}
	return c
}

func (*everyNodeStarts) Name() string { return "every-node-starts" }

// Fact judges each start.
func (c *everyNodeStarts) Fact(f check.Fact) error {
	switch {
	case f.Name == "failpoint":
		c.disturbed[f.Node] = f.At
	case f.Service != "node":
	case f.Name == "crashed" || f.Name == "stopped":
		c.down[f.Node] = f.At
	case f.Name == "started":
		c.Evaluated()
	case f.Name == "start-failed":
		at, disturbed := c.disturbed[f.Node]
		if c.diskBad(f.Node) || disturbed && at >= c.down[f.Node] {
			c.Excused("a failpoint, a bad disk or a pause held up the start")
			return nil
		}
		return fmt.Errorf("%s did not start: %s", f.Node, f.Text("error"))
	}
	return nil
}

// Poll looks for nodes that do not come back, and after healing for services
// that refuse for too long.
func (c *everyNodeStarts) Poll(v check.View) error {
	now := v.Now()
	for _, n := range v.Nodes() {
		if n.Paused || n.DiskBad {
			c.disturbed[n.Name] = now
		}
		if n.Up || !n.ShouldBeUp {
			delete(c.late, n.Name)
			if err := c.refusesTooLong(n, now); err != nil {
				return err
			}
			continue
		}
		since, known := c.late[n.Name]
		if !known {
			since = now
			c.late[n.Name] = now
		}
		if since = max(since, c.disturbed[n.Name]); now-since > startBound {
			return fmt.Errorf("%s should be up and is not, for %s since nothing keeps it down", n.Name, now-since)
		}
	}
	return nil
}

func (c *everyNodeStarts) refusesTooLong(n check.NodeView, now time.Duration) error {
	if c.healed < 0 || !n.Up {
		return nil
	}
	for _, service := range n.Services {
		err := ready(n, service)
		if err == nil {
			continue
		}
		bound := c.bounds[service]
		if b, ok := n.Service(service).(node.ReadyBounder); ok {
			bound = b.ReadyWithin()
		}
		if now-max(c.healed, n.Since) > bound {
			return fmt.Errorf("%w, for more than %s after healing", err, bound)
		}
	}
	return nil
}

// ready says why a running service refuses to serve, nil if it does not.
func ready(n check.NodeView, service string) error {
	r, ok := n.Service(service).(node.Readier)
	if !ok {
		return nil
	}
	if err := r.Ready(); err != nil {
		return fmt.Errorf("%s on %s does not serve: %w", service, n.Name, err)
	}
	return nil
}

// Settled demands that every node is up with all its services, and serves.
func (c *everyNodeStarts) Settled(v check.View) error {
	for _, n := range v.Nodes() {
		if !n.Up {
			return fmt.Errorf("%s is not up", n.Name)
		}
		for _, service := range n.Services {
			if n.Service(service) == nil {
				return fmt.Errorf("%s does not run %s", n.Name, service)
			}
			if err := ready(n, service); err != nil {
				return err
			}
		}
		c.Evaluated()
	}
	return nil
}

// someActionSucceeds fails a scenario without any successful action.
func someActionSucceeds(counts []actionCount) (held bool, detail string) {
	done, planned := 0, 0
	for _, c := range counts {
		planned += c.begun
		done += c.done
	}
	if done > 0 {
		return true, fmt.Sprintf("%d of %d did", done, planned)
	}
	names := make([]string, len(counts))
	for i, c := range counts {
		names[i] = c.name
	}
	return false, fmt.Sprintf("none of %d did (%v): nothing happened that could have gone wrong", planned, slices.Compact(names))
}

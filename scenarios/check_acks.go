package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
)

// ackIsDurable follows each acknowledgement by patrick itself.
type ackIsDurable struct {
	acks map[string]ack
	// fresh are the acknowledgements since the last poll with one copy only.
	fresh  []freshAck
	losses diskLosses
	// since is when two patricks were first seen connected, with no break.
	since map[[2]string]time.Duration
}

type ack struct {
	copies int
	node   string
	at     time.Duration
}

type freshAck struct{ job, node string }

// steadyAfter is how long two nodes must have been connected before a call
// between them is sure to succeed: a broken conn is noticed late.
const steadyAfter = 20 * time.Second

func (*ackIsDurable) Name() string { return "ack-is-durable" }

func (c *ackIsDurable) Fact(f check.Fact) error {
	if c.acks == nil {
		c.acks, c.since = map[string]ack{}, map[[2]string]time.Duration{}
	}
	c.losses.fact(f)
	if f.Service == "patrick" && f.Name == "job-acked" {
		job, copies := f.Text("job"), int(f.Int("copies"))
		if old := c.acks[job]; copies > old.copies {
			c.acks[job] = ack{copies: copies, node: f.Node, at: f.At}
		}
		if copies < 2 {
			c.fresh = append(c.fresh, freshAck{job, f.Node})
		}
	}
	return nil
}

func (c *ackIsDurable) Poll(v check.View) error {
	if c.acks == nil {
		return nil
	}
	if err := c.alone(v); err != nil {
		return err
	}
	up, down := patricksUp(v)
	for _, job := range slices.Sorted(maps.Keys(c.acks)) {
		if down+c.goneUp(up, job) >= c.acks[job].copies {
			continue // more is lost than was promised to be survived
		}
		if forgotByAny(up, job) {
			continue
		}
		if !knownToAny(up, job) {
			return fmt.Errorf("job %s was acknowledged by %s with %d copies; %d patricks are down, and no other one knows it",
				job, c.acks[job].node, c.acks[job].copies, down)
		}
		if err := c.tree(up, job); err != nil {
			return err
		}
	}
	return nil
}

// goneUp counts the running patricks that lost their disk since the job's ack,
// or while the acknowledgement was being made.
func (c *ackIsDurable) goneUp(up map[string]*patrick.Service, job string) int {
	gone := map[string]bool{}
	for _, l := range c.losses {
		if up[l.node] != nil && l.at > c.acks[job].at-patrickapi.PushTimeout {
			gone[l.node] = true
		}
	}
	return len(gone)
}

// tree demands that some patrick has the tree while anybody might need it.
func (c *ackIsDurable) tree(up map[string]*patrick.Service, job string) error {
	if treeAtAny(up, job) {
		return nil
	}
	return fmt.Errorf("job %s was acknowledged by %s with %d copies, and no running patrick has its tree", job, c.acks[job].node, c.acks[job].copies)
}

// alone demands that a patrick that acknowledged with one copy had no other to
// turn to.
func (c *ackIsDurable) alone(v check.View) error {
	up, _ := patricksUp(v)
	names := slices.Sorted(maps.Keys(up))
	if len(names) > 12 {
		return nil // too many pairs to follow
	}
	fresh := c.fresh
	c.fresh = nil
	bad := map[string]bool{} // what they are asked to keep may not become durable in time
	for _, n := range v.Nodes() {
		bad[n.Name] = n.DiskBad
	}
	for i, a := range names {
		for _, b := range names[i+1:] {
			pair := [2]string{a, b}
			if bad[a] || bad[b] || !v.Connected(a, b) {
				delete(c.since, pair)
				continue
			}
			if _, known := c.since[pair]; !known {
				c.since[pair] = v.Now()
			}
			for _, f := range fresh {
				if (f.node == a || f.node == b) && v.Now()-c.since[pair] > steadyAfter {
					return fmt.Errorf("%s acknowledged job %s with one copy, though %s and %s have been connected for %v", f.node, f.job, a, b, v.Now()-c.since[pair])
				}
			}
		}
	}
	for pair := range c.since {
		if up[pair[0]] == nil || up[pair[1]] == nil {
			delete(c.since, pair)
		}
	}
	return nil
}

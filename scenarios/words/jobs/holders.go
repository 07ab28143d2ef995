package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
)

// oneHolder: mutual exclusion, as far as it can be had. It counts grants of a job
// that was granted before, and looks at who believes to hold one.
type oneHolder struct {
	check.Tally
	leases leases
	early  []earlyEnd // not judged yet
	since  map[string]conflict
	grants map[string][]grantFact        // by job
	ended  map[string][]evidence.Attempt // by job: attempts that some coordinator has ended
}

// grantFact is a grant and whether it is known to have ended.
type grantFact struct {
	node  string
	token evidence.Attempt
	ended bool
}

// conflict is two holders of one job that can talk to each other.
type conflict struct {
	begin time.Duration
	// world tells who can talk to whom: a change starts the time anew.
	world string
	seen  time.Duration
}

func (*oneHolder) Name() string { return "one-holder-per-job" }

// noticeAfter is how long a node may not notice that it can talk to another
// again, after a partition has healed.
const noticeAfter = 15 * time.Second

func (c *oneHolder) Fact(f check.Fact) error {
	job := f.Text("job")
	if end, judged := c.leases.take(f); judged {
		c.early = append(c.early, end)
	}
	switch {
	case f.Name == "job-granted":
		now := grantFact{node: f.Node, token: evidence.AttemptOf(f)}
		if len(c.grants[job]) > 0 {
			c.Evaluated()
		}
		if old, found := c.held(job, now); found {
			return fmt.Errorf("%s grants attempt %d of job %s to %s, while attempt %d of %s, which it granted, has not ended",
				f.Node, now.token.Number, job, now.token.Holder, old.token.Number, old.token.Holder)
		}
		// Two coordinators that cannot talk may grant the same attempt to the same monkey;
		// who ends one of the two ends both.
		now.ended = slices.Contains(c.ended[job], now.token)
		c.grants[job] = append(c.grants[job], now)
	case f.Name == "job-released", f.Name == "job-expired":
		c.ended[job] = append(c.ended[job], evidence.AttemptOf(f))
		for i, g := range c.grants[job] {
			if g.token == evidence.AttemptOf(f) {
				c.grants[job][i].ended = true
			}
		}
	case f.Name == "job-finished" && f.Text("status") == patrickapi.Success.String():
		delete(c.grants, job)
		delete(c.ended, job)
	case f.Service == "node" && f.Name == "crashed": // it may have forgotten
		for _, list := range c.grants {
			for i := range list {
				list[i].ended = list[i].ended || list[i].node == f.Node
			}
		}
	}
	return nil
}

// held is the greatest grant by the same node, if it has neither ended nor been
// superseded by a greater one of another node.
func (c *oneHolder) held(job string, now grantFact) (last grantFact, found bool) {
	for _, g := range c.grants[job] {
		if g.node == now.node && !g.token.Less(last.token) {
			last = g
		}
	}
	for _, g := range c.grants[job] {
		if g.node != now.node && last.token.Less(g.token) {
			return last, false
		}
	}
	return last, last.node != "" && !last.ended
}

func (c *oneHolder) Poll(v check.View) error {
	if err := c.noneOverdue(v); err != nil {
		return err
	}
	if err := c.noneEarly(v); err != nil {
		return err
	}
	for _, h := range heldTwice(v) {
		key := h.job + " " + h.a + " " + h.b
		world := h.world(v)
		old, found := c.since[key]
		if !found || old.world != world || old.seen < v.Now()-2*check.PollInterval {
			old = conflict{begin: v.Now(), world: world}
		}
		old.seen = v.Now()
		c.since[key] = old
		if limit := leaseOf(v) + noticeAfter; v.Now()-old.begin > limit {
			return fmt.Errorf("%s and %s both hold job %s for more than %v, and can talk to each other", h.a, h.b, h.job, limit)
		}
	}
	return nil
}

// noneOverdue demands that nobody believes in a lock for longer than a lease
// after the last renewal that was granted.
func (c *oneHolder) noneOverdue(v check.View) error {
	lease := leaseOf(v)
	if lease == 0 {
		return nil
	}
	for _, n := range v.Nodes() {
		m, ok := n.Service("monkey").(Monkey)
		if !ok || !n.Up {
			continue
		}
		for _, h := range m.Holding() {
			c.Evaluated()
			if h.Renewed > lease {
				return fmt.Errorf("%s believes to hold job %s, %v after its last renewal", n.Name, h.Job, h.Renewed)
			}
		}
	}
	return nil
}

// holders is two nodes that both believe to hold a job.
type holders struct{ job, a, b string }

// heldTwice lists pairs of connected nodes that hold the same job.
func heldTwice(v check.View) []holders {
	by := map[string][]string{}
	for _, n := range v.Nodes() {
		m, ok := n.Service("monkey").(Monkey)
		if !ok || !n.Up {
			continue
		}
		for _, h := range m.Holding() {
			by[h.Job] = append(by[h.Job], n.Name)
		}
	}
	var list []holders
	for _, job := range slices.Sorted(maps.Keys(by)) {
		for i, a := range by[job] {
			for _, b := range by[job][i+1:] {
				if v.Connected(a, b) {
					list = append(list, holders{job, a, b})
				}
			}
		}
	}
	return list
}

// world says which patricks the two can talk to, and which of those to each
// other.
func (h holders) world(v check.View) string {
	up, _ := patricksUp(v)
	names := slices.Sorted(maps.Keys(up))
	var b strings.Builder
	for i, p := range names {
		fmt.Fprintf(&b, "%s %v %v", p, v.Connected(h.a, p), v.Connected(h.b, p))
		for _, q := range names[i+1:] {
			fmt.Fprintf(&b, " %v", v.Connected(p, q))
		}
	}
	return b.String()
}

func leaseOf(v check.View) time.Duration {
	lease := time.Duration(0)
	up, _ := patricksUp(v)
	for _, s := range up {
		lease = max(lease, s.Lease())
	}
	return lease
}

package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// monkeyChecks are the expectations about those that build.
func monkeyChecks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "one-effective-outcome-per-job",
			Doc:  "all publications of a job are of one artifact, no build begins before its token is fenced, none is published after a newer token is known, a success stays one, and what was published is what succeeded",
			New: func() check.Checker {
				return &oneOutcome{jobFigures: newJobFigures(), fences: map[[2]string]attempt{}, fenced: map[string][]attempt{}, artifacts: map[string]string{}, seen: map[[2]string]patrickapi.Status{}}
			},
		},
		{
			Name: "one-holder-per-job",
			Doc:  "no patrick grants what it has granted and not seen end; nobody holds a job longer than a lease after a renewal; of two monkeys that can talk to each other, one at most believes to hold a job, but for a lease after a partition",
			New: func() check.Checker {
				return &oneHolder{since: map[string]conflict{}, grants: map[string][]grantFact{}}
			},
		},
	}
}

// attempt is a token as facts tell it.
type attempt struct {
	number int64
	holder string
}

// less is the order of tokens. Peers in text have one length and an alphabet in
// order, so their text has the order of their keys.
func (a attempt) less(b attempt) bool {
	return a.number < b.number || a.number == b.number && a.holder < b.holder
}

func attemptOf(f check.Fact) attempt { return attempt{f.Int("attempt"), f.Text("holder")} }

// oneOutcome: whatever monkeys do, one outcome counts.
type oneOutcome struct {
	*jobFigures
	// fences is the newest attempt that a tns has heard of, by node and job.
	fences map[[2]string]attempt
	// fenced are the attempts that any tns has heard of, by job; fencing: there
	// is a tns at all.
	fenced  map[string][]attempt
	fencing bool
	// artifacts is what was built, published or reported, by job.
	artifacts map[string]string
	published []string // jobs, in the order of their first publication
	// seen is the status of a job as a node saw it last.
	seen map[[2]string]patrickapi.Status
}

func (*oneOutcome) Name() string { return "one-effective-outcome-per-job" }

func (c *oneOutcome) Fact(f check.Fact) error {
	switch {
	case f.Service == "tns" && f.Name == "replica-opened":
		c.fencing = true
	case f.Service == "tns" && (f.Name == "fenced" || f.Name == "published"):
		return c.fence(f)
	case f.Name == "build-started" && c.fencing:
		if !slices.Contains(c.fenced[f.Text("job")], attemptOf(f)) {
			return fmt.Errorf("%s builds job %s under attempt %d, which no tns has heard of", f.Node, f.Text("job"), f.Int("attempt"))
		}
	case f.Service == "monkey" && f.Name == "published":
		if !slices.Contains(c.published, f.Text("job")) {
			c.published = append(c.published, f.Text("job"))
		}
		return c.artifact(f)
	case f.Name == "job-finished" && f.Text("status") == patrickapi.Success.String():
		if err := c.artifact(f); err != nil {
			return err
		}
	case f.Service == "node" && f.Name == "crashed": // it may have forgotten
		maps.DeleteFunc(c.fences, func(k [2]string, _ attempt) bool { return k[0] == f.Node })
		maps.DeleteFunc(c.seen, func(k [2]string, _ patrickapi.Status) bool { return k[0] == f.Node })
	}
	return c.jobFigures.Fact(f)
}

// fence demands that a tns accepts nothing of an older attempt than it knows of.
func (c *oneOutcome) fence(f check.Fact) error {
	key, now := [2]string{f.Node, f.Text("job")}, attemptOf(f)
	if old := c.fences[key]; now.less(old) {
		return fmt.Errorf("%s: %s of job %s under attempt %d of %s, after attempt %d of %s was known", f.Node, f.Name, key[1], now.number, now.holder, old.number, old.holder)
	}
	c.fences[key] = now
	if !slices.Contains(c.fenced[key[1]], now) {
		c.fenced[key[1]] = append(c.fenced[key[1]], now)
	}
	return nil
}

func (c *oneOutcome) artifact(f check.Fact) error {
	job, now := f.Text("job"), f.Text("artifact")
	if old, found := c.artifacts[job]; found && old != now {
		return fmt.Errorf("job %s has two artifacts, %s and, by attempt %d of %s, %s", job, old, f.Int("attempt"), f.Text("holder"), now)
	}
	c.artifacts[job] = now
	return nil
}

// Poll demands that no patrick forgets a final state for a lesser one.
func (c *oneOutcome) Poll(v check.View) error {
	up, _ := patricksUp(v)
	for _, name := range slices.Sorted(maps.Keys(up)) {
		for _, job := range c.order {
			key := [2]string{name, job}
			was, is := c.seen[key], up[name].Status(job)
			if was.Final() && is < was {
				return fmt.Errorf("job %s was %s on %s and is now %s", job, was, name, is)
			}
			c.seen[key] = is
		}
	}
	return nil
}

// Settled demands that what was published succeeded.
func (c *oneOutcome) Settled(v check.View) error {
	up, _ := patricksUp(v)
	for _, job := range c.published {
		for _, name := range slices.Sorted(maps.Keys(up)) {
			switch j := up[name].Job(job); {
			case j.Status != patrickapi.Success:
				return fmt.Errorf("job %s was published and is %s on %s", job, j.Status, name)
			case j.Artifact != c.artifacts[job]:
				return fmt.Errorf("job %s was published with artifact %s and has %s on %s", job, c.artifacts[job], j.Artifact, name)
			}
		}
	}
	return nil
}

// oneHolder: mutual exclusion, as far as it can be had.
type oneHolder struct {
	since  map[string]conflict
	grants map[string][]grantFact // by job
}

// grantFact is a grant and whether it is known to have ended.
type grantFact struct {
	node  string
	token attempt
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
	switch {
	case f.Name == "job-granted":
		now := grantFact{node: f.Node, token: attemptOf(f)}
		if old, found := c.held(job, now); found {
			return fmt.Errorf("%s grants attempt %d of job %s to %s, while attempt %d of %s, which it granted, has not ended",
				f.Node, now.token.number, job, now.token.holder, old.token.number, old.token.holder)
		}
		c.grants[job] = append(c.grants[job], now)
	case f.Name == "job-released", f.Name == "job-expired":
		for i, g := range c.grants[job] {
			if g.token == attemptOf(f) {
				c.grants[job][i].ended = true
			}
		}
	case f.Name == "job-finished" && f.Text("status") == patrickapi.Success.String():
		delete(c.grants, job)
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
		if g.node == now.node && !g.token.less(last.token) {
			last = g
		}
	}
	for _, g := range c.grants[job] {
		if g.node != now.node && last.token.less(g.token) {
			return last, false
		}
	}
	return last, last.node != "" && !last.ended
}

func (c *oneHolder) Poll(v check.View) error {
	if err := noneOverdue(v); err != nil {
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
func noneOverdue(v check.View) error {
	lease := leaseOf(v)
	if lease == 0 {
		return nil
	}
	for _, n := range v.Nodes() {
		m, ok := n.Service("monkey").(*monkey.Service)
		if !ok || !n.Up {
			continue
		}
		for _, h := range m.Holding() {
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
		m, ok := n.Service("monkey").(*monkey.Service)
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

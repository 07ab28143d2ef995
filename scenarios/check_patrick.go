package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// patrickChecks are the expectations about jobs and those that keep them.
func patrickChecks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "no-lost-jobs",
			Doc:  "every acknowledged push has its job: some patrick knows it whenever all are up, unless two or more disks of patricks were lost, or one and the patrick that acknowledged was alone",
			New:  func() check.Checker { return &noLostJobs{jobFigures: newJobFigures()} },
		},
		{
			Name: "ack-is-durable",
			Doc:  "an acknowledged job and its tree survive as many losses of patricks as the acknowledgement waited for copies less one, and one copy is only enough for a patrick that is alone",
			New:  func() check.Checker { return &ackIsDurable{} },
		},
		{
			Name: "dedupe",
			Doc:  "one push is one job, however often it is delivered",
			New:  func() check.Checker { return &dedupe{} },
		},
		{
			Name: "every-job-final",
			Doc:  "every acknowledged job has reached a final state, the same on all patricks",
			New:  func() check.Checker { return &everyJobFinal{jobFigures: newJobFigures()} },
		},
	}
}

// patricksUp returns the running patricks by node, and how many are not.
func patricksUp(v check.View) (up map[string]*patrick.Service, down int) {
	up = map[string]*patrick.Service{}
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, "patrick") {
			continue
		}
		if s, ok := n.Service("patrick").(*patrick.Service); ok && n.Up {
			up[n.Name] = s
		} else {
			down++
		}
	}
	return up, down
}

func knownToAny(up map[string]*patrick.Service, job string) bool {
	for _, s := range up {
		if s.Status(job) != patrickapi.Unknown {
			return true
		}
	}
	return false
}

// lostDisk reports whether a fact says that a disk is gone.
func lostDisk(f check.Fact) bool {
	return f.Service == "node" && f.Name == "crashed" && f.Text("disk-lost") == "true"
}

// diskLosses counts the nodes whose disk was lost.
type diskLosses map[string]bool

func (d *diskLosses) fact(f check.Fact) {
	if lostDisk(f) {
		if *d == nil {
			*d = diskLosses{}
		}
		(*d)[f.Node] = true
	}
}

// of counts those that run patrick.
func (d diskLosses) of(v check.View) (n int) {
	for _, node := range v.Nodes() {
		if d[node.Name] && slices.Contains(node.Services, "patrick") {
			n++
		}
	}
	return n
}

// promises is what acknowledgements are worth: a job survives the loss of fewer
// disks than its acknowledgement waited for.
type promises struct {
	lost diskLosses
	// copies is what a patrick waited for before it acknowledged, by job.
	copies map[string]int
}

func (p *promises) fact(f check.Fact) {
	p.lost.fact(f)
	if f.Name == "job-acked" {
		if p.copies == nil {
			p.copies = map[string]int{}
		}
		p.copies[f.Text("job")] = max(p.copies[f.Text("job")], int(f.Int("copies")))
	}
}

// void reports whether so many disks were lost that a job may be lost too.
func (p *promises) void(v check.View, job string) bool { return p.lost.of(v) >= p.copies[job] }

// noLostJobs: the promise to whoever pushed.
type noLostJobs struct {
	*jobFigures
	promises
}

func (*noLostJobs) Name() string { return "no-lost-jobs" }

// Figures implements check.Figures.
func (c *noLostJobs) Figures() map[string]float64 { return c.figures() }

func (c *noLostJobs) Fact(f check.Fact) error {
	c.promises.fact(f)
	return c.jobFigures.Fact(f)
}

func (c *noLostJobs) Poll(v check.View) error {
	up, down := patricksUp(v)
	if down > 0 {
		return nil
	}
	for _, job := range c.acknowledged() {
		if !knownToAny(up, job) && !c.void(v, job) {
			return fmt.Errorf("job %s was acknowledged, and no patrick knows it though all are up", job)
		}
	}
	return nil
}

// ackIsDurable follows each acknowledgement by patrick itself.
type ackIsDurable struct {
	acks map[string]ack
	// fresh are the acknowledgements since the last poll with one copy only.
	fresh []freshAck
	// losses are the disks that were lost, and when.
	losses []diskLoss
	// since is when two patricks were first seen connected, with no break.
	since map[[2]string]time.Duration
}

type ack struct {
	copies int
	node   string
	at     time.Duration
}

type diskLoss struct {
	node string
	at   time.Duration
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
	switch {
	case f.Service == "patrick" && f.Name == "job-acked":
		job, copies := f.Text("job"), int(f.Int("copies"))
		if old := c.acks[job]; copies > old.copies {
			c.acks[job] = ack{copies: copies, node: f.Node, at: f.At}
		}
		if copies < 2 {
			c.fresh = append(c.fresh, freshAck{job, f.Node})
		}
	case lostDisk(f):
		c.losses = append(c.losses, diskLoss{f.Node, f.At})
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
	for _, s := range up {
		if s.Status(job).Final() || s.HasTree(job) {
			return nil
		}
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
	for i, a := range names {
		for _, b := range names[i+1:] {
			pair := [2]string{a, b}
			if !v.Connected(a, b) {
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

// dedupe: a push is known by what was pushed.
type dedupe struct {
	jobs  map[string]string // by what was pushed
	order []string          // all jobs, as they became known
	// known are the jobs that a patrick had made or heard of, since it last
	// crashed and may have forgotten, by node and job.
	known map[[2]string]bool
}

func (*dedupe) Name() string { return "dedupe" }

func (c *dedupe) Fact(f check.Fact) error {
	if c.jobs == nil {
		c.jobs, c.known = map[string]string{}, map[[2]string]bool{}
	}
	switch {
	case f.Name == "push-acknowledged":
		return c.one(f.Text("project")+" "+f.Text("branch")+" "+f.Text("commit"), f.Text("job"))
	case f.Name == "job-accepted":
		key := [2]string{f.Node, f.Text("job")}
		if c.known[key] {
			return fmt.Errorf("%s accepted the push of job %s, which it knew", f.Node, key[1])
		}
		c.known[key] = true
		return c.one(f.Text("project")+" "+f.Text("branch")+" "+f.Text("commit"), f.Text("job"))
	case f.Service == "node" && f.Name == "crashed":
		maps.DeleteFunc(c.known, func(key [2]string, _ bool) bool { return key[0] == f.Node })
	}
	return nil
}

func (c *dedupe) one(push, job string) error {
	if old, found := c.jobs[push]; found && old != job {
		return fmt.Errorf("one push (%s) is two jobs, %s and %s", push, old, job)
	}
	if c.jobs[push] == "" {
		c.order = append(c.order, job)
	}
	c.jobs[push] = job
	return nil
}

// Poll notes who has heard of what.
func (c *dedupe) Poll(v check.View) error {
	up, _ := patricksUp(v)
	for name, s := range up {
		for _, job := range c.order {
			if s.Status(job) != patrickapi.Unknown {
				c.known[[2]string{name, job}] = true
			}
		}
	}
	return nil
}

// everyJobFinal: each acknowledged job ends, and all agree how.
type everyJobFinal struct {
	*jobFigures
	promises
}

func (*everyJobFinal) Name() string { return "every-job-final" }

func (c *everyJobFinal) Fact(f check.Fact) error {
	c.promises.fact(f)
	return c.jobFigures.Fact(f)
}

func (c *everyJobFinal) Settled(v check.View) error {
	up, down := patricksUp(v)
	if down > 0 {
		return fmt.Errorf("%d patricks are down", down)
	}
	names := slices.Sorted(maps.Keys(up))
	for _, job := range c.acknowledged() {
		if !knownToAny(up, job) && c.void(v, job) {
			continue
		}
		for _, name := range names {
			s := up[name].Status(job)
			if !s.Final() {
				return fmt.Errorf("job %s is %s on %s: %s", job, s, name, describeJob(up[name].Job(job)))
			}
			if first := up[names[0]].Status(job); s != first {
				return fmt.Errorf("job %s is %s on %s and %s on %s", job, first, names[0], s, name)
			}
		}
	}
	return nil
}

func describeJob(j patrickapi.Job) string {
	return fmt.Sprintf("%d attempts, last token %d/%s, cancelling %v", j.Attempts, j.Token.Attempt, j.Token.Holder.Short(), j.Cancelling)
}

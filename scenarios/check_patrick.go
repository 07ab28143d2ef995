package scenarios

import (
	"fmt"
	"maps"
	"math"
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
			Doc:  "every acknowledged push has its job: some patrick knows it whenever all are up, or that it has ended and was forgotten as one too many, unless two or more disks of patricks were lost, or one and the patrick that acknowledged was alone",
			New:  func() check.Checker { return &noLostJobs{jobFigures: newJobFigures()} },
		},
		{
			Name: "answers-are-true",
			Doc:  "whatever a user asks patricks and monkeys at any moment - jobs, lists, logs, what is open, what is being done - is answered with what users did and what became of it, and never with less than was told before; after healing a list of all jobs tells the end of each",
			New:  func() check.Checker { return newAnswers() },
		},
		{
			Name: "ack-is-durable",
			Doc:  "an acknowledged job and its tree survive as many losses of patricks as the acknowledgement waited for copies less one, and one copy is only enough for a patrick that is alone",
			New:  func() check.Checker { return &ackIsDurable{} },
		},
		{
			Name: "dedupe",
			Doc:  "one push is one job, however often and however late it is delivered",
			New:  func() check.Checker { return &dedupe{} },
		},
		{
			Name: "every-job-final",
			Doc:  "every acknowledged job has reached a final state, the same on all patricks, or was forgotten by all after it had",
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

// forgotByAny reports whether a patrick knows that a job has ended and was
// forgotten.
func forgotByAny(up map[string]*patrick.Service, job string) bool {
	for _, s := range up {
		if s.Forgot(job) {
			return true
		}
	}
	return false
}

// treeAtAny reports whether the tree of an active job is anywhere, also where
// the job is not known yet, or is needed no more.
func treeAtAny(up map[string]*patrick.Service, job string) bool {
	source := ""
	for _, s := range up {
		if s.Status(job).Final() || s.Forgot(job) {
			return true
		}
		source = max(source, s.Source(job))
	}
	for _, s := range up {
		if s.HasSource(source) {
			return true
		}
	}
	return false
}

// diskLoss is a node that lost what was on its disk, or some of it.
type diskLoss struct {
	node string
	at   time.Duration
}

// forGood is when a rotten disk loses something: whenever its node starts from
// it again, also what was written later, until another replica supplies it.
const forGood = time.Duration(math.MaxInt64)

type diskLosses []diskLoss

func (d *diskLosses) fact(f check.Fact) {
	switch {
	case f.Service != "node":
	case f.Name == "disk-rotted":
		*d = append(*d, diskLoss{f.Node, forGood})
	case f.Name == "crashed" && f.Text("disk-lost") == "true":
		*d = append(*d, diskLoss{f.Node, f.At})
	}
}

// since counts the nodes with a service that lost something after a moment.
func (d diskLosses) since(at time.Duration, v check.View, service string) int {
	lost := map[string]bool{}
	for _, l := range d {
		if l.at > at {
			lost[l.node] = true
		}
	}
	if len(lost) == 0 {
		return 0
	}
	n := 0
	for _, node := range v.Nodes() {
		if lost[node.Name] && slices.Contains(node.Services, service) {
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
func (p *promises) void(v check.View, job string) bool {
	return p.lost.since(0, v, "patrick") >= p.copies[job]
}

// noLostJobs: the promise to whoever pushed.
type noLostJobs struct {
	check.Tally
	*jobFigures
	promises
	// keptMax is the most jobs that a patrick knew of.
	keptMax int
}

func (*noLostJobs) Name() string { return "no-lost-jobs" }

// Figures implements check.Figures.
func (c *noLostJobs) Figures() map[string]float64 {
	out := c.figures()
	out["jobs.kept.max"] = float64(c.keptMax)
	return out
}

func (c *noLostJobs) Fact(f check.Fact) error {
	c.promises.fact(f)
	if f.Name == "job-forgotten" {
		if err := c.mayForget(f.Text("job")); err != nil {
			return fmt.Errorf("%s: %w", f.Node, err)
		}
	}
	return c.jobFigures.Fact(f)
}

// mayForget: only what has ended is forgotten.
func (c *noLostJobs) mayForget(job string) error {
	if j := c.jobs[job]; j == nil || !j.status.Final() {
		return fmt.Errorf("job %s is forgotten, and nobody has said that it ended", job)
	}
	return nil
}

func (c *noLostJobs) Poll(v check.View) error {
	up, down := patricksUp(v)
	for _, p := range up {
		c.keptMax = max(c.keptMax, p.Known())
	}
	if down > 0 {
		if len(c.jobs) > 0 {
			c.Excused("a patrick is down, which may be the one that knows")
		}
		return nil
	}
	for _, job := range c.acknowledged() {
		switch {
		case knownToAny(up, job), forgotByAny(up, job), c.covered(up, job):
		case c.void(v, job):
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		default:
			return fmt.Errorf("job %s was acknowledged, and no patrick knows it though all are up", job)
		}
		c.Evaluated()
	}
	return nil
}

// covered reports whether a job that was forgotten is not even remembered any
// more, as there are many newer ones.
func (c *noLostJobs) covered(up map[string]*patrick.Service, job string) bool {
	if !c.jobs[job].forgotten {
		return false
	}
	for _, s := range up {
		if s.Overtaken(job) {
			return true
		}
	}
	return false
}

// dedupe: a push is known by its event.
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
		return c.one(f.Text("project")+" "+f.Text("branch")+" "+f.Text("event"), f.Text("job"))
	case f.Name == "job-accepted":
		key := [2]string{f.Node, f.Text("job")}
		if c.known[key] {
			return fmt.Errorf("%s accepted the push of job %s, which it knew", f.Node, key[1])
		}
		c.known[key] = true
		return c.one(f.Text("project")+" "+f.Text("branch")+" "+f.Text("event"), f.Text("job"))
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
			if s.Status(job) != patrickapi.Unknown || s.Forgot(job) {
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
		if c.void(v, job) && !treeAtAny(up, job) {
			continue // lost, or about to fail for want of a tree
		}
		if c.jobs[job].forgotten {
			if err := forgotByAll(up, names, job); err != nil {
				return err
			}
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

// forgotByAll demands that nobody keeps what was forgotten once.
func forgotByAll(up map[string]*patrick.Service, names []string, job string) error {
	for _, name := range names {
		if s := up[name].Status(job); s != patrickapi.Unknown {
			return fmt.Errorf("job %s was forgotten and is %s on %s", job, s, name)
		}
	}
	return nil
}

func describeJob(j patrickapi.Job) string {
	return fmt.Sprintf("%d attempts, last token %d/%s, cancelling %v", j.Attempts, j.Token.Attempt, j.Token.Holder.Short(), j.Cancelling)
}

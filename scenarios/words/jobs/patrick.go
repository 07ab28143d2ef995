package jobs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// PatrickChecks are the expectations about jobs and those that keep them.
func PatrickChecks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "no-lost-jobs",
			Doc:  "no push is acknowledged before some patrick has made its job durable, and it has its job: some patrick knows it whenever all are up, or that it has ended and was forgotten as one too many, unless as many disks were lost at once as the acknowledgement waited for; and only then its tree is given up for lost",
			New:  func() check.Checker { return newNoLostJobs() },
		},
		{
			Name: "answers-are-true",
			Doc:  "whatever a user asks patricks and monkeys at any moment - jobs, lists, logs, what is open, what is being done - is answered with what users did and what became of it, and never with less than was told before; after healing a list of all jobs tells the end of each",
			New:  func() check.Checker { return newAnswers() },
		},
		{
			Name: "cancelled-is-not-published",
			Doc:  "what was cancelled, or made superfluous by a newer push, is not granted and not published any more, from when everybody has heard of it in a cloud that is whole; and it ends",
			New:  func() check.Checker { return newCancelHeeded() },
		},
		{
			Name: "ack-is-durable",
			Doc:  "when a job is acknowledged, it and its tree are on as many disks as the acknowledgement says; they survive the loss of fewer patricks than that; and one copy is only enough for a patrick that is alone; grants, reports, cancellations and rebuilds are on disks, too, when their answers arrive",
			New:  func() check.Checker { return newAckIsDurable() },
		},
		{
			Name: "dedupe",
			Doc:  "one push is one job, however often and however late it is delivered, and two pushes are two",
			New:  func() check.Checker { return newDedupe() },
		},
		{
			Name: "every-job-final",
			Doc:  "every acknowledged job has reached a final state, the same on all patricks, or was forgotten by all after it had",
			New:  func() check.Checker { return newEveryJobFinal() },
		},
	}
}

// patricksUp returns the running patricks by node, and how many are not.
func patricksUp(v check.View) (up map[string]Patrick, down int) {
	up = map[string]Patrick{}
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, "patrick") {
			continue
		}
		if s, ok := n.Service("patrick").(Patrick); ok && n.Up {
			up[n.Name] = s
		} else {
			down++
		}
	}
	return up, down
}

func knownToAny(up map[string]Patrick, job string) bool {
	for _, s := range up {
		if s.Status(job) != patrickapi.Unknown {
			return true
		}
	}
	return false
}

// forgotByAny reports whether a patrick knows that a job has ended and was
// forgotten.
func forgotByAny(up map[string]Patrick, job string) bool {
	for _, s := range up {
		if s.Forgot(job) {
			return true
		}
	}
	return false
}

// treeAtAny reports whether the tree of an active job is anywhere, also where
// the job is not known yet, or is needed no more.
func treeAtAny(up map[string]Patrick, job string) bool {
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

// noLostJobs: the promise to whoever pushed.
type noLostJobs struct {
	check.Tally
	*jobFigures
	jobPromises
	pushed evidence.Rota
	// keptMax is the most jobs that a patrick knew of.
	keptMax int
	// storedMax is the most trees, logs and artifacts that were on one node's disk
	// for its patrick, and for its monkey.
	storedMax [2]int
}

func newNoLostJobs() *noLostJobs {
	return &noLostJobs{jobFigures: newJobFigures(), jobPromises: newJobPromises()}
}

func (*noLostJobs) Name() string { return "no-lost-jobs" }

// Figures implements check.Figures.
func (c *noLostJobs) Figures() map[string]float64 {
	out := c.figures()
	out["jobs.kept.max"] = float64(c.keptMax)
	out["stored.patrick.max"], out["stored.monkey.max"] = float64(c.storedMax[0]), float64(c.storedMax[1])
	return out
}

// Fact implements check.OnFact: nobody is told that his push survives before it
// was made to.
func (c *noLostJobs) Fact(f check.Fact) error {
	c.jobPromises.fact(f)
	if f.Name == "push-acknowledged" {
		c.pushed.Add(f.Text("job"), f.At)
		if c.Copies(f.Text("job")) == 0 && f.Text("forgotten") != "true" {
			return fmt.Errorf("the push of job %s is acknowledged, which no patrick has made durable", f.Text("job"))
		}
	}
	if f.Name == "tree-lost" && c.Copies(f.Text("job")) > 0 && !c.Void(f.Text("job")) {
		return fmt.Errorf("%s: the tree of job %s is given up for lost, and fewer disks were lost than it was acknowledged to be on", f.Node, f.Text("job"))
	}
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

// Poll implements check.OnPoll.
func (c *noLostJobs) Poll(v check.View) error {
	c.Look(v)
	up, down := patricksUp(v)
	for _, n := range v.Nodes() {
		if m, ok := n.Service("monkey").(Monkey); ok && n.Up {
			c.storedMax[1] = max(c.storedMax[1], m.Stored())
		}
	}
	for _, p := range up {
		c.keptMax, c.storedMax[0] = max(c.keptMax, p.Known()), max(c.storedMax[0], p.Stored())
	}
	for _, part := range c.pushed.Due(v.Now()) {
		if down > 0 {
			if len(part) > 0 {
				c.Excused("a patrick is down, which may be the one that knows")
			}
			continue
		}
		for _, job := range part {
			if c.Void(job) {
				c.Excused("as many disks were lost as were promised to be survived")
				continue
			}
			c.Evaluated()
			if !knownToAny(up, job) && !forgotByAny(up, job) && !c.covered(up, job) {
				return fmt.Errorf("job %s was acknowledged, and no patrick knows it though all are up", job)
			}
		}
	}
	return nil
}

// covered reports whether a job that was forgotten is not even remembered any
// more, as there are many newer ones.
func (c *noLostJobs) covered(up map[string]Patrick, job string) bool {
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
	check.Tally
	jobs   map[string]string // by what was pushed
	pushes map[string]string // what was pushed, by job
	order  []string          // all jobs, as they became known
	// known are the jobs that a patrick had made or heard of, since it last
	// crashed and may have forgotten, by node; news those that it may yet hear of.
	known map[string]map[string]bool
	news  map[string][]string
	// accepted counts who took a job for new, fresh who was told so.
	accepted, fresh map[string]int
}

func newDedupe() *dedupe {
	return &dedupe{jobs: map[string]string{}, pushes: map[string]string{}, known: map[string]map[string]bool{}, news: map[string][]string{}, accepted: map[string]int{}, fresh: map[string]int{}}
}

func (*dedupe) Name() string { return "dedupe" }

// Fact implements check.OnFact.
func (c *dedupe) Fact(f check.Fact) error {
	switch {
	case f.Name == "push-sent":
		return c.one(f)
	case f.Name == "push-acknowledged":
		if f.Text("duplicate") == "true" && f.Int("tries") == 1 && c.pushes[f.Text("job")] == "" {
			return fmt.Errorf("the push of job %s is taken for a duplicate, and nobody had pushed it before", f.Text("job"))
		}
		if f.Text("duplicate") != "true" {
			if c.fresh[f.Text("job")]++; c.fresh[f.Text("job")] > c.accepted[f.Text("job")] {
				return fmt.Errorf("the push of job %s is acknowledged as new %d times, %d patricks accepted it", f.Text("job"), c.fresh[f.Text("job")], c.accepted[f.Text("job")])
			}
		}
		return c.one(f)
	case f.Name == "job-accepted":
		c.accepted[f.Text("job")]++
		if c.known[f.Node][f.Text("job")] {
			return fmt.Errorf("%s accepted the push of job %s, which it knew", f.Node, f.Text("job"))
		}
		c.knows(f.Node, f.Text("job"))
		return c.one(f)
	case f.Service == "node" && f.Name == "crashed" && c.known[f.Node] != nil:
		delete(c.known, f.Node)
		c.news[f.Node] = slices.Clone(c.order)
	}
	return nil
}

func (c *dedupe) knows(node, job string) {
	if c.known[node] == nil {
		c.known[node] = map[string]bool{}
	}
	c.known[node][job] = true
}

// one demands that what was pushed and its job belong together.
func (c *dedupe) one(f check.Fact) error {
	job := f.Text("job")
	push := fmt.Sprintf("%s %s commit %s event %s", f.Text("project"), f.Text("branch"), f.Text("commit"), f.Text("event"))
	c.Evaluated()
	if old := c.jobs[push]; old != "" && old != job {
		return fmt.Errorf("one push (%s) is two jobs, %s and %s", push, old, job)
	}
	if old := c.pushes[job]; old != "" && old != push {
		return fmt.Errorf("two pushes (%s, and %s) are one job, %s", old, push, job)
	}
	if c.pushes[job] == "" {
		c.order = append(c.order, job)
		for node := range c.news {
			c.news[node] = append(c.news[node], job)
		}
	}
	c.jobs[push], c.pushes[job] = job, push
	return nil
}

// Poll notes who has heard of what.
func (c *dedupe) Poll(v check.View) error {
	up, _ := patricksUp(v)
	for name, s := range up {
		news, followed := c.news[name]
		if !followed {
			news = slices.Clone(c.order)
		}
		c.news[name] = slices.DeleteFunc(news, func(job string) bool {
			if s.Status(job) == patrickapi.Unknown && !s.Forgot(job) {
				return false
			}
			c.knows(name, job)
			return true
		})
	}
	return nil
}

// everyJobFinal: each acknowledged job ends, and all agree how.
type everyJobFinal struct {
	check.Tally
	*jobFigures
	jobPromises
}

func newEveryJobFinal() *everyJobFinal {
	return &everyJobFinal{jobFigures: newJobFigures(), jobPromises: newJobPromises()}
}

func (*everyJobFinal) Name() string { return "every-job-final" }

// Fact implements check.OnFact.
func (c *everyJobFinal) Fact(f check.Fact) error {
	c.jobPromises.fact(f)
	return c.jobFigures.Fact(f)
}

// Poll implements check.OnPoll.
func (c *everyJobFinal) Poll(v check.View) error {
	c.Look(v)
	return nil
}

// Settled implements check.OnSettled.
func (c *everyJobFinal) Settled(v check.View) error {
	if err := check.Missing(v, "patrick"); err != nil {
		return err
	}
	up, _ := patricksUp(v)
	names := slices.Sorted(maps.Keys(up))
	for _, job := range c.acknowledged() {
		if c.Void(job) && !knownToAny(up, job) && !forgotByAny(up, job) {
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		}
		c.Evaluated()
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
func forgotByAll(up map[string]Patrick, names []string, job string) error {
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

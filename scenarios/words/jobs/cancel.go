package jobs

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// cancelHeeded: what a user has cancelled, or made superfluous by a newer push, is
// not begun any more and not published. In a cloud that is whole everybody hears
// of it at once; a holder at its next renewal, a third of the lease later.
type cancelHeeded struct {
	check.Tally
	evidence.Surroundings
	evidence.Calm
	jobs map[string]*doomed
	// branches are the jobs of a branch that may still be superseded.
	branches map[string][]*doomed
	wins     map[string]bool // jobs whose pushes supersede older ones
}

// doomed is a job and since when nobody wants it, 0 while somebody does.
type doomed struct {
	id    string
	since time.Duration
	why   string
	// rebuilds is how often it was begun anew.
	rebuilds int64
	// grace is how long its holder may go on.
	grace    time.Duration
	accepted bool // some patrick has it
	ended    bool // it has come to an end
	holder   transport.Peer
	// disturbed: its last holder could not hear of it in time.
	disturbed bool
}

const (
	// hearWithin is how long it takes until all patricks that can talk to each other
	// know of a cancellation.
	hearWithin = 3 * time.Second
	// tellWithin is how long after its lease's third a holder may still publish.
	tellWithin = 5 * time.Second
)

func newCancelHeeded() *cancelHeeded {
	return &cancelHeeded{Surroundings: evidence.NewSurroundings(), Calm: evidence.NewCalm("patrick", "tns"), jobs: map[string]*doomed{}, branches: map[string][]*doomed{}, wins: map[string]bool{}}
}

func (*cancelHeeded) Name() string { return "cancelled-is-not-published" }

// Fact implements check.OnFact.
func (c *cancelHeeded) Fact(f check.Fact) error {
	c.Surroundings.Learn(f)
	c.Calm.Learn(f)
	job := c.jobs[f.Text("job")]
	switch {
	case f.Name == "push-sent":
		c.sent(f)
	case f.Name == "push-acknowledged":
		c.push(f)
	case job == nil:
	case f.Name == "job-accepted":
		job.accepted = true
	case f.Name == "job-rebuilt":
		job.since, job.ended, job.rebuilds = 0, false, max(job.rebuilds, f.Int("rebuilds"))
	case f.Name == "cancel-acknowledged":
		c.cancelled(f, job)
	case f.Name == "job-finished":
		job.ended = true
	case f.Name == "job-granted":
		return c.granted(f, job)
	case f.Service == "tns" && f.Name == "published":
		return c.published(f, job)
	}
	return nil
}

// cancelled notes what a user was told: of a job that is cancelled nothing is
// published any more, of one that will be its holder must hear first.
// What was begun anew while the answer was on its way is wanted again.
func (c *cancelHeeded) cancelled(f check.Fact, job *doomed) {
	if f.Int("rebuild") < job.rebuilds {
		return
	}
	switch statusCalled(f.Text("status")) {
	case patrickapi.Cancelled:
		c.doom(job, f.At, hearWithin, "it was cancelled")
	case patrickapi.Open, patrickapi.Locked:
		c.doom(job, f.At, c.Lease/3+tellWithin, "it was to be cancelled")
	}
}

func (c *cancelHeeded) doom(job *doomed, at, grace time.Duration, why string) {
	if job.since == 0 {
		c.Evaluated()
		job.since, job.grace, job.why = at, grace, why
	}
}

// sent notes a job from the first delivery of its push on: it may end before
// whoever pushed hears that it is accepted.
func (c *cancelHeeded) sent(f check.Fact) {
	id := f.Text("job")
	if c.jobs[id] == nil {
		branch := patrickapi.BranchOf(id)
		c.jobs[id] = &doomed{id: id}
		c.branches[branch] = append(c.branches[branch], c.jobs[id])
	}
	c.wins[id] = f.Text("newest-wins") == "true"
}

func (c *cancelHeeded) push(f check.Fact) {
	id := f.Text("job")
	branch := patrickapi.BranchOf(id)
	if !c.wins[id] {
		return
	}
	left := c.branches[branch][:0]
	for _, older := range c.branches[branch] {
		switch {
		case patrickapi.OrderOf(older.id) >= patrickapi.OrderOf(id):
			left = append(left, older)
		case older.accepted && !older.ended:
			c.doom(older, f.At, c.Lease/3+tellWithin, "a newer push was acknowledged")
		}
	}
	c.branches[branch] = left
}

// granted demands that nobody is given what nobody wants.
func (c *cancelHeeded) granted(f check.Fact, job *doomed) error {
	job.holder, _ = f.Get("holder").(transport.Peer)
	job.disturbed = false
	if job.since == 0 || f.At < job.since+hearWithin {
		return nil
	}
	if !c.Lasts(job.since) {
		c.Excused("the cloud was not whole")
		return nil
	}
	return fmt.Errorf("%s grants attempt %d of job %s, %v after %s", f.Node, f.Int("attempt"), job.id, f.At-job.since, job.why)
}

// published demands that a holder that could hear of it has stopped.
func (c *cancelHeeded) published(f check.Fact, job *doomed) error {
	if job.since == 0 || f.At < job.since+job.grace {
		return nil
	}
	if !c.Lasts(job.since) || job.disturbed {
		c.Excused("the cloud was not whole")
		return nil
	}
	return fmt.Errorf("%s lets attempt %d of job %s be published, %v after %s", f.Node, f.Int("attempt"), job.id, f.At-job.since, job.why)
}

// Poll implements check.OnPoll.
func (c *cancelHeeded) Poll(v check.View) error {
	c.Surroundings.Look(v)
	c.Calm.Look(v)
	for _, id := range slices.Sorted(mapsKeysWhere(c.jobs, func(j *doomed) bool { return j.since > 0 && !j.ended && !j.disturbed })) {
		job := c.jobs[id]
		for member := range c.Members {
			if name := c.Names[job.holder]; name != "" && !v.Connected(name, member) {
				job.disturbed = true
			}
		}
	}
	return nil
}

// mapsKeysWhere lists the keys whose values fulfil a condition.
func mapsKeysWhere[K comparable, V any](m map[K]V, f func(V) bool) func(yield func(K) bool) {
	return func(yield func(K) bool) {
		for k, v := range m {
			if f(v) && !yield(k) {
				return
			}
		}
	}
}

// Settled demands that what was cancelled has ended.
func (c *cancelHeeded) Settled(v check.View) error {
	if err := check.Missing(v, "patrick"); err != nil {
		return err
	}
	for _, id := range slices.Sorted(mapsKeysWhere(c.jobs, func(j *doomed) bool { return j.since > 0 })) {
		c.Evaluated()
		if job := c.jobs[id]; !job.ended {
			return fmt.Errorf("job %s has not ended, %v after %s", id, v.Now()-job.since, job.why)
		}
	}
	return nil
}

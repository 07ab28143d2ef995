package jobs

import (
	"time"

	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
)

// jobFigures follows jobs by facts and counts them. It is part of several
// checkers.
type jobFigures struct {
	jobs  map[string]*jobStory
	order []string // of jobs, by their first fact
}

// jobStory is what facts say of one job.
type jobStory struct {
	sent         time.Duration
	acknowledged bool
	// forgotten: it had ended, and a patrick let it go.
	forgotten bool
	// status is the greatest final one that was decided, final when.
	status patrickapi.Status
	final  time.Duration
}

func newJobFigures() *jobFigures { return &jobFigures{jobs: map[string]*jobStory{}} }

// Fact implements check.OnFact.
func (c *jobFigures) Fact(f check.Fact) error {
	switch f.Name {
	case "push-sent":
		c.story(f).sent = f.At
	case "push-acknowledged":
		c.story(f).acknowledged = true
	case "job-forgotten":
		c.story(f).forgotten = true
	case "job-rebuilt":
		if j := c.story(f); j.status != patrickapi.Success {
			j.status = patrickapi.Unknown
		}
	case "job-finished":
		j := c.story(f)
		if s := statusNamed(f.Text("status")); s > j.status {
			j.status, j.final = s, f.At
		}
	}
	return nil
}

func (c *jobFigures) story(f check.Fact) *jobStory {
	id := f.Text("job")
	j := c.jobs[id]
	if j == nil {
		j = &jobStory{sent: f.At}
		c.jobs[id] = j
		c.order = append(c.order, id)
	}
	return j
}

func statusNamed(name string) patrickapi.Status {
	for _, s := range []patrickapi.Status{patrickapi.Failed, patrickapi.Cancelled, patrickapi.Success} {
		if s.String() == name {
			return s
		}
	}
	return patrickapi.Unknown
}

// acknowledged lists the jobs whose pushes were acknowledged, oldest first.
func (c *jobFigures) acknowledged() []string {
	var ids []string
	for _, id := range c.order {
		if c.jobs[id].acknowledged {
			ids = append(ids, id)
		}
	}
	return ids
}

// figures are what was counted.
func (c *jobFigures) figures() map[string]float64 {
	out := map[string]float64{
		"jobs.pushed": float64(len(c.jobs)), "jobs.acknowledged": float64(len(c.acknowledged())),
		"jobs.succeeded": 0, "jobs.failed": 0, "jobs.cancelled": 0, "jobs.forgotten": 0,
	}
	for _, j := range c.jobs {
		if j.forgotten {
			out["jobs.forgotten"]++
		}
		switch j.status {
		case patrickapi.Success:
			out["jobs.succeeded"]++
		case patrickapi.Failed:
			out["jobs.failed"]++
		case patrickapi.Cancelled:
			out["jobs.cancelled"]++
		}
	}
	return out
}

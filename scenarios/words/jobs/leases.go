package jobs

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/sim/check"
)

// leases is when each patrick last granted or renewed what it measures the lease of:
// by node and job.
type leases map[[2]string]lastRenewal

type lastRenewal struct {
	token evidence.Attempt
	at    time.Duration
}

// earlyEnd is a grant that a patrick has ended as not renewed, and how long after
// it had granted or renewed it itself.
type earlyEnd struct {
	node, job string
	after     time.Duration
}

// take notes a fact. It reports an end that is to be judged: of what the same
// patrick has granted or renewed. One that has taken over from another does not know
// of that one's renewals.
func (l leases) take(f check.Fact) (end earlyEnd, judged bool) {
	key := [2]string{f.Node, f.Text("job")}
	last, known := l[key]
	switch f.Name {
	case "job-granted", "job-renewed":
		l[key] = lastRenewal{token: evidence.AttemptOf(f), at: f.At}
	case "job-expired", "job-released":
		delete(l, key)
		judged = known && f.Text("reason") == "not renewed" && last.token == evidence.AttemptOf(f)
	}
	return earlyEnd{node: f.Node, job: key[1], after: f.At - last.at}, judged
}

// driftMax is how many times as fast as it should a clock may run: fault drift.
const driftMax = 1.5

// noneEarly demands that a grant which ended as not renewed has had its whole lease
// since its last renewal, by the fastest clock that there may be.
func (c *oneHolder) noneEarly(v check.View) error {
	ends := c.early
	c.early = nil
	for _, n := range v.Nodes() {
		s, ok := n.Service("patrick").(Patrick)
		for _, end := range ends {
			if !ok || end.node != n.Name {
				continue
			}
			c.Evaluated()
			if lease := s.Lease(); float64(end.after)*driftMax < 0.99*float64(lease) {
				return fmt.Errorf("%s ended the grant of job %s as not renewed, %v after it had renewed it, within the lease of %v", n.Name, end.job, end.after, lease)
			}
		}
	}
	return nil
}

package patrick

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// limits bound how often a job is tried.
type limits struct {
	failuresMax int
	lossesMax   int
	backoffMin  time.Duration
	backoffMax  time.Duration
	// overtaken: so many newer pushes of the branch have ended and are forgotten that this one may
	// be among them.
	overtaken bool
	// treeLost: no patrick has its tree any more.
	treeLost bool
}

// verdict is a coordinator's decision about a job that is neither final nor held.
type verdict struct {
	// close ends the job with Failed or Cancelled; Unknown leaves it open.
	close  patrickapi.Status
	reason string
	// wait is how long to wait before the next attempt is granted.
	wait time.Duration
}

// decide returns the verdict about a job, which is zero for one that is final or held. Only a
// coordinator decides, and it records the decision: settings may differ from patrick to patrick,
// and a closed job must stay closed.
func decide(s State, l limits) verdict {
	switch {
	case s.Status != patrickapi.Open:
		return verdict{}
	case s.Permanent != "":
		return verdict{close: patrickapi.Failed, reason: s.Permanent}
	case s.Cancel != nil:
		return verdict{close: patrickapi.Cancelled, reason: s.Cancel.Reason}
	case l.overtaken && s.Rebuilds == 0:
		return verdict{close: patrickapi.Cancelled, reason: "newer pushes of the branch ended long ago"}
	case l.treeLost:
		return verdict{close: patrickapi.Failed, reason: "what was pushed is lost: no patrick has its tree any more; push it again"}
	case s.Failures >= l.failuresMax:
		return verdict{close: patrickapi.Failed, reason: fmt.Sprintf("%d attempts failed, the last one with: %s", s.Failures, s.Outcome.Error)}
	case s.Losses >= l.lossesMax:
		return verdict{close: patrickapi.Failed, reason: fmt.Sprintf("%d attempts were lost", s.Losses)}
	}
	return verdict{wait: backoff(s.Failures, l)}
}

// verdict applies decide to a job of this patrick.
func (s *Service) verdict(id string, state State) verdict {
	l := s.settings.limits()
	l.overtaken = s.board.memoryOf(id).covers(id)
	if j := s.board.active[id]; j != nil && j.treeLost {
		l.treeLost = !s.HasSource(state.Spec.Source) // it may have been pushed once more
	}
	return decide(state, l)
}

// backoff doubles with each failure. A lost attempt adds no wait: its lease has already delayed the
// next one.
func backoff(failures int, l limits) time.Duration {
	if failures == 0 {
		return 0
	}
	d := l.backoffMin
	for range failures - 1 {
		d = min(2*d, l.backoffMax)
	}
	return min(d, l.backoffMax)
}

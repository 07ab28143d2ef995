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
	// overtaken: so many newer pushes of the branch have ended and are forgotten
	// that it cannot be told whether this one has, too.
	overtaken bool
}

// verdict is what a coordinator does about a job that is neither final nor held.
type verdict struct {
	// close ends the job with Failed or Cancelled; Unknown leaves it open.
	close  patrickapi.Status
	reason string
	// wait is how long no attempt is granted.
	wait time.Duration
}

// decide says what becomes of a job. It returns a zero verdict for one that is
// final or held. Only a coordinator decides, and records what it decided: settings
// may differ from patrick to patrick, and what is closed must stay closed.
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
	case s.Failures >= l.failuresMax:
		return verdict{close: patrickapi.Failed, reason: fmt.Sprintf("%d attempts failed, the last one with: %s", s.Failures, s.Outcome.Error)}
	case s.Losses >= l.lossesMax:
		return verdict{close: patrickapi.Failed, reason: fmt.Sprintf("%d attempts were lost", s.Losses)}
	}
	return verdict{wait: backoff(s.Failures, l)}
}

// verdict is decide for a job of this patrick.
func (s *Service) verdict(id string, state State) verdict {
	l := s.settings.limits()
	l.overtaken = s.board.memoryOf(id).covers(id)
	return decide(state, l)
}

// backoff doubles with each failure. A lost attempt waits no longer: its lease
// was wait enough.
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

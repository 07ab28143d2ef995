package patrick

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// attendRetry is when something is tried again that the disk refused.
const attendRetry = time.Second

// follow starts the clocks that a change of state starts.
func (s *Service) follow(j *active, state State) {
	now := s.env.Loop.Elapsed()
	if state.Live && j.state.Top.Token != state.Top.Token {
		j.lease, j.buildMax = now+s.set.Lease, now+s.set.BuildMax
	}
	if state.Failures > j.state.Failures {
		j.notBefore = now + s.jittered(s.verdict(j.id, state).wait)
	}
	if state.Grants != j.state.Grants {
		j.round, j.sealed = 0, 0
	}
	j.state = state
	if state.Status == patrickapi.Open {
		s.startSweep()
	}
}

func (s *Service) jittered(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + time.Duration(s.env.Rand.Int64N(int64(d)/4+1))
}

// arm sets the one timer of a job to the next moment that something is due.
func (s *Service) arm(j *active) {
	j.stopTimer()
	now := s.env.Loop.Elapsed()
	due := time.Duration(-1)
	switch {
	case j.state.Live:
		due = min(j.lease, j.buildMax)
	case s.verdict(j.id, j.state).close != patrickapi.Unknown, j.notBefore > now:
		due = j.notBefore
	}
	if due >= 0 && !j.attending {
		j.timer = s.env.Loop.AfterFunc(max(0, due-now), func() { s.startAttend(j) })
	}
}

func (s *Service) startAttend(j *active) {
	j.attending = true
	s.env.Loop.Go("attend", func(ctx context.Context) {
		retry := s.attend(ctx, j)
		j.attending = false
		if s.board.active[j.id] != j {
			return
		}
		if retry > 0 {
			j.stopTimer()
			j.timer = s.env.Loop.AfterFunc(retry, func() { s.startAttend(j) })
			return
		}
		s.arm(j)
	})
}

// attend does what is due for a job if this patrick is its home. It returns
// when to look again, or 0 for what arm says.
func (s *Service) attend(ctx context.Context, j *active) time.Duration {
	_, isHome, err := s.peers.home(ctx, patrickapi.BranchOf(j.id))
	if err != nil || s.board.active[j.id] != j {
		return attendRetry
	}
	was := j.mine
	j.mine = isHome
	now := s.env.Loop.Elapsed()
	switch {
	case !isHome:
		return s.set.Lease
	case j.state.Live && !was: // a new home measures a whole lease
		j.lease = now + s.set.Lease
		return 0
	case j.state.Live && now < min(j.lease, j.buildMax):
		return 0 // renewed meanwhile
	case j.state.Live:
		return s.expire(j)
	case now < j.notBefore:
		return 0
	}
	return s.carryOn(ctx, j)
}

// expire ends a grant that was not renewed.
func (s *Service) expire(j *active) time.Duration {
	token, reason := j.state.Top.Token, "not renewed"
	if s.env.Loop.Elapsed() >= j.buildMax {
		reason = "took too long"
	}
	if err := s.record(j.id, loss{Token: token, Reason: reason, By: s.env.Self}); err != nil {
		s.env.Log.Warn("cannot expire a grant", "job", j.id, "err", err)
		return attendRetry
	}
	s.env.Observe("job-expired", node.F("job", j.id), node.F("attempt", token.Attempt), node.F("holder", token.Holder), node.F("reason", reason))
	s.offerNow(j.id)
	return 0
}

// carryOn closes an open job that is not to be tried again, or offers it.
func (s *Service) carryOn(ctx context.Context, j *active) time.Duration {
	if s.verdict(j.id, j.state).close != patrickapi.Unknown && s.mustSettle(j.id, j.state) {
		return s.settle(ctx, j)
	}
	if err := s.record(j.id); err != nil {
		s.env.Log.Warn("cannot close a job", "job", j.id, "err", err)
		return attendRetry
	}
	s.offerNow(j.id)
	return 0
}

// supersede asks to cancel a job if a newer push of its branch wants that.
func (s *Service) supersede(j *active) {
	by := s.board.supersededBy(j)
	if by == "" || j.state.Cancel != nil || s.board.active[j.id] != j {
		return
	}
	if err := s.record(j.id, cancel{Rebuild: j.state.Rebuilds, Cause: by, Reason: "superseded by a newer push", By: s.env.Self}); err != nil {
		s.env.Log.Warn("cannot supersede a job", "job", j.id, "err", err)
	}
}

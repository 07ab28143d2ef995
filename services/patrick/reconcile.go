package patrick

import (
	"context"
	"fmt"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

const (
	// reconcileRetry is the pause before a write that the disk refused is tried again.
	reconcileRetry = time.Second
	// attemptSlack is the time that an attempt may take besides the build: fetching the tree,
	// storing and publishing the artifact.
	attemptSlack = 3 * time.Minute
	// holderTimeout bounds the request that asks a holder whether it still holds its lock.
	holderTimeout = 1500 * time.Millisecond
)

// watchInterval is how often a patrick that is not the coordinator of a held job checks whether it
// has become it.
func (s *Service) watchInterval() time.Duration { return s.settings.Lease / 4 }

// follow starts the timers that follow from a change of state.
func (s *Service) follow(j *active, state State) {
	now := s.env.Loop.Elapsed()
	if state.Live && j.state.Top.Token != state.Top.Token {
		j.lease, j.buildMax = now+s.settings.Lease, now+s.settings.BuildMax+attemptSlack
	}
	if state.Halted && state.Rebuilds != j.state.Rebuilds { // its last holder may not know yet
		j.notBefore = now + s.settings.Lease
	}
	if state.Failures > j.state.Failures {
		j.notBefore = now + s.jittered(s.verdict(j.id, state).wait)
	}
	if state.Grants != j.state.Grants {
		j.round, j.fenceConflicts = 0, 0
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

// arm sets the job's timer to the next moment at which something is due.
func (s *Service) arm(j *active) {
	j.stopTimer()
	now := s.env.Loop.Elapsed()
	due := time.Duration(-1)
	switch {
	case j.state.Live && j.state.Cancel != nil:
		due = now
	case j.state.Live && !j.mine:
		due = now + s.watchInterval()/2
	case j.state.Live:
		due = min(j.lease, j.buildMax)
	case s.verdict(j.id, j.state).close != patrickapi.Unknown, j.notBefore > now:
		due = j.notBefore
	}
	if due >= 0 && !j.reconciling {
		j.timer = s.env.Loop.AfterFunc(max(0, due-now), func() { s.startReconcile(j) })
	}
}

func (s *Service) startReconcile(j *active) {
	j.reconciling = true
	s.env.Loop.Go("reconcile", func(ctx context.Context) {
		retry := s.reconcile(ctx, j)
		j.reconciling = false
		if s.board.active[j.id] != j {
			return
		}
		if retry > 0 {
			j.stopTimer()
			j.timer = s.env.Loop.AfterFunc(retry, func() { s.startReconcile(j) })
			return
		}
		s.arm(j)
	})
}

// reconcile does what is due for a job if this patrick is its coordinator. It returns the delay
// until the next reconciliation, or 0 to leave it to arm.
func (s *Service) reconcile(ctx context.Context, j *active) time.Duration {
	_, isCoordinator, err := s.peers.coordinator(ctx, patrickapi.BranchOf(j.id))
	if err != nil || s.board.active[j.id] != j {
		return reconcileRetry
	}
	was := j.mine
	j.mine = isCoordinator
	now := s.env.Loop.Elapsed()
	switch {
	case !isCoordinator:
		return s.watchInterval()
	case j.state.Live && j.state.Cancel != nil:
		return s.stopHolder(ctx, j)
	case j.state.Live && !was:
		takenOver.Hit()
		return s.takeOver(ctx, j)
	case j.state.Live && now < min(j.lease, j.buildMax):
		return 0 // renewed meanwhile
	case j.state.Live:
		return s.expire(j)
	case now < j.notBefore:
		return 0
	}
	return s.carryOn(ctx, j)
}

// takeOver begins to measure the lease of a grant that another coordinator has made, or this one
// before a restart: a whole lease, since a renewal may have been granted until now. But the holder
// is asked first: the lease of one that has forgotten its grant ends at once.
func (s *Service) takeOver(ctx context.Context, j *active) time.Duration {
	now, token := s.env.Loop.Elapsed(), j.state.Top.Token
	j.lease = now + s.settings.Lease
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, holderTimeout)
	defer cancel()
	resp, err := monkeyapi.Holds.Call(ctx, s.env.Wire, token.Holder, monkeyapi.HoldsRequest{Job: j.id, Token: token})
	if err == nil && !resp.Holds && s.board.active[j.id] == j && j.heldBy(token) && j.mine {
		return s.end(j, loss{Token: token, Reason: "its holder does not hold it", By: s.env.Self}, "forgotten")
	}
	return 0
}

// expire ends a grant that was not renewed, which is a loss, or whose attempt takes too long
// although it is renewed, which is a failure.
func (s *Service) expire(j *active) time.Duration {
	token := j.state.Top.Token
	if s.env.Loop.Elapsed() >= j.buildMax {
		text := fmt.Sprintf("the attempt took longer than %v", s.settings.BuildMax+attemptSlack)
		return s.end(j, result{Token: token, Error: text}, "took too long")
	}
	return s.end(j, loss{Token: token, Reason: "not renewed", By: s.env.Self}, "not renewed")
}

// end records the end of a grant whose holder has not reported.
func (s *Service) end(j *active, how record, reason string) time.Duration {
	token := j.state.Top.Token
	if err := s.addRecords(j.id, how); err != nil {
		s.env.Log.Warn("cannot expire a grant", "job", j.id, "err", err)
		return reconcileRetry
	}
	s.env.Observe("job-expired", node.F("job", j.id), node.F("attempt", token.Attempt), node.F("holder", token.Holder), node.F("reason", reason))
	s.offerNow(j.id)
	return 0
}

// carryOn closes an open job that is not to be tried again, or offers it.
func (s *Service) carryOn(ctx context.Context, j *active) time.Duration {
	if s.verdict(j.id, j.state).close != patrickapi.Unknown && s.mustAskTNS(j.id, j.state) {
		return s.closeUnlessPublished(ctx, j)
	}
	if err := s.addRecords(j.id); err != nil {
		s.env.Log.Warn("cannot close a job", "job", j.id, "err", err)
		return reconcileRetry
	}
	s.offerNow(j.id)
	return 0
}

// supersede requests a job's cancellation if a newer push of its branch supersedes it.
func (s *Service) supersede(j *active) {
	by := s.board.supersededBy(j)
	if by == "" || j.state.Cancel != nil || s.board.active[j.id] != j {
		return
	}
	if err := s.addRecords(j.id, cancel{Rebuild: j.state.Rebuilds, Cause: by, Reason: "superseded by a newer push", By: s.env.Self}); err != nil {
		s.env.Log.Warn("cannot supersede a job", "job", j.id, "err", err)
	}
}

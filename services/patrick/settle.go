package patrick

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// A holder that was lost may have published before. So before a coordinator closes
// such a job without success, it asks tns: first it fences, so that nothing can
// be published any more, then it looks whether something was. What tns made
// visible is the outcome, whether or not its holder lived to tell.

const (
	// settleRetry is when tns is asked again that did not answer.
	settleRetry = 3 * time.Second
	// sealPatience is how many times in a row tns may know of a newer attempt
	// before that is taken for one that no patrick will ever tell of: all that
	// knew have lost their disks.
	sealPatience = 20
)

// mustSettle reports whether tns may know more of a job that is to be closed.
func (s *Service) mustSettle(id string, state State) bool {
	if j := s.board.active[id]; j != nil && j.settled > 0 {
		return false
	}
	return s.mayBePublished(state)
}

// settle asks tns, and closes the job if nothing was published.
func (s *Service) settle(ctx context.Context, j *active) time.Duration {
	top := j.state.Top.Token
	next := j.state.nextAttempt() + uint64(j.sealed/sealPatience)
	published, err := s.publishedVersion(ctx, j.id, j.state, next)
	if transport.KindOf(err) == transport.Conflict {
		j.sealed++
	}
	if err != nil {
		s.env.Log.Info("a job waits for tns before it is closed", "job", j.id, "err", err)
		return settleRetry
	}
	if s.board.active[j.id] != j || j.state.Live || j.state.Top.Token != top {
		return 0 // things have moved on
	}
	if published == nil {
		j.settled = next
		err = s.record(j.id)
		j.settled = 0
	} else {
		err = s.adopt(*published)
	}
	if err != nil {
		s.env.Log.Warn("cannot close a job", "job", j.id, "err", err)
		return attendRetry
	}
	return 0
}

// haltedReason is why a grant ended whose job was cancelled.
const haltedReason = "the job was cancelled"

// stopHolder ends the grant of a job that is to be cancelled. First tns is told
// not to accept anything of it, so that what is cancelled is not published; if
// it was published already, that is the outcome.
func (s *Service) stopHolder(ctx context.Context, j *active) time.Duration {
	if err := s.halt(ctx, j); err != nil {
		s.env.Log.Info("a job waits for tns before it is cancelled", "job", j.id, "err", err)
		return settleRetry
	}
	return 0
}

func (s *Service) halt(ctx context.Context, j *active) error {
	top := j.state.Top.Token
	next := j.state.nextAttempt() + uint64(j.sealed/sealPatience)
	var published *tnsapi.Version
	if len(s.env.Wire.Directory().Peers(tnsapi.Service)) > 0 {
		var err error
		published, err = s.publishedVersion(ctx, j.id, j.state, next)
		if transport.KindOf(err) == transport.Conflict {
			j.sealed++
		}
		if err != nil {
			return err
		}
	}
	switch {
	case s.board.active[j.id] != j || !j.heldBy(top):
		return nil // things have moved on
	case published != nil:
		return s.adopt(*published)
	}
	j.settled = next
	defer func() { j.settled = 0 }()
	err := s.record(j.id, loss{Token: top, Reason: haltedReason, By: s.env.Self})
	if err == nil {
		s.env.Observe("job-expired", node.F("job", j.id), node.F("attempt", top.Attempt), node.F("holder", top.Holder), node.F("reason", haltedReason))
	}
	return err
}

// publishedVersion is the job's version in tns, nil if there is none and none
// can come: all attempts before next are sealed.
func (s *Service) publishedVersion(ctx context.Context, id string, state State, next uint64) (*tnsapi.Version, error) {
	// Nobody's token: below those of all real grants of the next attempt, and the
	// same for all coordinators, so that a coordinator which died here leaves no obstacle.
	seal := tnsapi.Token{Attempt: next}
	err := s.tns.Fence(ctx, state.Spec.Project, state.Spec.Branch, id, seal)
	if err != nil && transport.KindOf(err) != transport.Conflict {
		return nil, err
	}
	fenced := err == nil
	versions, err := s.tns.History(ctx, state.Spec.Project, state.Spec.Branch)
	if err != nil && transport.KindOf(err) != transport.NotFound {
		return nil, err
	}
	for _, v := range versions {
		if v.Job == id {
			return &v, nil
		}
	}
	if !fenced {
		return nil, transport.New(transport.Conflict, "patrick/settle", "tns knows of a newer attempt that is not known here yet")
	}
	return nil, nil
}

// closable is decide's verdict if it can be carried out without asking tns.
func (s *Service) closable(id string, state State) (v verdict, ok bool) {
	v = s.verdict(id, state)
	return v, v.close != patrickapi.Unknown && !s.mustSettle(id, state)
}

package patrick

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// A holder that was lost may have published before. So before a coordinator closes such a job
// without success, it asks tns: first it fences, so that nothing can be published any more, then it
// asks whether a version was published. A version that tns made visible is the outcome, also if its
// holder crashed before it reported.

const (
	// tnsRetry is the pause before tns is asked again after it did not answer.
	tnsRetry = 3 * time.Second
	// fenceConflictsMax is how many times in a row tns may name a newer attempt before this patrick
	// concludes that the grant is lost: every patrick that knew of it has lost its disk.
	fenceConflictsMax = 20
)

// mustAskTNS reports whether tns may know of a publication by a job that is to be closed.
func (s *Service) mustAskTNS(id string, state State) bool {
	if j := s.board.active[id]; j != nil && j.fencedBelow > 0 {
		return false
	}
	return s.mayBePublished(state)
}

// closeUnlessPublished asks tns, and closes the job if nothing was published.
func (s *Service) closeUnlessPublished(ctx context.Context, j *active) time.Duration {
	top := j.state.Top.Token
	next := j.state.nextAttempt() + uint64(j.fenceConflicts/fenceConflictsMax)
	published, err := s.publishedVersion(ctx, j.id, j.state, next)
	if transport.KindOf(err) == transport.Conflict {
		j.fenceConflicts++
	}
	if err != nil {
		s.env.Log.Info("a job waits for tns before it is closed", "job", j.id, "err", err)
		return tnsRetry
	}
	if s.board.active[j.id] != j || j.state.Live || j.state.Top.Token != top {
		return 0 // things have moved on
	}
	publishedAlready.HitIf(published != nil)
	if published == nil {
		j.fencedBelow = next
		err = s.addRecords(j.id)
		j.fencedBelow = 0
	} else {
		err = s.acceptPublished(*published)
	}
	if err != nil {
		s.env.Log.Warn("cannot close a job", "job", j.id, "err", err)
		return reconcileRetry
	}
	return 0
}

// haltedReason is the reason recorded for a grant that ended because its job was cancelled.
const haltedReason = "the job was cancelled"

// stopHolder ends the grant of a job that is to be cancelled. First it fences the job in tns, so
// that a cancelled job is not published; if it was published already, that is the outcome.
func (s *Service) stopHolder(ctx context.Context, j *active) time.Duration {
	if err := s.halt(ctx, j); err != nil {
		s.env.Log.Info("a job waits for tns before it is cancelled", "job", j.id, "err", err)
		return tnsRetry
	}
	return 0
}

func (s *Service) halt(ctx context.Context, j *active) error {
	top := j.state.Top.Token
	next := j.state.nextAttempt() + uint64(j.fenceConflicts/fenceConflictsMax)
	var published *tnsapi.Version
	if s.env.Presence(tnsapi.Service) != transport.Nobody { // an unknown one can't be asked, which is an error
		var err error
		published, err = s.publishedVersion(ctx, j.id, j.state, next)
		if transport.KindOf(err) == transport.Conflict {
			j.fenceConflicts++
		}
		if err != nil {
			return err
		}
	}
	switch {
	case s.board.active[j.id] != j || !j.heldBy(top):
		return nil // things have moved on
	case published != nil:
		publishedAlready.Hit()
		return s.acceptPublished(*published)
	}
	j.fencedBelow = next
	defer func() { j.fencedBelow = 0 }()
	err := s.addRecords(j.id, loss{Token: top, Reason: haltedReason, By: s.env.Self})
	if err == nil {
		s.env.Observe("job-expired", node.F("job", j.id), node.F("attempt", top.Attempt), node.F("holder", top.Holder), node.F("reason", haltedReason))
	}
	return err
}

// publishedVersion is the job's version in tns, nil if there is none and none
// can come: all attempts before next are fenced off.
func (s *Service) publishedVersion(ctx context.Context, id string, state State, next uint64) (*tnsapi.Version, error) {
	// A token without a holder: below those of all real grants of the next attempt, and the same
	// for all coordinators, so that a coordinator that crashes here does not block the next one.
	fence := fencing.Token{Attempt: next}
	err := s.tns.Fence(ctx, state.Spec.Project, state.Spec.Branch, id, fence)
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
		return nil, transport.New(transport.Conflict, "patrick/close", "tns knows of a newer attempt that is not known here yet")
	}
	return nil, nil
}

// closable returns decide's verdict if it can be carried out without asking tns.
func (s *Service) closable(id string, state State) (v verdict, ok bool) {
	v = s.verdict(id, state)
	return v, v.close != patrickapi.Unknown && !s.mustAskTNS(id, state)
}

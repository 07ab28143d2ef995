package patrick

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// When the cloud is split, a job may be closed on one side after the tns of that side was asked,
// while the other side's tns has its publication and the monkey that made it died. So whenever a
// patrick learns something new about a job that ended without success, it asks tns a few more times
// about the branch, and a publication that tns has made visible becomes the outcome.

// auditWaits are the pauses before tns is asked: a replica may lag, and a split
// may last.
var auditWaits = []time.Duration{5 * time.Second, 15 * time.Second, 45 * time.Second, 2 * time.Minute, 5 * time.Minute}

// audit is the pending questions to tns about the closed jobs of one branch.
type audit struct {
	project, branch string
	round           int
}

// wantAudit schedules questions to tns about a job that ended without success, unless no attempt of
// it can have published.
func (s *Service) wantAudit(id string, state State) {
	if state.Status == patrickapi.Success || !s.mayBePublished(state) {
		return
	}
	key := patrickapi.BranchOf(id)
	if a := s.audits[key]; a != nil {
		a.round = 0
		return
	}
	a := &audit{project: state.Spec.Project, branch: state.Spec.Branch}
	s.audits[key] = a
	s.env.Loop.Go("audit", func(ctx context.Context) {
		defer delete(s.audits, key)
		for a.round < len(auditWaits) {
			wait := auditWaits[a.round]
			a.round++
			if clock.Sleep(ctx, s.env.Loop, wait) != nil {
				return
			}
			s.auditBranch(ctx, key, a)
		}
	})
}

// mayBePublished reports whether an attempt of a job may have published without reporting it. An
// attempt that reported a permanent failure has not.
func (s *Service) mayBePublished(state State) bool {
	if state.Grants == 0 || (state.Permanent != "" && state.Grants == 1) {
		return false
	}
	return s.env.Presence(tnsapi.Service) != transport.Nobody
}

// auditBranch compares the closed jobs of a branch with what tns has, if this
// patrick is the branch's coordinator.
func (s *Service) auditBranch(ctx context.Context, key string, a *audit) {
	_, isCoordinator, err := s.peers.coordinator(ctx, key)
	if err != nil || !isCoordinator {
		return
	}
	versions, err := s.tns.History(ctx, a.project, a.branch)
	if err != nil {
		if transport.KindOf(err) != transport.NotFound {
			s.env.Log.Info("an audit waits for tns", "branch", a.branch, "err", err)
		}
		return
	}
	for _, v := range versions {
		switch s.board.briefs[v.Job].status {
		case patrickapi.Failed, patrickapi.Cancelled:
			if err := s.acceptPublished(v); err != nil {
				s.env.Log.Warn("cannot correct a job", "job", v.Job, "err", err)
			}
		}
	}
}

// acceptPublished makes a publication the outcome of its job.
func (s *Service) acceptPublished(v tnsapi.Version) error {
	err := s.addRecords(v.Job, result{Token: v.Token, Success: true, Published: true, Artifact: v.Artifact})
	if err == nil {
		s.env.Observe("job-settled", node.F("job", v.Job), node.F("attempt", v.Token.Attempt), node.F("holder", v.Token.Holder))
	}
	return err
}

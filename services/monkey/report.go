package monkey

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// reportFor is how long a publication is reported to patrick after the lease has ended: it counts
// even then.
const reportFor = 10 * time.Minute

// logFor is how long an acknowledged outcome is reported again until a patrick has fetched the log.
const logFor = 20 * time.Second

// report tells patrick how the attempt ended. A failure is reported only while the lock is held,
// since it counts only then; a publication is reported until it is acknowledged.
func (s *Service) report(ctx context.Context, l *lock, out outcome) {
	l.phase = "finish"
	req := patrickapi.FinishRequest{
		Job: l.job.ID, Token: l.token, Success: out.succeeded(), Published: out.published,
		Permanent: IsUserError(out.err), Log: text(out.log), LogSize: out.logSize,
	}
	if req.Success {
		req.Artifact = text(out.artifact)
	} else {
		req.Error = out.err.Error()
	}
	logUntil := s.env.Loop.Elapsed() + logFor
	for until := l.renewedAt + l.lease + reportFor; s.env.Loop.Elapsed() < until; {
		if !out.published && s.check(l) != nil {
			s.abandon(ctx, l)
			return
		}
		resp, err := s.patrick.Finish(ctx, req)
		switch kind := transport.KindOf(err); {
		case kind == 0 && req.Log != "" && resp.LogCopies == 0 && s.env.Loop.Elapsed() < logUntil:
			// it is recorded; the log is offered again
		case kind == 0:
			s.env.Observe("outcome-reported", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("success", req.Success), node.F("status", resp.Status.String()))
			return
		case kind == transport.Conflict, kind == transport.Invalid:
			s.lose(l, err.Error())
			return
		}
		if clock.Sleep(ctx, s.env.Loop, retryWait) != nil {
			return
		}
	}
}

// abandon tells patrick, once, that a lost lock is no longer used, so that a cancelled job need not
// wait for the end of the lease.
func (s *Service) abandon(ctx context.Context, l *lock) {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, stopTimeout)
	defer cancel()
	_, _ = s.patrick.Finish(ctx, patrickapi.FinishRequest{Job: l.job.ID, Token: l.token, Abandoned: true}) // the lease ends anyway
}

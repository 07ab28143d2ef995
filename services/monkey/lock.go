package monkey

import (
	"context"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// lock is a grant, as seen by its holder. The lease is counted on this node's own Elapsed, from the
// moment when the last request that patrick granted was sent: patrick counts from a later moment,
// so the holder stops first.
type lock struct {
	job   patrickapi.Job
	token fencing.Token
	lease time.Duration
	// buildMax bounds the time from taken to the end of the build.
	buildMax time.Duration
	// renewedAt is when the last granted request was sent, taken when the first was.
	renewedAt, takenAt time.Duration
	// lost is why the lock is over before its lease, "" while it is not.
	lost  string
	phase string
	// blocks is the roots stored for it here, to be released at the end.
	blocks []cid.Cid
	// abort ends the work that is done under the lock.
	abort context.CancelFunc
}

// valid reports whether the lock is held at the moment now.
func (l *lock) valid(now time.Duration) bool { return l.lost == "" && now-l.renewedAt < l.lease }

// check is valid as an error, for the moments before an effect.
func (s *Service) check(l *lock) error {
	if l.valid(s.env.Loop.Elapsed()) {
		return nil
	}
	leaseEnded.HitIf(l.lost == "")
	s.lose(l, "the lease has ended")
	return transport.New(transport.Conflict, "monkey/lock", l.lost)
}

// lose gives the lock up, once.
func (s *Service) lose(l *lock, why string) {
	if l.lost != "" {
		return
	}
	l.lost = why
	l.abort()
	s.env.Observe("lock-lost", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("reason", why))
}

// renewals renews the lock while it is used: every third of the lease, and sooner after a renewal
// without an answer.
func (s *Service) renewals(ctx context.Context, l *lock) {
	for ctx.Err() == nil {
		wait := l.lease / 3
		if s.env.Loop.Elapsed()-l.renewedAt > wait {
			wait = l.lease / 10
		}
		if clock.Sleep(ctx, s.env.Loop, wait) != nil || s.check(l) != nil {
			return
		}
		s.renew(ctx, l)
	}
}

// renew asks once. A third of the lease is enough for an answer; an answer after the end of the
// lease does not count.
func (s *Service) renew(ctx context.Context, l *lock) {
	callCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, l.lease/3)
	defer cancel()
	sent := s.env.Loop.Elapsed()
	_, err := s.patrick.Renew(callCtx, patrickapi.RenewRequest{Job: l.job.ID, Token: l.token})
	switch transport.KindOf(err) {
	case 0:
		if l.valid(s.env.Loop.Elapsed()) {
			l.renewedAt = sent
		} else {
			lateRenewal.Hit()
		}
	case transport.Conflict, transport.Invalid:
		s.lose(l, err.Error())
	}
}

package monkey

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

const (
	// backlogLenMax bounds the offers that a busy monkey remembers.
	backlogLenMax = 64
	// monkeysMax bounds the number of monkeys that a patrick is believed to know.
	monkeysMax = 1 << 16
	// raceTriesMax is how many jobs are raced for after one poll.
	raceTriesMax = 4
)

// hear handles offers: it competes if a slot is free, and otherwise remembers them.
func (s *Service) hear(a patrickapi.Announcement) {
	for _, o := range a.Jobs[:min(len(a.Jobs), patrickapi.AnnounceLenMax)] {
		if !patrickapi.IsJobID(o.Job) || s.held[o.Job] != nil || s.racing[o.Job] {
			continue
		}
		s.backlog = slices.DeleteFunc(s.backlog, func(b patrickapi.Offer) bool { return b.Job == o.Job })
		if s.free() > 0 {
			s.compete(o)
		} else if len(s.backlog) < backlogLenMax {
			s.backlog = append(s.backlog, o)
		} else {
			s.busyLately = true
		}
	}
}

// free is how many jobs can be taken on. A race takes a slot.
func (s *Service) free() int {
	if s.stopping {
		return 0
	}
	return max(0, s.settings.Slots-len(s.held)-len(s.racing))
}

// compete starts the race for a job: the claim is sent after a delay that follows from the job, the
// attempt and this monkey, so that for each attempt another monkey is first, and the others usually
// find the job taken.
func (s *Service) compete(o patrickapi.Offer) {
	s.racing[o.Job] = true
	s.gauge()
	s.env.Loop.Go("race", func(ctx context.Context) {
		won := s.race(ctx, o)
		delete(s.racing, o.Job)
		if won != nil {
			s.hold(won)
			s.work(ctx, won)
			s.release(won)
		}
		s.gauge()
		s.next(ctx, won != nil)
	})
}

func (s *Service) race(ctx context.Context, o patrickapi.Offer) *lock {
	if clock.Sleep(ctx, s.env.Loop, s.delay(o)) != nil {
		return nil
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, claimTimeout)
	defer cancel()
	sent := s.env.Loop.Elapsed()
	grant, err := s.patrick.Claim(ctx, patrickapi.ClaimRequest{Job: o.Job, Holder: s.env.Self, Incarnation: s.env.Incarnation})
	if err != nil {
		if transport.KindOf(err) != transport.Conflict {
			s.env.Log.Info("claim", "job", o.Job, "err", err)
		}
		return nil
	}
	if grant.Job.ID != o.Job || grant.Lease > grantMax || grant.BuildMax > grantMax {
		s.env.Log.Info("claim", "job", o.Job, "err", "the answer grants something else")
		return nil
	}
	l := &lock{job: grant.Job, token: grant.Token, lease: grant.Lease, buildMax: grant.BuildMax, renewedAt: sent, takenAt: sent, phase: "fetch"}
	if !l.valid(s.env.Loop.Elapsed()) || l.token.Holder != s.env.Self {
		return nil // the answer took longer than the lease
	}
	return l
}

// grantMax bounds the lease and the build time of a grant; a longer one is invalid.
const grantMax = 24 * time.Hour

// claimTimeout bounds a claim at all patricks together.
const claimTimeout = 8 * time.Second

// delay spreads the claims over the window, in the order of rank. It follows from this monkey's weight alone,
// so that a monkey need not know all others.
func (s *Service) delay(o patrickapi.Offer) time.Duration {
	behind := 1 - float64(rendezvous.Of(o.RankKey()).Weight(s.env.Self))/(1<<64)
	return time.Duration(float64(s.settings.RaceWindow) * behind)
}

// hold begins to hold a lock.
func (s *Service) hold(l *lock) {
	s.held[l.job.ID] = l
	s.env.Observe("lock-taken", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("holder", l.token.Holder))
}

func (s *Service) release(l *lock) {
	if l.lost == "" {
		l.lost = "released"
	}
	if s.held[l.job.ID] == l {
		delete(s.held, l.job.ID)
	}
}

// next uses a slot that has become free: for a remembered offer or else, after a completed job, for
// one that patrick lists as open.
func (s *Service) next(ctx context.Context, done bool) {
	if len(s.backlog) > 0 {
		offers := s.backlog
		s.backlog = nil
		s.hear(patrickapi.Announcement{Jobs: offers})
		return
	}
	if s.busyLately && done {
		s.poll(ctx)
	}
}

// poll asks a patrick for open jobs and competes for those that rank this
// monkey best.
func (s *Service) poll(ctx context.Context) {
	if s.free() == 0 || s.polling {
		return
	}
	s.polling = true
	defer func() { s.polling = false }()
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, claimTimeout)
	defer cancel()
	a, err := s.patrick.Open(ctx, s.env.Self.String(), patrickapi.OpenRequest{})
	if err != nil {
		return // the next poll asks again
	}
	s.busyLately = len(a.Jobs) > 0
	s.monkeys = max(0, min(a.Monkeys, monkeysMax))
	a.Jobs = s.favourites(a.Jobs)
	s.hear(a)
}

// favourites returns the first few offers in the order of this monkey's weight for them.
func (s *Service) favourites(offers []patrickapi.Offer) []patrickapi.Offer {
	weight := func(o patrickapi.Offer) uint64 { return rendezvous.Of(o.RankKey()).Weight(s.env.Self) }
	slices.SortStableFunc(offers, func(a, b patrickapi.Offer) int { return cmp.Compare(weight(b), weight(a)) })
	return offers[:min(len(offers), raceTriesMax)]
}

// polls is the task that asks now and then, in case offers were lost.
func (s *Service) polls(ctx context.Context) {
	for {
		interval := s.pollInterval()
		if clock.Sleep(ctx, s.env.Loop, clock.Jittered(s.env.Rand, interval)) != nil {
			return
		}
		s.poll(ctx)
	}
}

// pollInterval is longer where there are many monkeys, as patrick said last.
func (s *Service) pollInterval() time.Duration {
	return max(s.settings.PollInterval, time.Duration(s.monkeys)*time.Second/pollsPerSecondMax)
}

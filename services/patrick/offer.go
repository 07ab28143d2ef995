package patrick

import (
	"context"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// A job is offered to a few monkeys first, the best-ranked for this attempt, and to four times as
// many in each further round: a cloud of a thousand monkeys does not compete for every job. When an
// offer would go to half of them, it goes to all, by one publication.
const offerFirst, offerGrowth = 3, 4

// offerNow offers one job if it can be claimed now.
func (s *Service) offerNow(id string) {
	j := s.board.active[id]
	if j == nil || !s.claimableNow(j) || s.lacksTree(j) {
		return
	}
	s.offer([]*active{j})
}

func (s *Service) claimableNow(j *active) bool {
	return j.state.Status == patrickapi.Open && s.verdict(j.id, j.state).close == patrickapi.Unknown && s.env.Loop.Elapsed() >= j.notBefore
}

// offer announces jobs to monkeys and counts the round.
func (s *Service) offer(jobs []*active) {
	monkeys, _ := s.env.Wire.Directory().Lookup(monkeyapi.Service) // the sweep offers again, to who is known then
	var toAll patrickapi.Announcement
	for _, j := range jobs {
		o := offerOf(j)
		j.round++
		if size := shortlistLen(o.Round); size*2 < len(monkeys) {
			for _, p := range shortlist(o, monkeys) {
				_ = monkeyapi.Offer.Tell(s.env.Wire, p, patrickapi.Announcement{Jobs: []patrickapi.Offer{o}}) // offered again by the sweep
			}
		} else {
			toAll.Jobs = append(toAll.Jobs, o)
		}
	}
	if len(toAll.Jobs) > 0 {
		monkeyapi.Jobs.Publish(s.env.Wire, toAll)
	}
}

func offerOf(j *active) patrickapi.Offer {
	return patrickapi.Offer{Job: j.id, Attempt: j.state.nextAttempt(), Round: j.round}
}

func shortlistLen(round int) int {
	n := offerFirst
	for range min(round, 8) {
		n *= offerGrowth
	}
	return n
}

// shortlist returns the monkeys that an offer goes to, best-ranked first.
func shortlist(o patrickapi.Offer, monkeys []transport.Peer) []transport.Peer {
	ranked := rendezvous.Rank(o.RankKey(), monkeys)
	return ranked[:min(shortlistLen(o.Round), len(ranked))]
}

// startSweep starts the task that offers open jobs again, unless it runs.
func (s *Service) startSweep() {
	if s.sweeping {
		return
	}
	s.sweeping = true
	s.env.Loop.Go("sweep", func(ctx context.Context) {
		defer func() { s.sweeping = false }()
		_ = clock.Every(ctx, s.env.Loop, s.settings.AnnounceInterval, s.sweep) // ends when nothing is open, or with the loop
	})
}

// sweep offers the oldest open jobs that this patrick is coordinator of, and closes those that may
// not be tried again. It reports whether open jobs are left.
func (s *Service) sweep(ctx context.Context) bool {
	var jobs []*active
	for _, j := range s.board.open() {
		if len(jobs) == patrickapi.AnnounceLenMax {
			break
		}
		_, isCoordinator, err := s.peers.coordinator(ctx, patrickapi.BranchOf(j.id))
		if err != nil {
			return ctx.Err() == nil // it is not known yet whose the jobs are
		}
		j.mine = isCoordinator
		if !isCoordinator || s.board.active[j.id] != j {
			continue
		}
		s.supersede(j)
		if s.claimableNow(j) && s.board.active[j.id] == j && !s.lacksTree(j) {
			jobs = append(jobs, j)
		}
	}
	s.offer(jobs)
	return len(s.board.open()) > 0
}

package hoarder

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

const (
	// A transfer may take transferTimeoutMin plus the time for its bytes.
	transferTimeoutMin = 15 * time.Second
	// A competitor that failed tries again after failureDelayMin, twice that, and
	// so on up to failureDelayMax.
	failureDelayMin = 2 * time.Second
	failureDelayMax = 15 * time.Second
	// One that found no room waits for noRoomDelay, or until it has released a copy.
	noRoomDelay = time.Minute
)

func transferTimeout(bytes int64) time.Duration {
	return transferTimeoutMin + transport.TransferTime(bytes)
}

// acquisition is this hoarder's part in the competition for one item.
type acquisition struct {
	root     string
	timer    clock.Timer // until due
	due      bool
	running  bool
	failures int
	// notBefore is when it may try again after a failure, noRoom which one.
	notBefore time.Duration
	noRoom    bool
}

func (c *acquisition) cancel() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer, c.due = nil, false
}

// compete takes part in the competition for an item, or adapts to news about it. It reports when to
// evaluate the item again if this hoarder's turn is far away: by then the candidates before it will
// have acted.
func (s *Service) compete(it *item, sit situation) (again time.Duration) {
	c := s.acquisitions[it.root]
	if c != nil && (c.running || c.due) {
		return 0
	}
	now := s.env.Loop.Elapsed()
	at := it.short.at() + s.competeDelay(it, sit)
	if c != nil {
		c.cancel()
		at = max(at, c.notBefore)
	} else if far := now + 2*s.settings.SweepInterval; at > far {
		return far
	}
	if c == nil {
		c = &acquisition{root: it.root}
		s.acquisitions[it.root] = c
	}
	c.timer = s.env.Loop.AfterFunc(at-now, func() {
		c.timer, c.due = nil, true
		s.launch()
	})
	return 0
}

func (s *Service) competeDelay(it *item, sit situation) time.Duration {
	size, lack := it.size(), sit.target-sit.copies
	score := rarity(it.totalDemand(), sit.target, sit.copies, size)
	order := rendezvous.Of(it.root)
	// With so many candidates ahead its turn is far away; the exact number does not matter.
	aheadMax := lack + int(3*s.settings.SweepInterval/competeStep)
	ahead := 0
	for _, m := range s.roster.all {
		if ahead < aheadMax && m.peer != s.env.Self && order.Better(m.peer, s.env.Self) && s.canHold(m, it, size) {
			ahead++
		}
	}
	draw := rand.NewPCG(s.seed, order.Weight(s.env.Self)).Uint64()
	return competeDelay(score, ahead, lack, size, float64(draw>>11)/(1<<53))
}

// candidates lists the hoarders that could become holders: live, without a copy yet, and with room
// as far as is known.
func (s *Service) candidates(it *item) []transport.Peer {
	size := it.size()
	var list []transport.Peer
	for _, m := range s.roster.all {
		if s.canHold(m, it, size) {
			list = append(list, m.peer)
		}
	}
	return list
}

func (s *Service) canHold(m *member, it *item, size int64) bool {
	return m.keeps() && m.hasRoom(size) && !it.claimed(m.peer)
}

// stopCompeting ends this hoarder's part, unless a transfer runs.
func (s *Service) stopCompeting(root string) {
	c := s.acquisitions[root]
	if c == nil || c.running {
		return
	}
	c.cancel()
	delete(s.acquisitions, root)
}

// launch starts transfers, the rarest item first, while there are slots.
func (s *Service) launch() {
	for s.fetching < s.settings.TransfersMax {
		c := s.rarestDue()
		if c == nil {
			return
		}
		c.due, c.running = false, true
		s.fetching++
		s.env.Loop.Go("hoarder fetch", func(ctx context.Context) { s.run(ctx, c) })
	}
}

func (s *Service) rarestDue() *acquisition {
	var best *acquisition
	var bestScore int64
	for _, c := range s.acquisitions { // the maximum of a total order: any order will do
		if !c.due {
			continue
		}
		it := s.index.items[c.root]
		copies, _ := it.copies()
		score := rarity(it.totalDemand(), it.target, copies, it.size())
		if best == nil || score > bestScore || score == bestScore && c.root < best.root {
			best, bestScore = c, score
		}
	}
	return best
}

// run is one attempt to acquire a copy. It transfers only an item that still lacks copies.
func (s *Service) run(ctx context.Context, c *acquisition) {
	it := s.index.items[c.root]
	var err error
	if decide(s.situation(it), s.settings) == compete {
		fetchCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, transferTimeout(it.size()))
		err = s.obtain(fetchCtx, c.root, s.whoHas(it), it.size())
		cancel()
	}
	s.fetching--
	c.running = false
	if err != nil {
		c.failed(transport.KindOf(err) == transport.Refused, s.env.Loop.Elapsed())
		s.env.Log.Debug("not obtained", "root", c.root, "err", err)
	}
	s.evaluate(c.root)
	s.launch()
}

// failed sets when to try again.
func (c *acquisition) failed(noRoom bool, now time.Duration) {
	delay := min(failureDelayMin<<min(c.failures, 10), failureDelayMax)
	if noRoom {
		delay = noRoomDelay
	}
	c.failures++
	c.notBefore, c.noRoom = now+delay, noRoom
}

// roomCame lets the acquisitions that found no room try again soon.
func (s *Service) roomCame() {
	for _, c := range s.acquisitions {
		if c.noRoom {
			c.noRoom, c.notBefore = false, 0
		}
	}
}

// whoHas lists the peers to fetch from: live claimants, best-ranked first, and then the sources
// that the pins name. A claimant believed dead comes last: it may be the only one, and the belief
// wrong.
func (s *Service) whoHas(it *item) []transport.Peer {
	live := rendezvous.Rank(it.root, it.claimants((*member).lives))
	dead := it.claimants(func(m *member) bool { return !m.lives() })
	var list []transport.Peer
	seen := map[transport.Peer]bool{s.env.Self: true}
	for _, group := range [][]transport.Peer{live, it.sources(), dead} {
		for _, p := range group {
			if !seen[p] && len(list) < hoarderapi.HoldersMax {
				seen[p] = true
				list = append(list, p)
			}
		}
	}
	return list
}

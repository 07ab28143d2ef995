package hoarder

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const (
	// sweepBatch bounds the items that one sweep looks at because it is their
	// turn; those that are short or in surplus are looked at every time.
	sweepBatch = 256
	// sweepPressingMax bounds those.
	sweepPressingMax = 2048
	// lostAfter is how long nobody must have claimed an item before it is
	// reported lost.
	lostAfter = time.Minute
)

// evaluate looks at one item after something about it changed and does, or
// schedules, what is to be done.
func (s *Service) evaluate(root string) {
	it := s.index.items[root]
	if it == nil {
		return
	}
	s.mendClaim(it)
	sit := s.situation(it)
	action := decide(sit, s.cfg)
	if action == compete {
		s.enter(it, sit)
	} else {
		s.leave(root)
		s.dropRemains(root)
	}
	if action == release || action == discard || action == supersede {
		s.yield(root)
	}
}

// situation sums up an item, and notes since when it is so.
func (s *Service) situation(it *item) situation {
	now := s.env.Loop.Elapsed()
	st, _ := s.index.state(it)
	sit := situation{state: st, target: it.target, held: s.ledger.holds(it.root)}
	sit.copies, sit.copiesLive = it.copies()
	if sit.held {
		sit.ahead = s.ahead(it)
	}
	it.short.update(st == wanted && sit.copies < sit.target, now)
	it.surplus.update(st == wanted && sit.copiesLive > sit.target+s.cfg.SurplusMax, now)
	it.ended.update(st == abandoned || st == superseded, now)
	it.complete = it.complete || st == wanted && sit.copies >= sit.target
	it.reportedLost = it.reportedLost && sit.copies == 0
	sit.surplusFor, sit.endedFor = it.surplus.lasted(now), it.ended.lasted(now)
	return sit
}

// ahead counts the live claimants that rank before this hoarder.
func (s *Service) ahead(it *item) int {
	n := 0
	for _, c := range it.claims {
		if c.by.lives() && c.by.peer != s.env.Self && hoarderapi.Better(it.root, c.by.peer, s.env.Self) {
			n++
		}
	}
	return n
}

// best reports whether no live hoarder ranks before this one.
func (s *Service) best(root string) bool {
	for _, m := range s.roster.all {
		if m.lives() && m.peer != s.env.Self && hoarderapi.Better(root, m.peer, s.env.Self) {
			return false
		}
	}
	return true
}

// mendClaim makes the claim say what is true. A hoarder that lost its disk gets
// its old claims back from the others and withdraws them here.
func (s *Service) mendClaim(it *item) {
	claimed := it.claimed(s.env.Self)
	switch held := s.ledger.holds(it.root); {
	case held == claimed || s.acquiring[it.root]:
	case held:
		s.claim(it, 0)
	default:
		if err := s.write(storage.Entry{Key: claimKey(it.root, s.env.Self)}); err != nil {
			s.env.Log.Warn("claim not withdrawn", "root", it.root, "err", err)
			return
		}
		s.env.Observe("claim-withdrawn", node.F("root", it.root))
	}
}

// claim writes the claim of a copy that is held; moved is what was fetched.
func (s *Service) claim(it *item, moved int64) {
	bytes := s.ledger.held[it.root]
	entry := storage.Entry{Key: claimKey(it.root, s.env.Self), Value: transport.Encode(claimRecord{Bytes: bytes})}
	if err := s.write(entry); err != nil {
		s.env.Log.Warn("claim not written", "root", it.root, "err", err) // the next evaluation tries again
		return
	}
	repaired := it.complete && it.short.on
	s.env.Observe("item-claimed", node.F("root", it.root), node.F("bytes", bytes), node.F("moved", moved))
	if repaired {
		copies, _ := it.copies()
		s.env.Observe("item-repaired", node.F("root", it.root), node.F("copies", copies))
	}
}

// sweepForever looks now and then at what no event has told: time that passed,
// attempts that failed.
func (s *Service) sweepForever(ctx context.Context) {
	for {
		jitter := time.Duration(s.env.Rand.Int64N(int64(s.cfg.SweepInterval) / 2))
		if clock.Sleep(ctx, s.env.Loop, s.cfg.SweepInterval*3/4+jitter) != nil {
			return
		}
		s.writeInterest()
		s.endLeases()
		for _, root := range s.nextSweep() {
			s.evaluate(root)
			s.reportLoss(root)
		}
	}
}

// nextSweep lists the items to look at: those that press, and a batch of all.
func (s *Service) nextSweep() []string {
	var roots []string
	for _, root := range s.index.roots {
		it := s.index.items[root]
		pressing := it.short.on || (s.ledger.holds(root) && (it.surplus.on || it.ended.on))
		if pressing && len(roots) < sweepPressingMax {
			roots = append(roots, root)
		}
	}
	for range min(sweepBatch, len(s.index.roots)) {
		s.cursor = (s.cursor + 1) % len(s.index.roots)
		roots = append(roots, s.index.roots[s.cursor])
	}
	return roots
}

// reportLoss reports, from the best-ranked live hoarder only, an item that
// somebody wants and nobody claims.
func (s *Service) reportLoss(root string) {
	it := s.index.items[root]
	if it.reportedLost || len(it.claims) > 0 || it.short.lasted(s.env.Loop.Elapsed()) < lostAfter {
		return
	}
	if !s.best(root) {
		return
	}
	it.reportedLost = true
	s.env.Observe("item-lost", node.F("root", root))
	s.env.Log.Warn("no copy left", "root", root)
}

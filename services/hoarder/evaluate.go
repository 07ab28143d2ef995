package hoarder

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

const (
	// sweepBatch is how many items a sweep evaluates in turn, in case one was overlooked: 10,000
	// items take less than an hour. Items with something to do are in the queue.
	sweepBatch = 32
	// sweepDueMax bounds the items that one sweep takes from the queue.
	sweepDueMax = 2048
	// lostAfter is how long nobody must have claimed an item before it is
	// reported lost.
	lostAfter = time.Minute
)

// evaluate decides about one item after something about it has changed, or because it is due, and
// does or schedules the resulting action.
func (s *Service) evaluate(root string) {
	it := s.index.items[root]
	if it == nil {
		return
	}
	if it.empty() && !s.busy(root) {
		s.dropRemains(root)
		s.index.forget(it)
		return
	}
	failed := s.mendClaim(it) || s.mendRecord(it)
	sit := s.situation(it)
	var again time.Duration
	switch action := decide(sit, s.settings); action {
	case compete:
		again = s.compete(it, sit)
	default:
		s.stopCompeting(root)
		s.dropRemains(root)
		if action == release || action == discard || action == supersede {
			s.yield(root)
			failed = true // until it is done
		}
	}
	s.lookAgain(it, sit, failed, again)
}

// busy reports whether a task works with an item: it must not be forgotten.
func (s *Service) busy(root string) bool {
	return s.holdings.holds(root) || s.acquiring[root] || s.acquisitions[root] != nil || s.toYield[root] || s.yielding[root]
}

// lookAgain puts the item into the queue for the next moment at which time alone may require an
// action.
func (s *Service) lookAgain(it *item, sit situation, failed bool, again time.Duration) {
	now := s.env.Loop.Elapsed()
	var next time.Duration
	sooner := func(at time.Duration) {
		if next == 0 || at < next {
			next = max(at, now+1)
		}
	}
	if failed {
		sooner(now + s.settings.SweepInterval/2)
	}
	if again > 0 {
		sooner(again)
	}
	if sit.held && it.surplus.on() && sit.surplusFor < s.settings.SurplusGrace {
		sooner(it.surplus.at() + s.settings.SurplusGrace)
	}
	if sit.held && it.ended.on() && sit.endedFor < s.settings.SurplusGrace {
		sooner(it.ended.at() + s.settings.SurplusGrace)
	}
	if it.short.on() && len(it.claims) == 0 && !it.reportedLost {
		sooner(max(it.short.at()+lostAfter, now+s.settings.SweepInterval/2))
	}
	if len(it.idle()) > 0 {
		sooner(now + s.settings.SweepInterval)
	}
	if at, any := s.collectAt(it, now); any {
		sooner(at)
	}
	if next == 0 {
		s.index.due.remove(it)
	} else {
		s.index.due.set(it, next)
	}
}

// situation computes an item's situation, and records since when it lasts.
func (s *Service) situation(it *item) situation {
	now := s.env.Loop.Elapsed()
	st, _ := s.index.state(it)
	sit := situation{state: st, target: it.target, held: s.holdings.holds(it.root)}
	sit.copies, sit.copiesLive = it.copies()
	if sit.held {
		sit.ahead = s.ahead(it)
	}
	it.short.update(st == wanted && sit.copies < sit.target, now)
	it.surplus.update(st == wanted && sit.copiesLive > sit.target+s.settings.SurplusMax, now)
	it.ended.update(st == abandoned || st == superseded, now)
	it.complete = it.complete || st == wanted && sit.copies >= sit.target
	it.reportedLost = it.reportedLost && sit.copies == 0
	sit.surplusFor, sit.endedFor = it.surplus.lasted(now), it.ended.lasted(now)
	return sit
}

// ahead counts the live claimants that rank before this hoarder.
func (s *Service) ahead(it *item) int {
	n, order := 0, rendezvous.Of(it.root)
	for _, c := range it.claims {
		if c.by.keeps() && c.by.peer != s.env.Self && order.Better(c.by.peer, s.env.Self) {
			n++
		}
	}
	return n
}

// best reports whether no live hoarder ranks before this one.
func (s *Service) best(root string) bool {
	order := rendezvous.Of(root)
	for _, m := range s.roster.all {
		if m.lives() && m.peer != s.env.Self && order.Better(m.peer, s.env.Self) {
			return false
		}
	}
	return true
}

// mendClaim corrects this hoarder's claim of an item, and reports whether that failed. A hoarder
// that lost its disk gets its old claims back from the others and withdraws them here.
func (s *Service) mendClaim(it *item) (failed bool) {
	claimed := it.claimed(s.env.Self)
	switch held := s.holdings.holds(it.root); {
	case held == claimed || s.acquiring[it.root]:
		return false
	case held:
		return !s.claim(it, 0)
	}
	if err := s.write(storage.Entry{Key: claimKey(it.root, s.env.Self)}); err != nil {
		s.env.Log.Warn("claim not withdrawn", "root", it.root, "err", err)
		return true
	}
	s.env.Observe("claim-withdrawn", node.F("root", it.root))
	return false
}

// mendRecord updates the record of a copy to the pins that stand now, and reports whether that
// failed.
func (s *Service) mendRecord(it *item) (failed bool) {
	if !s.holdings.holds(it.root) || len(it.pins) == 0 || slices.EqualFunc(s.recordedPins[it.root], it.standing(), (*pin).equal) {
		return false
	}
	err := s.writeHeld(it.root, s.holdings.held[it.root])
	if err != nil {
		s.env.Log.Warn("record not written", "root", it.root, "err", err)
	}
	return err != nil
}

// claim writes the claim of a copy that is held; moved is the number of bytes fetched.
func (s *Service) claim(it *item, moved int64) bool {
	bytes := s.holdings.held[it.root]
	entry := storage.Entry{Key: claimKey(it.root, s.env.Self), Value: transport.Encode(claimRecord{Bytes: bytes})}
	if err := s.write(entry); err != nil {
		s.env.Log.Warn("claim not written", "root", it.root, "err", err) // the next evaluation tries again
		return false
	}
	repaired := it.complete && it.short.on()
	s.env.Observe("item-claimed", node.F("root", it.root), node.F("bytes", bytes), node.F("moved", moved))
	if repaired {
		copies, _ := it.copies()
		s.env.Observe("item-repaired", node.F("root", it.root), node.F("copies", copies))
	}
	return true
}

// sweepForever periodically handles changes without an event: time that passed, attempts that
// failed.
func (s *Service) sweepForever(ctx context.Context) {
	for {
		jitter := time.Duration(s.env.Rand.Int64N(int64(s.settings.SweepInterval) / 2))
		if clock.Sleep(ctx, s.env.Loop, s.settings.SweepInterval*3/4+jitter) != nil {
			return
		}
		s.writeInterest()
		s.endPins()
		s.sweep()
		s.tidy(ctx)
	}
}

// tidy makes removals from the disk durable, so that a crash does not undo them.
func (s *Service) tidy(ctx context.Context) {
	if !s.untidy {
		return
	}
	s.untidy = false
	if err := s.env.Local.Sync(ctx); err != nil && ctx.Err() == nil {
		s.untidy = true // the next sweep tries again
		s.env.Log.Debug("removals not synced", "err", err)
	}
}

// sweep evaluates the items that are due, and a few others.
func (s *Service) sweep() {
	now := s.env.Loop.Elapsed()
	for range sweepDueMax {
		it := s.index.due.pop(now)
		if it == nil {
			break
		}
		s.collect(it)
		s.evaluate(it.root)
		s.reportLoss(it)
	}
	for range min(sweepBatch, len(s.index.list)) {
		s.cursor = (s.cursor + 1) % len(s.index.list)
		s.evaluate(s.index.list[s.cursor].root)
		if len(s.index.list) == 0 {
			break
		}
	}
}

// reportLoss reports, from the best-ranked live hoarder only, an item that
// somebody wants and nobody claims.
func (s *Service) reportLoss(it *item) {
	if it.reportedLost || len(it.claims) > 0 || it.short.lasted(s.env.Loop.Elapsed()) < lostAfter {
		return
	}
	if !s.best(it.root) {
		return
	}
	it.reportedLost = true
	s.env.Observe("item-lost", node.F("root", it.root))
	s.env.Log.Warn("no copy left", "root", it.root)
}

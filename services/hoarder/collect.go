package hoarder

import (
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
)

// Entries of unwanted items are kept for a bounded time. A withdrawal must outlast every pin of its
// owner that may still arrive; it is deleted after forget-after, once no hoarder claims the item or
// all claimants have been alive all that time and so know of it. Snapshots that a newer one has
// replaced and nobody holds are deleted in the same way.

// collectAt is when there may be entries of an item to delete.
func (s *Service) collectAt(it *item, now time.Duration) (at time.Duration, any bool) {
	sooner := func(t time.Duration) {
		if !any || t < at {
			at, any = t, true
		}
	}
	if it.ended.on() && len(it.claims) == 0 {
		sooner(it.ended.at() + s.settings.ForgetAfter)
	}
	for _, w := range it.withdrawn {
		sooner(w.seen + s.settings.ForgetAfter)
	}
	if len(it.pins) == 0 && len(it.claims) == 0 { // a withdrawal is over sooner
		sooner(now + s.settings.ForgetAfter)
	}
	return max(at, now+s.settings.ForgetAfter/16), any
}

// dropIdle deletes the pins that no longer count, if this is the best-ranked live hoarder, and
// reports whether none is left. The hoarder that superseded them has deleted those it knew of;
// those written elsewhere at the same time are left.
func (s *Service) dropIdle(it *item) bool {
	idle := it.idle()
	if len(idle) == 0 {
		return true
	}
	if !s.best(it.root) {
		return false
	}
	var writes []storage.Entry
	for _, m := range idle {
		writes = append(writes, storage.Entry{Key: m.key(it.root)})
	}
	err := s.write(writes...)
	if err != nil {
		s.env.Log.Warn("idle pins not deleted", "root", it.root, "err", err)
	}
	return err == nil
}

// collect deletes the obsolete entries of an item, if this is the best-ranked live hoarder. A
// withdrawal is never deleted before the pins that it covers: they would stand again.
func (s *Service) collect(it *item) {
	if !s.dropIdle(it) {
		return
	}
	now := s.env.Loop.Elapsed()
	st, successor := s.index.state(it)
	over := false
	switch {
	case len(it.claims) > 0 || s.busy(it.root):
	case st == superseded:
		over = it.ended.lasted(now) >= s.settings.ForgetAfter && len(successor.claims) > 0
	case st == abandoned:
		over = it.ended.lasted(now) >= s.settings.ForgetAfter
	case st == unknown: // a demand for an item that was forgotten meanwhile
		over = true
	}
	if over && s.best(it.root) {
		s.erase(storage.K(pinsPart, it.root), storage.K(withdrawnPart, it.root), storage.K(demandPart, it.root))
		return
	}
	for _, owner := range s.outdated(it, now) {
		if s.best(it.root) {
			s.erase(storage.K(withdrawnPart, it.root, owner))
		}
	}
}

// outdated lists the owners of an item whose withdrawal all its holders have known for long enough.
func (s *Service) outdated(it *item, now time.Duration) []string {
	for _, c := range it.claims {
		if c.by.peer != s.env.Self && (!c.by.lives() || now-c.by.at < s.settings.ForgetAfter) {
			return nil
		}
	}
	var owners []string
	for _, w := range it.withdrawn {
		if now-w.seen >= s.settings.ForgetAfter && len(it.claims) > 0 {
			owners = append(owners, w.owner)
		}
	}
	return owners
}

// departedPageMax bounds how many claims of one that has left are deleted in one interval.
const departedPageMax = 1024

// forgetDeparted deletes the claims of hoarders that have left the cloud for ever, forget-after later, of the items for which
// this is the best-ranked live hoarder. Until then they keep what was withdrawn from coming back with one that returns; one
// that returns later claims anew what it holds.
func (s *Service) forgetDeparted() {
	for _, m := range s.roster.forgotten(s.env.Loop.Elapsed(), s.settings.ForgetAfter) {
		var writes []storage.Entry
		for _, root := range m.roots() {
			if len(writes) < departedPageMax && s.best(root) {
				writes = append(writes, storage.Entry{Key: claimKey(root, m.peer)})
			}
		}
		if len(writes) == 0 {
			continue
		}
		if err := s.write(writes...); err != nil {
			s.env.Log.Warn("claims of one that has left not deleted", "peer", m.peer, "err", err)
			continue
		}
		s.env.Observe("departed-forgotten", node.F("peer", m.peer), node.F("claims", len(writes)))
	}
}

// erase deletes all entries below some keys.
func (s *Service) erase(below ...storage.Key) {
	var writes []storage.Entry
	for _, prefix := range below {
		for _, e := range s.store.Entries(prefix) {
			writes = append(writes, storage.Entry{Key: e.Key})
		}
	}
	if len(writes) == 0 {
		return
	}
	if err := s.write(writes...); err != nil {
		s.env.Log.Warn("not collected", "err", err)
	}
}

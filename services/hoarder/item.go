package hoarder

import (
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// item is a hoarder's knowledge of one root. Its lists are sorted and short: an item costs some 380
// bytes of memory.
type item struct {
	root      string
	pins      []*pin      // by owner, then in the order that counts
	withdrawn []withdrawn // by owner, one each
	claims    []claim     // by peer
	demand    []demandOf  // by peer
	target    int         // the highest of its pins

	// at is the item's place in index.list, dueAt the one in the queue of items to
	// look at, due when that is.
	at, dueAt int32
	due       time.Duration

	// Since when this node, on its monotonic clock, has seen the item below its
	// target, in surplus, or at its end (withdrawn or superseded).
	short, surplus, ended since
	// complete: it was seen with all its copies at some time.
	complete bool
	// reportedLost: the loss of all copies has been reported.
	reportedLost bool
}

// withdrawn is the highest withdrawal of one owner, and when it was first seen
// here.
type withdrawn struct {
	owner string
	seq   uint64
	seen  time.Duration
}

type claim struct {
	by    *member
	bytes int64
}

type demandOf struct {
	by    transport.Peer
	total uint64
}

// since is the time at which a condition became true, plus one nanosecond; 0 while it is false.
type since time.Duration

func (s since) on() bool { return s != 0 }

// at is valid only if the condition is true.
func (s since) at() time.Duration { return time.Duration(s) - 1 }

// update sets the condition; the time changes only when the condition does.
func (s *since) update(on bool, now time.Duration) {
	switch {
	case !on:
		*s = 0
	case *s == 0:
		*s = since(now + 1)
	}
}

func (s since) lasted(now time.Duration) time.Duration {
	if s == 0 {
		return 0
	}
	return now - s.at()
}

// putPin adds a pin or replaces an equal one; it reports whether it is new.
func (it *item) putPin(m *pin) bool {
	i, found := slices.BinarySearchFunc(it.pins, m, comparePins)
	if found {
		it.pins[i] = m
	} else {
		it.pins = slices.Insert(it.pins, i, m)
	}
	return !found
}

func comparePins(a, b *pin) int {
	switch {
	case a.owner != b.owner:
		return strings.Compare(a.owner, b.owner)
	case a.after(b):
		return 1
	case b.after(a):
		return -1
	}
	return 0
}

// withdrawnOf is the highest withdrawal of an owner, nil if there is none.
func (it *item) withdrawnOf(owner string) *withdrawn {
	i, found := slices.BinarySearchFunc(it.withdrawn, owner, func(w withdrawn, owner string) int { return strings.Compare(w.owner, owner) })
	if !found {
		return nil
	}
	return &it.withdrawn[i]
}

// withdraw adds a withdrawal, which covers all lower ones.
func (it *item) withdraw(owner string, seq uint64, now time.Duration) {
	if w := it.withdrawnOf(owner); w != nil {
		if seq > w.seq {
			w.seq, w.seen = seq, now
		}
		return
	}
	i, _ := slices.BinarySearchFunc(it.withdrawn, owner, func(w withdrawn, owner string) int { return strings.Compare(w.owner, owner) })
	it.withdrawn = slices.Insert(it.withdrawn, i, withdrawn{owner, seq, now})
}

// setWithdrawn adds a withdrawal or takes it back. The deletion of a lower one than
// is known changes nothing.
func (it *item) setWithdrawn(e *entry, deleted bool, now time.Duration) {
	if !deleted {
		it.withdraw(e.owner, e.seq, now)
		return
	}
	it.withdrawn = slices.DeleteFunc(it.withdrawn, func(w withdrawn) bool { return w.owner == e.owner && w.seq == e.seq })
}

// setDemand adds, changes or removes the demand that a peer has reported.
func (it *item) setDemand(e *entry, deleted bool) {
	at, found := slices.BinarySearchFunc(it.demand, e.peer, func(d demandOf, p transport.Peer) int { return d.by.Compare(p) })
	switch {
	case deleted && found:
		it.demand = slices.Delete(it.demand, at, at+1)
	case !deleted && found:
		it.demand[at].total = e.total
	case !deleted:
		it.demand = slices.Insert(it.demand, at, demandOf{by: e.peer, total: e.total})
	}
}

// covered reports whether an owner has withdrawn what it says with seq.
func (it *item) covered(owner string, seq uint64) bool {
	w := it.withdrawnOf(owner)
	return w != nil && w.seq >= seq
}

// stands reports whether a pin is its owner's current one: the greatest, and not withdrawn.
func (it *item) stands(i int) bool {
	m := it.pins[i]
	last := i+1 == len(it.pins) || it.pins[i+1].owner != m.owner
	return last && !it.covered(m.owner, m.Seq)
}

// standing lists the pins that stand, by owner.
func (it *item) standing() []*pin {
	var live []*pin
	for i, m := range it.pins {
		if it.stands(i) {
			live = append(live, m)
		}
	}
	return live
}

// says is the standing pin of an owner, nil if there is none.
func (it *item) says(owner string) *pin {
	for i, m := range it.pins {
		if m.owner == owner && it.stands(i) {
			return m
		}
	}
	return nil
}

// idle lists the pins that no longer count: withdrawn, or followed by a greater
// one of their owner.
func (it *item) idle() []*pin {
	var idle []*pin
	for i, m := range it.pins {
		if !it.stands(i) {
			idle = append(idle, m)
		}
	}
	return idle
}

// retarget computes the number of copies wanted: the highest of the pins.
func (it *item) retarget() {
	it.target = 0
	for i, m := range it.pins {
		if it.stands(i) {
			it.target = max(it.target, m.Target)
		}
	}
}

// size is the item's size in bytes as far as is known, 0 if it is unknown.
func (it *item) size() int64 {
	var n int64
	for _, c := range it.claims {
		n = max(n, c.bytes)
	}
	for _, m := range it.pins {
		n = max(n, m.Size)
	}
	return n
}

// totalDemand is the sum of the expected and the reported demand, at least 1.
func (it *item) totalDemand() int64 {
	var n uint64
	for _, m := range it.pins {
		n = max(n, uint64(m.Demand))
	}
	for _, d := range it.demand {
		n += min(d.total, hoarderapi.DemandMax)
	}
	return max(1, int64(n))
}

// demandOf is what a peer has reported.
func (it *item) demandBy(p transport.Peer) uint64 {
	for _, d := range it.demand {
		if d.by == p {
			return d.total
		}
	}
	return 0
}

// claimOf finds a peer's claim.
func (it *item) claimOf(p transport.Peer) (at int, found bool) {
	return slices.BinarySearchFunc(it.claims, p, func(c claim, p transport.Peer) int { return c.by.peer.Compare(p) })
}

func (it *item) claimed(p transport.Peer) bool {
	_, found := it.claimOf(p)
	return found
}

// copies counts the claims that are believed, and those of them of members that live.
func (it *item) copies() (counted, live int) {
	for _, c := range it.claims {
		if c.by.counts() {
			counted++
		}
		if c.by.keeps() {
			live++
		}
	}
	return counted, live
}

// claimants lists the accepted claimants of a copy, in canonical order.
func (it *item) claimants(accept func(*member) bool) []transport.Peer {
	list := make([]transport.Peer, 0, len(it.claims))
	for _, c := range it.claims {
		if accept(c.by) {
			list = append(list, c.by.peer)
		}
	}
	return list
}

// sources lists peers besides the claimants that may have the content: those that the pins name.
func (it *item) sources() []transport.Peer {
	var list []transport.Peer
	for _, m := range it.pins {
		list = append(list, m.Sources...)
	}
	slices.SortFunc(list, transport.Peer.Compare)
	return slices.Compact(list)
}

// empty: no entry is left.
func (it *item) empty() bool {
	return len(it.pins) == 0 && len(it.withdrawn) == 0 && len(it.claims) == 0 && len(it.demand) == 0
}

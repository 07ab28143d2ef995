package hoarder

import (
	"maps"
	"slices"
	"time"
)

// holdings is what this hoarder holds, what it has promised to keep, and what it
// is about to release. It is the core of the promise that a last copy is never
// dropped; the argument is in the README. Times are on one monotonic clock.
type holdings struct {
	capacity int64
	lease    time.Duration
	// quietUntil: promises made before a restart are forgotten, so none of the copies
	// that may have been promised then is released before the longest of them is over.
	// stock are these copies: those that were here at the start.
	quietUntil time.Duration
	stock      map[string]bool

	held      map[string]int64
	used      int64
	reserved  int64
	promises  map[string]time.Duration // until
	releasing map[string]bool
	mending   map[string]bool
	// revision counts changes of held.
	revision uint64
}

func newHoldings(capacity int64, lease, now time.Duration) *holdings {
	return &holdings{
		capacity:   capacity,
		lease:      lease,
		quietUntil: now + lease,
		stock:      map[string]bool{},
		held:       map[string]int64{},
		promises:   map[string]time.Duration{},
		releasing:  map[string]bool{},
		mending:    map[string]bool{},
	}
}

func (l *holdings) holds(root string) bool {
	_, ok := l.held[root]
	return ok
}

func (l *holdings) roots() []string { return slices.Sorted(maps.Keys(l.held)) }

// free is the room that is neither used nor spoken for.
func (l *holdings) free() int64 { return l.capacity - l.used - l.reserved }

// reserve speaks for room, if there is as much.
func (l *holdings) reserve(bytes int64) bool {
	if bytes > l.free() {
		return false
	}
	l.reserved += bytes
	return true
}

func (l *holdings) unreserve(bytes int64) { l.reserved -= bytes }

// admit records a copy that is on the disk.
func (l *holdings) admit(root string, bytes int64) {
	l.used += bytes - l.held[root]
	l.held[root] = bytes
	l.revision++
}

// stocked says that all copies of a life before this one have been admitted.
func (l *holdings) stocked() {
	for root := range l.held {
		l.stock[root] = true
	}
}

// drop forgets a copy and everything about it.
func (l *holdings) drop(root string) {
	if !l.holds(root) {
		return
	}
	l.used -= l.held[root]
	delete(l.held, root)
	delete(l.promises, root)
	delete(l.stock, root)
	l.revision++
}

// promise keeps a copy for the lease from now on. It refuses when the copy is
// not here, rotten or about to go. Give it before verifying, and tell the other only
// after.
func (l *holdings) promise(root string, now time.Duration) bool {
	if !l.holds(root) || l.releasing[root] || l.mending[root] {
		return false
	}
	l.promises[root] = now + l.lease
	return true
}

func (l *holdings) promised(root string, now time.Duration) bool { return now < l.promises[root] }

// mayRelease reports whether a copy is neither promised, nor may have been before
// the start, nor in work.
func (l *holdings) mayRelease(root string, now time.Duration) bool {
	quiet := l.stock[root] && now < l.quietUntil
	return l.holds(root) && !l.releasing[root] && !l.mending[root] && !l.promised(root, now) && !quiet
}

// beginRelease notes that a copy is about to go: from now on it is promised to
// nobody.
func (l *holdings) beginRelease(root string, now time.Duration) bool {
	if !l.mayRelease(root, now) {
		return false
	}
	l.releasing[root] = true
	return true
}

func (l *holdings) endRelease(root string) { delete(l.releasing, root) }

// beginMend notes that a copy is rotten until it is mended or given up. Nobody else
// may drop it meanwhile: the mending would bring back the blocks of a copy that
// is no longer held. A release that runs already does not get to its end.
func (l *holdings) beginMend(root string) bool {
	if !l.holds(root) || l.mending[root] {
		return false
	}
	l.mending[root] = true
	return true
}

func (l *holdings) endMend(root string) { delete(l.mending, root) }

// mayFinish reports whether a release that asked at askedAt and has that many
// confirmations may happen now. Half the lease is left for the drift of clocks.
func (l *holdings) mayFinish(root string, askedAt time.Duration, confirmed, need int, now time.Duration) bool {
	return l.holds(root) && l.releasing[root] && !l.mending[root] && confirmed >= need && now-askedAt < l.lease/2
}

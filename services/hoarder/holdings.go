package hoarder

import (
	"maps"
	"slices"
	"time"
)

// holdings is the set of copies that this hoarder holds, has promised to keep, or is about to
// release. It is the core of the promise that a last copy is never dropped; the argument is in the
// README. Times are on one monotonic clock.
type holdings struct {
	capacity int64
	lease    time.Duration
	// quietUntil: promises made before a restart are forgotten, so no copy that was here at the
	// start (stock) is released before the longest promise must have ended.
	quietUntil time.Duration
	stock      map[string]bool

	held      map[string]int64
	used      int64
	reserved  int64
	promises  map[string]time.Duration // until
	releasing map[string]bool
	mending   map[string]bool
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

// free is the room that is neither used nor reserved.
func (l *holdings) free() int64 { return l.capacity - l.used - l.reserved }

// reserve reserves room, if there is enough.
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
}

// stocked marks the end of the start's inventory: all copies of earlier incarnations have been admitted.
func (l *holdings) stocked() {
	for root := range l.held {
		l.stock[root] = true
	}
}

// drop removes a copy from the holdings, if it is one of them.
func (l *holdings) drop(root string) {
	l.used -= l.held[root]
	delete(l.held, root)
	delete(l.promises, root)
	delete(l.stock, root)
}

// promise keeps a copy for the lease from now on. It refuses when the copy is absent, corrupt or
// about to be released. Promise before verifying the copy, and confirm to the asker only after.
func (l *holdings) promise(root string, now time.Duration) bool {
	if !l.holds(root) || l.releasing[root] || l.mending[root] {
		return false
	}
	l.promises[root] = now + l.lease
	return true
}

func (l *holdings) promised(root string, now time.Duration) bool { return now < l.promises[root] }

// mayRelease reports whether a copy is not promised, cannot have been promised before the start,
// and is not being repaired or released.
func (l *holdings) mayRelease(root string, now time.Duration) bool {
	quiet := l.stock[root] && now < l.quietUntil
	return l.holds(root) && !l.releasing[root] && !l.mending[root] && !l.promised(root, now) && !quiet
}

// beginRelease marks a copy as being released: from now on it is not promised to anybody.
func (l *holdings) beginRelease(root string, now time.Duration) bool {
	if !l.mayRelease(root, now) {
		return false
	}
	l.releasing[root] = true
	return true
}

func (l *holdings) endRelease(root string) { delete(l.releasing, root) }

// beginMend marks a copy as corrupt until it is repaired or given up. It must not be dropped
// meanwhile: the repair would fetch blocks of a copy that is no longer held. A release that is
// under way is abandoned.
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

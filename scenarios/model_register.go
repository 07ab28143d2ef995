package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// maxRegister is the sequential specification of what only grows at one place: it
// holds the greatest value that was written, zero at first. What a replica knows of a
// job's end and which version of a branch is the newest are such objects.
//
// It judges a concurrent history as it goes on, at O(log n) an operation: the
// history is linearizable if each read has a moment, between its beginning and
// its end, at which its value had been begun to be written and nothing greater
// was certain. (register_test.go compares with porcupine, which searches.)
//
// A write whose outcome is unknown stays open: it may be read, and it need not.
type maxRegister struct {
	begun   map[height]time.Duration // when a value was first begun to be written
	certain []certainty              // greater and greater, later and later
	// shared knows what was begun if several registers are written alike.
	shared *maxRegister
}

// height is a value; the minor part decides between equal major ones.
type height struct{ major, minor uint64 }

func (h height) compare(o height) int {
	return cmp.Or(cmp.Compare(h.major, o.major), cmp.Compare(h.minor, o.minor))
}

func (h height) String() string { return fmt.Sprintf("%d.%d", h.major, h.minor) }

// certainty: from after on, the register holds value or more.
type certainty struct {
	after time.Duration
	value height
}

// readSpanMax is longer than any read takes: certainties that are older, but for
// the last one, are of no more use.
const readSpanMax = 5 * time.Minute

// begin says that somebody begins to write a value.
func (r *maxRegister) begin(at time.Duration, value height) {
	if r.begun == nil {
		r.begun = map[height]time.Duration{}
	}
	if old, known := r.begun[value]; !known || at < old {
		r.begun[value] = at
	}
}

func (r *maxRegister) begunAt(value height) (at time.Duration, known bool) {
	if r.shared != nil {
		return r.shared.begunAt(value)
	}
	at, known = r.begun[value]
	return at, known
}

// done says that a write has taken effect before a moment. Calls come in the
// order of that moment.
func (r *maxRegister) done(at time.Duration, value height) {
	n := len(r.certain)
	if n > 0 && r.certain[n-1].value.compare(value) >= 0 {
		return
	}
	r.certain = append(r.certain, certainty{at, value})
	if first := sort.Search(n, func(i int) bool { return r.certain[i].after >= at-readSpanMax }); first > 1000 {
		r.certain = slices.Delete(r.certain, 0, first-1)
	}
}

// floor is what was certain before a moment.
func (r *maxRegister) floor(at time.Duration) height {
	i := sort.Search(len(r.certain), func(i int) bool { return r.certain[i].after >= at })
	if i == 0 {
		return height{}
	}
	return r.certain[i-1].value
}

// read judges a read that has ended: value is what it returned.
func (r *maxRegister) read(begin, end time.Duration, value height) error {
	from := begin
	if value != (height{}) {
		at, known := r.begunAt(value)
		if !known || at > end {
			return fmt.Errorf("%s was read, which nobody had written", value)
		}
		from = max(begin, at)
	}
	if floor := r.floor(from); floor.compare(value) > 0 {
		return fmt.Errorf("%s was read after %s was there", value, floor)
	}
	r.done(end, value)
	return nil
}

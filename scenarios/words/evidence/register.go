package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/taucloud/tau/sim/check"
)

// MaxRegister is the sequential specification of what only grows at one place: it
// holds the greatest value that was written, zero at first. What a replica knows of a
// job's end and which version of a branch is the newest are such objects.
//
// It judges a concurrent history as it goes on, at O(log n) an operation: the
// history is linearizable if each read has a moment, between its beginning and
// its end, at which its value had been begun to be written and nothing greater
// was certain. (register_test.go compares with porcupine, which searches.)
//
// A write whose outcome is unknown stays open: it may be read, and it need not.
type MaxRegister struct {
	begun   map[Height]time.Duration // when a value was first begun to be written
	certain []certainty              // greater and greater, later and later
	// shared knows what was begun if several registers are written alike.
	Shared *MaxRegister
}

// Height is a value; the minor part decides between equal major ones.
type Height struct{ Major, Minor uint64 }

// Compare is negative if h is lower than o, positive if it is higher.
func (h Height) Compare(o Height) int {
	return cmp.Or(cmp.Compare(h.Major, o.Major), cmp.Compare(h.Minor, o.Minor))
}

func (h Height) String() string { return fmt.Sprintf("%d.%d", h.Major, h.Minor) }

// certainty: from after on, the register holds value or more.
type certainty struct {
	after time.Duration
	value Height
}

// readSpanMax is longer than any read takes: certainties that are older, but for
// the last one, are of no more use.
const readSpanMax = 5 * time.Minute

// Begin says that somebody begins to write a value.
func (r *MaxRegister) Begin(at time.Duration, value Height) {
	if r.begun == nil {
		r.begun = map[Height]time.Duration{}
	}
	if old, known := r.begun[value]; !known || at < old {
		r.begun[value] = at
	}
}

func (r *MaxRegister) begunAt(value Height) (at time.Duration, known bool) {
	if r.Shared != nil {
		return r.Shared.begunAt(value)
	}
	at, known = r.begun[value]
	return at, known
}

// Done says that a write has taken effect before a moment. Calls come in the
// order of that moment.
func (r *MaxRegister) Done(at time.Duration, value Height) {
	n := len(r.certain)
	if n > 0 && r.certain[n-1].value.Compare(value) >= 0 {
		return
	}
	r.certain = append(r.certain, certainty{at, value})
	if first := sort.Search(n, func(i int) bool { return r.certain[i].after >= at-readSpanMax }); first > 1000 {
		r.certain = slices.Delete(r.certain, 0, first-1)
	}
}

// Floor is what was certain before a moment.
func (r *MaxRegister) Floor(at time.Duration) Height {
	i := sort.Search(len(r.certain), func(i int) bool { return r.certain[i].after >= at })
	if i == 0 {
		return Height{}
	}
	return r.certain[i-1].value
}

// Read judges a read that has ended: value is what it returned.
func (r *MaxRegister) Read(begin, end time.Duration, value Height) error {
	from := begin
	if value != (Height{}) {
		at, known := r.begunAt(value)
		if !known || at > end {
			return fmt.Errorf("%s was read, which nobody had written", value)
		}
		from = max(begin, at)
	}
	if floor := r.Floor(from); floor.Compare(value) > 0 {
		return fmt.Errorf("%s was read after %s was there", value, floor)
	}
	r.Done(end, value)
	return nil
}

// HeightOf is the place of a version among those of its branch.
func HeightOf(f check.Fact) Height {
	return Height{Major: uint64(f.Int("order")), Minor: uint64(f.Int("rollback"))}
}

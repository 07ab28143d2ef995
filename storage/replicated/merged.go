package replicated

import (
	"slices"
	"sync/atomic"

	"github.com/taucloud/tau/storage"
)

// The result that go-ds-crdt makes of a delta depends on nothing but the delta and the elements of
// the keys that it touches. So where many replicas run in one process, as in a simulated world,
// each delta is merged once: the other replicas reuse the result if their elements were the same.
// It makes no difference which replica merges.

// outcomesMax bounds the outcomes that are kept of a delta.
const outcomesMax = 4

// outcome is the result of merging a delta: for each key that it touches, the elements before and
// after, in the order of keys. It never changes.
type outcome []*merged

type merged struct {
	key           string
	before, after []*element
	record        shared // of the key, after
}

// shared is a write to the disk that the replicas of a process have in common, so
// that its key and its value are in memory once.
type shared struct{ last atomic.Pointer[sharedWrite] }

type sharedWrite struct {
	at    storage.Key // of the replica
	gen   generation
	write diskWrite
}

// of returns what f makes for a replica, or the result made for another one.
func (s *shared) of(at storage.Key, gen generation, f func() diskWrite) diskWrite {
	if w := s.last.Load(); w != nil && w.at == at && w.gen == gen {
		return w.write
	}
	w := f()
	w.full = string(at) + w.key
	s.last.Store(&sharedWrite{at, gen, w})
	return w
}

// remember keeps the outcome of merging a delta, which was the whole operation.
func (d *delta) remember(op *operation) {
	list := make(outcome, 0, len(op.cells))
	for key, c := range op.cells {
		list = append(list, &merged{key: key, before: c.before, after: c.list})
	}
	slices.SortFunc(list, func(a, b *merged) int { return storage.CompareKeys(a.key, b.key) })
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.outcomes) < outcomesMax {
		d.outcomes = append(d.outcomes, list)
	}
}

// recalled lists the remembered outcomes of a delta.
func (d *delta) recalled() []outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outcomes
}

// recallAlone does the whole operation of one delta with a remembered outcome of it, and reports whether
// there was one. It is what recall and finish come to, in their order, without anything staged: most replicas
// of a world do nothing else.
func (o *stagedIndex) recallAlone(d *delta) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, out := range d.recalled() {
		if !o.hasBefore(out) {
			continue
		}
		for _, m := range out {
			if !slices.Equal(m.before, m.after) {
				o.setRecord(m.key, m.before, m.after, m)
			}
		}
		o.replaceHeads(d)
		o.include(d)
		return true
	}
	return false
}

// hasBefore reports whether the elements between two operations are those of before.
func (o *stagedIndex) hasBefore(out outcome) bool {
	for _, m := range out {
		if !slices.Equal(o.record(m.key), m.before) {
			return false
		}
	}
	return true
}

// replaceHeads makes a delta a head, instead of those that it links to, in the order of ids.
func (o *stagedIndex) replaceHeads(d *delta) {
	var short [8]string
	ids := append(append(short[:0], d.linkIDs...), d.id)
	slices.Sort(ids)
	for _, id := range ids {
		if id == d.id {
			o.setHead(d.head)
		} else {
			o.dropHead(id)
		}
	}
}

// recall does an operation with the remembered outcomes of its sorted deltas. It reports whether
// there was one for each; otherwise the operation is unchanged.
func (o *stagedIndex) recall(sorted []*delta) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range sorted {
		if !o.recallOne(d) {
			return false
		}
	}
	return true
}

func (o *stagedIndex) recallOne(d *delta) bool {
	for _, out := range d.recalled() {
		if !o.fits(out) {
			continue
		}
		for _, m := range out {
			o.cell(m.key).recall(m)
		}
		o.op.bring(d)
		o.op.processed[d.id] = true
		for _, id := range d.linkIDs {
			o.op.heads[id] = nil
		}
		o.op.heads[d.id] = d.head
		return true
	}
	return false
}

// fits reports whether the elements are those of before.
func (o *stagedIndex) fits(out outcome) bool {
	for _, m := range out {
		if !slices.Equal(o.cell(m.key).list, m.before) {
			return false
		}
	}
	return true
}

// recall makes the elements those after a merge, and what go-ds-crdt says of them
// what follows.
func (c *cell) recall(m *merged) {
	c.from, c.list, c.value, c.priority = m, m.after, nil, nil
	if best := winner(c.list); best != nil {
		c.value, c.priority = best.value, priorityOf(best)
	}
}

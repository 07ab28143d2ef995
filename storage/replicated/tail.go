package replicated

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/storage"
)

// stub is what is kept in memory of a delta whose block is on the disk.
type stub struct {
	cid    storage.CID
	id     string
	dot    dot
	height uint64
	size   int // of the block
}

func (s *stub) hash() uint64 { return xxhash.Sum64String(s.id) }

// compareStubs orders ancestors before descendants, and is the same everywhere.
func compareStubs(a, b *stub) int {
	return cmp.Or(cmp.Compare(a.height, b.height), storage.CompareCIDs(a.cid, b.cid))
}

// tail is the deltas whose blocks are here: of each writer those after the cut, without a gap. The
// cut is closed under ancestors: it includes a delta only with all its ancestors.
type tail struct {
	lanes map[uint64][]*stub // by writer
	cut   *vector
	len   int
	bytes int
	sum   uint64
}

func newTail() *tail { return &tail{lanes: map[uint64][]*stub{}, cut: newVector()} }

// add puts the next delta of its writer.
func (t *tail) add(s *stub) {
	t.lanes[s.dot.writer] = append(t.lanes[s.dot.writer], s)
	t.len++
	t.bytes += s.size
	t.sum += s.hash()
}

// get returns the delta of a dot, nil if it is not in the tail.
func (t *tail) get(d dot) *stub {
	at := d.seq - t.cut.last[d.writer] - 1
	if lane := t.lanes[d.writer]; at < uint64(len(lane)) {
		return lane[at]
	}
	return nil
}

// after returns, ancestors first, what a context lacks, until f returns false.
func (t *tail) after(have *vector, f func(s *stub) bool) {
	q := stubHeap{}
	for _, w := range slices.Sorted(maps.Keys(t.lanes)) {
		lane := t.lanes[w]
		if known := have.last[w]; known > t.cut.last[w] {
			lane = lane[min(uint64(len(lane)), known-t.cut.last[w]):]
		}
		if len(lane) > 0 {
			q = append(q, lane)
		}
	}
	heap.Init(&q)
	for len(q) > 0 && f(q[0][0]) {
		if q[0] = q[0][1:]; len(q[0]) == 0 {
			heap.Pop(&q)
		} else {
			heap.Fix(&q, 0)
		}
	}
}

// exceeds reports whether deltas are to be cut.
func (t *tail) exceeds(h storage.History) bool {
	return t.len > h.Deltas+h.Deltas/4 || t.bytes > h.Bytes+h.Bytes/4
}

// prune removes the lowest deltas until neither bound is exceeded.
func (t *tail) prune(lenMax, bytesMax int) (cut []*stub) {
	left, bytes := t.len, t.bytes
	if left <= lenMax && bytes <= bytesMax {
		return nil
	}
	t.after(t.cut, func(s *stub) bool {
		if left <= lenMax && bytes <= bytesMax {
			return false
		}
		left, bytes = left-1, bytes-s.size
		cut = append(cut, s)
		return true
	})
	context := newVector()
	for _, s := range cut {
		context.add(s.dot)
	}
	t.raise(context)
	return cut
}

// raise makes the cut include context, and removes what it includes.
func (t *tail) raise(context *vector) (cut []*stub) {
	for _, d := range context.dots() {
		known := t.cut.last[d.writer]
		if d.seq <= known {
			continue
		}
		lane := t.lanes[d.writer]
		n := min(uint64(len(lane)), d.seq-known)
		for _, s := range lane[:n] {
			t.len--
			t.bytes -= s.size
			t.sum -= s.hash()
			cut = append(cut, s)
		}
		if lane = lane[n:]; len(lane) == 0 {
			delete(t.lanes, d.writer)
		} else {
			t.lanes[d.writer] = slices.Clone(lane)
		}
		t.cut.add(d)
	}
	return cut
}

// stubHeap has the lane of the lowest delta first.
type stubHeap [][]*stub

// Len implements heap.Interface.
func (q stubHeap) Len() int { return len(q) }

// Less implements heap.Interface.
func (q stubHeap) Less(i, j int) bool { return compareStubs(q[i][0], q[j][0]) < 0 }

// Swap implements heap.Interface.
func (q stubHeap) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *stubHeap) Push(v any) { *q = append(*q, v.([]*stub)) }

// Pop implements heap.Interface.
func (q *stubHeap) Pop() any {
	last := len(*q) - 1
	v := (*q)[last]
	*q = (*q)[:last]
	return v
}

package storage

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
)

const (
	// locatorLenMax bounds a locator.
	locatorLenMax = 64
	// A locator looks so far into the past, and if that was not far enough so
	// far: in deltas.
	locatorNear = 64
	locatorFar  = 1 << 14
)

// locator tells another replica what this one has: its heads and, in case the
// other knows none of these, ever sparser ancestors of them, lenMax deltas down.
func (r *replica) locator(lenMax int) ([]CID, error) {
	list, err := r.readLocator(lenMax)
	return list, r.heal(err)
}

func (r *replica) readLocator(lenMax int) ([]CID, error) {
	list := r.heads()
	list = list[:min(len(list), locatorLenMax/2)]
	q, err := r.newWalk(list, 0)
	if err != nil {
		return nil, err
	}
	next := len(list)
	for n := 0; n < lenMax && q.Len() > 0 && len(list) < locatorLenMax; n++ {
		d := heap.Pop(q).(*visit).delta
		if err := q.push(d.links, 0); err != nil {
			return nil, err
		}
		if n == next || q.Len() == 0 {
			list = append(list, d.cid)
			next += 1 + max(0, n-8)/2
		}
	}
	return list, nil
}

// page is a part of what another replica lacks.
type page struct {
	raws [][]byte // ancestors first
	last CID      // of them
	more bool
	// known is false if the other has deltas and named none that is here.
	known bool
}

// missing returns what a replica lacks that has have, up to about sizeMax bytes.
// after is the last of the previous page, if that was not all.
func (r *replica) missing(have []CID, after CID, sizeMax int) (page, error) {
	p, err := r.readMissing(have, after, sizeMax)
	return p, r.heal(err)
}

func (r *replica) readMissing(have []CID, after CID, sizeMax int) (p page, err error) {
	q, err := r.newWalk(r.heads(), 0)
	if err != nil {
		return p, err
	}
	p.known = len(have) == 0
	for _, c := range have {
		if r.has(c) {
			p.known = true
			if err := q.push([]CID{c}, visitHad); err != nil {
				return p, err
			}
		}
	}
	lacked, err := q.lacked()
	if err != nil {
		return p, err
	}
	slices.Reverse(lacked)
	lacked = lacked[slices.Index(lacked, after)+1:]
	size := 0
	for _, c := range lacked {
		d, err := r.dag.get(c)
		if err != nil {
			return p, fmt.Errorf("storage: serve deltas: %w", errors.Join(err, ErrCorrupt))
		}
		if size += len(d.raw); size > sizeMax && len(p.raws) > 0 {
			p.more = true
			break
		}
		p.raws = append(p.raws, d.raw)
		p.last = c
	}
	return p, nil
}

// walk visits deltas from the highest down, each once and after all that link
// to it.
type walk struct {
	replica *replica
	queue   []*visit
	visits  map[CID]*visit
	// lacking is how many in the queue are not marked visitHad.
	lacking int
}

type visit struct {
	delta *delta
	mark  int
}

// visitHad marks what the other replica has.
const visitHad = 1

func (r *replica) newWalk(from []CID, mark int) (*walk, error) {
	q := &walk{replica: r, visits: map[CID]*visit{}}
	return q, q.push(from, mark)
}

// push adds deltas to the queue, or a mark to those that are in it already.
func (q *walk) push(cids []CID, mark int) error {
	for _, c := range cids {
		v, found := q.visits[c]
		if !found {
			d, err := q.replica.dag.get(c)
			if err != nil {
				return fmt.Errorf("storage: walk deltas: %w", errors.Join(err, ErrCorrupt))
			}
			v = &visit{delta: d, mark: mark}
			q.visits[c] = v
			q.lacking += 1 - mark
			heap.Push(q, v)
		} else if v.mark < mark {
			v.mark = mark
			q.lacking--
		}
	}
	return nil
}

// lacked returns what is reached without a mark, descendants first.
func (q *walk) lacked() ([]CID, error) {
	var list []CID
	for q.lacking > 0 {
		v := heap.Pop(q).(*visit)
		if v.mark != visitHad {
			q.lacking--
			list = append(list, v.delta.cid)
		}
		if err := q.push(v.delta.links, v.mark); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Len implements heap.Interface.
func (q *walk) Len() int { return len(q.queue) }

// Less implements heap.Interface: the highest first.
func (q *walk) Less(i, j int) bool {
	a, b := q.queue[i].delta, q.queue[j].delta
	if a.height != b.height {
		return a.height > b.height
	}
	return compareCIDs(a.cid, b.cid) > 0
}

// Swap implements heap.Interface.
func (q *walk) Swap(i, j int) { q.queue[i], q.queue[j] = q.queue[j], q.queue[i] }

// Push implements heap.Interface.
func (q *walk) Push(v any) { q.queue = append(q.queue, v.(*visit)) }

// Pop implements heap.Interface.
func (q *walk) Pop() any {
	last := len(q.queue) - 1
	v := q.queue[last]
	q.queue = q.queue[:last]
	return v
}

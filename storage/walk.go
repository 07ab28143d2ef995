package storage

import (
	"bytes"
	"container/heap"
	"errors"
	"fmt"
)

const (
	// locatorLenMax bounds a locator.
	locatorLenMax = 64
	// A locator looks so far into the past, and if that was not far enough so
	// far: in deltas.
	locatorNear = 64
	locatorFar  = 1 << 14
)

// locator tells another replica what this one has: its heads and, if the other
// knows none of these, ever sparser ancestors of them, down to lenMax deltas.
func (r *replica) locator(lenMax int) ([]CID, error) {
	list, err := r.readLocator(lenMax)
	return list, r.heal(err)
}

func (r *replica) readLocator(lenMax int) ([]CID, error) {
	q, err := r.newWalk(r.heads(), 0)
	if err != nil {
		return nil, err
	}
	list := r.heads()
	next := 8
	for n := 0; n < lenMax && q.Len() > 0 && len(list) < locatorLenMax; n++ {
		d := heap.Pop(q).(*visit).delta
		if n == next {
			list = append(list, d.cid)
			next += next / 2
		}
		if err := q.push(d.links, 0); err != nil {
			return nil, err
		}
	}
	return list[:min(len(list), locatorLenMax)], nil
}

// missing returns, ancestors first, deltas that a replica lacks that has have,
// up to about sizeMax bytes, and whether there are more. known is false if
// have is not empty and names nothing that is here.
func (r *replica) missing(have []CID, sizeMax int) (raws [][]byte, more, known bool, err error) {
	raws, more, known, err = r.readMissing(have, sizeMax)
	return raws, more, known, r.heal(err)
}

func (r *replica) readMissing(have []CID, sizeMax int) (raws [][]byte, more, known bool, err error) {
	q, err := r.newWalk(r.heads(), 0)
	if err != nil {
		return nil, false, false, err
	}
	known = len(have) == 0
	for _, c := range have {
		if r.has(c) {
			known = true
			if err := q.push([]CID{c}, visitHad); err != nil {
				return nil, false, false, err
			}
		}
	}
	lacked, err := q.lacked()
	if err != nil {
		return nil, false, false, err
	}
	size := 0
	for i := len(lacked) - 1; i >= 0; i-- {
		d, err := r.dag.get(lacked[i])
		if err != nil {
			return nil, false, false, fmt.Errorf("storage: serve deltas: %w", errors.Join(err, ErrCorrupt))
		}
		if size += len(d.raw); size > sizeMax && len(raws) > 0 {
			return raws, true, known, nil
		}
		raws = append(raws, d.raw)
	}
	return raws, false, known, nil
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
	return bytes.Compare(a.cid.Bytes(), b.cid.Bytes()) > 0
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

package replicated

import (
	"fmt"

	"github.com/taucloud/tau/storage"
)

// page is a part of the deltas that another replica lacks.
type page struct {
	raws [][]byte // ancestors first
	more bool
	// large is the next delta, if it does not fit into a page of its own.
	large *delta
	// fold: the missing deltas reach further back than the tail.
	fold bool
}

// pageLenMax bounds the deltas of a page: its receiver needs some 50 us for each, in one turn.
const pageLenMax = 256

// missing returns the deltas that a replica with a context lacks, up to sizeMax bytes. The context
// is the cursor: the receiver asks for the next page with its new context.
func (r *replica) missing(have *vector, sizeMax int) (p page, err error) {
	t := r.index.tail
	if !have.covers(t.cut) || len(have.last) == 0 && !r.isEmpty() {
		return page{fold: true}, nil
	}
	size := 0
	var lost *stub
	t.after(have, func(s *stub) bool {
		if len(p.raws) == pageLenMax || len(p.raws) > 0 && size+s.size > sizeMax {
			p.more = true
			return false
		}
		d, readErr := r.block(s)
		if readErr != nil {
			lost, err = s, readErr
			return false
		}
		if s.size > sizeMax {
			p.large, p.more = d, true
			return false
		}
		p.raws, size = append(p.raws, d.raw), size+s.size
		return true
	})
	if lost != nil {
		r.forgetUpTo(lost)
		return page{}, fmt.Errorf("storage: serve deltas: %w", err)
	}
	return p, nil
}

// block reads a delta of the tail.
func (r *replica) block(s *stub) (*delta, error) {
	if d := deltas.get(s.cid); d != nil {
		return d, nil
	}
	at := diskDeltas + s.id
	for _, w := range r.index.unsaved {
		if w.key == at && !w.delete {
			return decodeDelta(w.value)
		}
	}
	return readDelta(r.index.disk, r.index.at+storage.Key(at), s.cid)
}

// forgetUpTo cuts the tail after a delta whose block is damaged: nothing else is lost by that, as
// its effects are in the index. Replicas that lack it are given the whole state.
func (r *replica) forgetUpTo(s *stub) {
	context := newVector()
	r.index.tail.after(r.index.tail.cut, func(t *stub) bool {
		context.add(t.dot)
		return t != s
	})
	r.index.raiseCut(context)
	_ = r.save() // kept, and tried again
}

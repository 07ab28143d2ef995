package replicated

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

const (
	// foldPageMax bounds a page of a fold, in bytes: its receiver decodes some 1,500 elements in
	// one turn.
	foldPageMax = 256 << 10
	// foldsMax is how many folds are served at a time; a further one replaces the least recently
	// used.
	foldsMax = 2
	// foldFresh is how long a fold is offered to further peers: it is a little old then, and later
	// deltas follow.
	foldFresh = 10 * time.Second
	// foldExpiry is how long an unused fold is kept: the elements superseded meanwhile take memory.
	foldExpiry = 5 * time.Minute
)

// onFetch serves the deltas that another replica lacks. The cost of a page is proportional to its
// content: the vector and the place in a fold are cursors, and nothing is walked twice.
func (r *Store) onFetch(_ context.Context, _ transport.Peer, request fetchRequest) (fetchResponse, error) {
	if r.ctx.Err() != nil {
		return fetchResponse{}, clock.ErrStopped
	}
	response := fetchResponse{Standing: r.standing()}
	if request.SizeMax <= 0 || response.Standing.joins() {
		response.More = !r.replica.isEmpty()
		return response, nil
	}
	size := min(request.SizeMax, pacing.Max)
	_ = r.commit() // writes of this turn are served as well, if possible
	have, err := decodeVector(request.Have)
	if err != nil {
		return response, transport.New(transport.Invalid, r.exchange.fetch.Name, err.Error())
	}
	if f := r.foldAsked(request.Fold); f != nil {
		response.Fold = r.foldPage(f, request.Fold.At, size)
		return response, nil
	}
	p, err := r.replica.missing(have, size)
	switch {
	case err != nil:
		return response, err
	case p.fold || request.Whole:
		response.Fold = r.foldPage(r.offerFold(request.Whole), foldCursor{}, size)
	case p.large != nil && len(p.raws) == 0:
		response.Part, response.More = partOf(p.large, request.Part, size), true
	default:
		response.Deltas, response.More = p.raws, p.more
	}
	return response, nil
}

func partOf(d *delta, at *partCursor, size int) *partPage {
	p := &partPage{CID: d.cid.Bytes(), Size: len(d.raw)}
	if at != nil && at.Offset > 0 && at.Offset < len(d.raw) && bytes.Equal(at.CID, p.CID) {
		p.Offset = at.Offset
	}
	p.Bytes = d.raw[p.Offset:min(len(d.raw), p.Offset+size)]
	return p
}

func (r *Store) foldPage(f *foldSource, at foldCursor, size int) *foldPage {
	f.used = r.cfg.Loop.Elapsed()
	p := &foldPage{ID: f.id, At: at}
	p.Bytes, p.Next, p.Done = f.page(at, min(size, foldPageMax))
	return p
}

func (r *Store) foldAsked(request *foldRequest) *foldSource {
	if request == nil {
		return nil
	}
	for _, f := range r.folds {
		if f.id == request.ID {
			return f
		}
	}
	return nil
}

// offerFold returns a fold that the tail continues.
func (r *Store) offerFold(now bool) *foldSource {
	for _, f := range r.folds {
		young := r.cfg.Loop.Elapsed()-f.frozen < foldFresh
		if !now && young && f.vector.covers(r.replica.index.tail.cut) {
			return f
		}
	}
	if len(r.folds) >= foldsMax {
		oldest := 0
		for i, f := range r.folds {
			if f.used < r.folds[oldest].used {
				oldest = i
			}
		}
		r.folds = slices.Delete(r.folds, oldest, oldest+1)
	}
	r.foldIDs++
	f := r.replica.freeze(r.foldIDs)
	f.frozen = r.cfg.Loop.Elapsed()
	f.used = f.frozen
	r.folds = append(r.folds, f)
	return f
}

// expireFolds drops unused folds.
func (r *Store) expireFolds() {
	r.folds = slices.DeleteFunc(r.folds, func(f *foldSource) bool { return r.cfg.Loop.Elapsed()-f.used > foldExpiry })
}

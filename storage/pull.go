package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// pageSizeMax bounds the deltas in one response, except that there is one.
	pageSizeMax = 1 << 20
	// pullTimeout bounds one page, pagesMax their number.
	pullTimeout = 5 * time.Second
	pagesMax    = 1 << 12
	// laggingLenMax bounds from how many peers we mean to pull.
	laggingLenMax = 64
)

// lag is a peer that has something that we lack.
type lag struct {
	from transport.Peer
	// rumour: what comes of it is worth telling others, who lack it as well.
	rumour bool
}

// pullLater has a task pull from a peer, unless one is to already.
func (r *Replicated) pullLater(from transport.Peer, rumour bool) {
	known := slices.ContainsFunc(r.lagging, func(l lag) bool { return l.from == from })
	if known || len(r.lagging) >= laggingLenMax {
		return
	}
	r.lagging = append(r.lagging, lag{from: from, rumour: rumour})
	if r.pulling {
		return
	}
	r.pulling = true
	r.cfg.Loop.Go("pull", func(context.Context) {
		defer func() { r.pulling = false }()
		for len(r.lagging) > 0 && r.ctx.Err() == nil {
			next := r.lagging[0]
			r.lagging = r.lagging[1:]
			before := r.replica.heads()
			// If it fails, anti-entropy tries again.
			if r.pull(r.ctx, next.from) == nil && next.rumour && !slices.Equal(before, r.replica.heads()) {
				r.spread()
			}
		}
	})
}

// pull takes all that a peer has and we have not.
func (r *Replicated) pull(ctx context.Context, from transport.Peer) error {
	depth := locatorNear
	var last []byte
	for range pagesMax {
		page, err := r.pullPage(ctx, from, depth, last)
		if err != nil {
			return err
		}
		if page.Unknown && depth == locatorNear {
			depth = locatorFar
			continue
		}
		if err := r.take(page.Deltas); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		last = page.Last
	}
	return fmt.Errorf("%w: over %d pages from %s", ErrTooLarge, pagesMax, from.Short())
}

func (r *Replicated) pullPage(ctx context.Context, from transport.Peer, depth int, last []byte) (fetchResponse, error) {
	ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, pullTimeout)
	defer cancel()
	have, err := r.replica.locator(depth)
	if err != nil {
		return fetchResponse{}, err
	}
	request := fetchRequest{Have: encodeCIDs(have), Far: depth == locatorFar, After: last}
	return r.exchange.fetch.Call(ctx, r.cfg.Endpoint, from, request)
}

func (r *Replicated) onFetch(_ context.Context, _ transport.Peer, request fetchRequest) (fetchResponse, error) {
	if r.ctx.Err() != nil {
		return fetchResponse{}, clock.ErrStopped
	}
	_ = r.commit() // what was applied just now is served as well, if it can be
	have, err := decodeCIDs(request.Have)
	if err != nil {
		return fetchResponse{}, err
	}
	after := cid.Undef
	if len(request.After) > 0 {
		if after, err = cid.Cast(request.After); err != nil {
			return fetchResponse{}, transport.New(transport.Invalid, r.exchange.fetch.Name, err.Error())
		}
	}
	page, err := r.replica.missing(have, after, pageSizeMax)
	if err != nil {
		return fetchResponse{}, err
	}
	if !page.known && page.more && !request.Far {
		return fetchResponse{Unknown: true}, nil
	}
	return fetchResponse{Deltas: page.raws, More: page.more, Last: page.last.Bytes()}, nil
}

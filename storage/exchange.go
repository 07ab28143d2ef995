package storage

import (
	"context"
	"errors"
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
	// headsLenMax bounds the heads in a message.
	headsLenMax = 256
	// pullTimeout bounds one page, pagesMax their number.
	pullTimeout = 5 * time.Second
	pagesMax    = 1 << 12
	// catchUpTimeout bounds how long opening waits for another replica.
	catchUpTimeout = 2 * time.Second
	// pushTimeout is how long a peer has to make what we have durable.
	pushTimeout = 2 * time.Second
	// pushSizeMax bounds the deltas that a push carries along.
	pushSizeMax = 64 << 10
)

// What replicas say to each other.
type (
	// news is published: a delta was made.
	news struct {
		Deltas [][]byte `cbor:"1,keyasint"`
	}
	// headsNote compares the state of two replicas.
	headsNote struct {
		Heads  [][]byte `cbor:"1,keyasint"`
		Answer bool     `cbor:"2,keyasint"` // to a note; it gets none
	}
	// fetchRequest asks for all that the other has, except what Have names and
	// its ancestors.
	fetchRequest struct {
		Have [][]byte `cbor:"1,keyasint"`
		// Far says that Have reaches as far back as it ever will.
		Far bool `cbor:"2,keyasint"`
		// After is the last of the previous page, empty at first.
		After []byte `cbor:"3,keyasint"`
	}
	fetchResponse struct {
		Deltas [][]byte `cbor:"1,keyasint"` // ancestors first
		More   bool     `cbor:"2,keyasint"`
		// Unknown says: Have names nothing that I know, look further back.
		Unknown bool `cbor:"3,keyasint"`
		// Last names the last of Deltas.
		Last []byte `cbor:"4,keyasint"`
	}
	// pushRequest asks to make Heads and all their ancestors durable. Deltas
	// are some that the other may lack.
	pushRequest struct {
		Heads  [][]byte `cbor:"1,keyasint"`
		Deltas [][]byte `cbor:"2,keyasint"`
	}
	pushResponse struct{}
)

// exchange is what a replica needs to speak with the others.
type exchange struct {
	news  transport.Topic[news]
	heads transport.Note[headsNote]
	fetch transport.Method[fetchRequest, fetchResponse]
	push  transport.Method[pushRequest, pushResponse]

	// lagging are peers that have something that we lack; one task pulls.
	lagging []transport.Peer
	pulling bool
	// rounds are the peers still to be asked in this round of anti-entropy.
	rounds []transport.Peer
	pushes int // counts, so that they begin with another peer each time
}

// serve registers the handlers.
func (r *Replicated) serve() {
	ep, name := r.cfg.Endpoint, r.cfg.Service+"/kv/"+r.cfg.Namespace
	r.exchange.news.Name = name
	r.exchange.heads.Name = name + "/heads"
	r.exchange.fetch.Name = name + "/fetch"
	r.exchange.push.Name = name + "/push"
	r.exchange.news.Subscribe(ep, r.onNews)
	r.exchange.heads.Serve(ep, r.onHeads)
	r.exchange.fetch.Serve(ep, r.onFetch)
	r.exchange.push.Serve(ep, r.onPush)
}

// publish tells everybody of a delta.
func (r *Replicated) publish(d *delta) {
	r.exchange.news.Publish(r.cfg.Endpoint, news{Deltas: [][]byte{d.raw}})
}

// take makes deltas of others part of the state.
func (r *Replicated) take(deltas [][]byte) error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	err := r.replica.ingest(deltas)
	r.notify()
	return err
}

func (r *Replicated) onNews(_ context.Context, from transport.Peer, m news) {
	if err := r.take(m.Deltas); errors.Is(err, errMissing) {
		r.pullLater(from)
	}
}

// onHeads is half of anti-entropy: whoever lacks a head of the other pulls.
func (r *Replicated) onHeads(_ context.Context, from transport.Peer, m headsNote) {
	if r.ctx.Err() != nil {
		return
	}
	theirs, err := decodeCIDs(m.Heads)
	if err != nil {
		return
	}
	if !r.hasAll(theirs) {
		r.pullLater(from)
	}
	lacked := func(c CID) bool { return !slices.Contains(theirs, c) }
	if !m.Answer && slices.ContainsFunc(r.replica.heads(), lacked) {
		r.tellHeads(from, true)
	}
}

func (r *Replicated) hasAll(cids []CID) bool {
	return !slices.ContainsFunc(cids, func(c CID) bool { return !r.replica.has(c) })
}

func (r *Replicated) tellHeads(to transport.Peer, answer bool) {
	m := headsNote{Heads: r.encodedHeads(), Answer: answer}
	_ = r.exchange.heads.Tell(r.cfg.Endpoint, to, m) // the next round tells again
}

// encodedHeads are enough of our heads: with one more than it can name, the
// others find out about the rest when they pull.
func (r *Replicated) encodedHeads() [][]byte {
	heads := r.replica.heads()
	return encodeCIDs(heads[:min(len(heads), headsLenMax)])
}

// pullLater has a task pull from a peer, unless one is to already.
func (r *Replicated) pullLater(from transport.Peer) {
	if slices.Contains(r.lagging, from) || len(r.lagging) >= headsLenMax {
		return
	}
	r.lagging = append(r.lagging, from)
	if r.pulling {
		return
	}
	r.pulling = true
	r.cfg.Loop.Go("pull", func(context.Context) {
		defer func() { r.pulling = false }()
		for len(r.lagging) > 0 && r.ctx.Err() == nil {
			peer := r.lagging[0]
			r.lagging = r.lagging[1:]
			_ = r.pull(r.ctx, peer) // anti-entropy tries again
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

// onPush acknowledges what is durable here.
func (r *Replicated) onPush(ctx context.Context, from transport.Peer, request pushRequest) (pushResponse, error) {
	heads, err := decodeCIDs(request.Heads)
	if err != nil {
		return pushResponse{}, err
	}
	if err := r.take(request.Deltas); err != nil && !errors.Is(err, errMissing) {
		return pushResponse{}, err
	}
	if !r.hasAll(heads) {
		if err := r.pull(ctx, from); err != nil {
			return pushResponse{}, err
		}
	}
	if !r.hasAll(heads) {
		return pushResponse{}, transport.New(transport.Conflict, r.exchange.push.Name, "heads were not served")
	}
	return pushResponse{}, r.Sync(ctx)
}

func encodeCIDs(list []CID) [][]byte {
	raws := make([][]byte, len(list))
	for i, c := range list {
		raws[i] = c.Bytes()
	}
	return raws
}

func decodeCIDs(raws [][]byte) ([]CID, error) {
	if len(raws) > headsLenMax {
		return nil, transport.New(transport.Invalid, "decode", fmt.Sprintf("%d heads", len(raws)))
	}
	list := make([]CID, len(raws))
	for i, raw := range raws {
		c, err := cid.Cast(raw)
		if err != nil {
			return nil, transport.New(transport.Invalid, "decode", err.Error())
		}
		list[i] = c
	}
	return list, nil
}

package replicated

import (
	"bytes"
	"context"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

// laggingLenMax bounds the peers in the queue of pulls.
const laggingLenMax = 64

// lag is a peer with deltas that we lack.
type lag struct {
	from transport.Peer
	// rumour: tell others of the pulled deltas, which they probably lack too.
	rumour bool
	// whole: its whole state is to be merged with ours, see mend.
	whole bool
}

// pullLater has a task pull from a peer, unless one is to already.
func (r *Store) pullLater(next lag) {
	known := slices.ContainsFunc(r.lagging, func(l lag) bool { return l.from == next.from && l.whole == next.whole })
	if known || len(r.lagging) >= laggingLenMax {
		return
	}
	r.lagging = append(r.lagging, next)
	if r.pulling {
		return
	}
	r.pulling = true
	r.cfg.Loop.Go("pull", func(context.Context) {
		defer func() { r.pulling = false }()
		for len(r.lagging) > 0 && r.ctx.Err() == nil {
			next := r.lagging[0]
			r.lagging = r.lagging[1:]
			before := r.replica.index.vector.sum
			if next.whole {
				_ = r.mend(r.ctx, next.from) // the next round sees whether it helped
				continue
			}
			// If it fails, anti-entropy tries again.
			if r.pull(r.ctx, next.from) == nil && next.rumour && before != r.replica.index.vector.sum {
				r.spread()
			}
		}
	})
}

// pull fetches all deltas of a peer that are missing here, page by page. The pull ends with a page
// without progress; earlier pages stay merged if a later one fails.
func (r *Store) pull(ctx context.Context, from transport.Peer) error {
	me := new(int)
	defer r.releaseSink(me)
	for {
		response, err := r.pullPage(ctx, from)
		if err != nil {
			return err
		}
		switch {
		case response.Standing.joins():
			return transport.New(transport.Refused, r.exchange.fetch.Name, from.Short()+" is catching up itself")
		case response.Fold != nil:
			err = r.takeFoldPage(me, from, response.Fold, false)
		case response.Part != nil:
			err = r.takePart(response.Part)
		default:
			before := r.replica.index.vector.sum
			err = r.take(response.Deltas)
			if err == nil && !response.More {
				return nil
			}
			if err == nil && before == r.replica.index.vector.sum {
				err = r.pageError("a page that brings nothing", from)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (r *Store) pageError(text string, from transport.Peer) error {
	return transport.New(transport.Invalid, r.exchange.fetch.Name, text+", from "+from.Short())
}

// pullPage asks for the next page.
func (r *Store) pullPage(ctx context.Context, from transport.Peer) (fetchResponse, error) {
	request := fetchRequest{Have: r.replica.index.vector.encode()}
	if r.sink != nil && r.sinkFrom == from {
		request.Fold = &foldRequest{ID: r.sink.id, At: r.sink.at}
	}
	if len(r.part.Bytes) > 0 {
		request.Part = &partCursor{CID: r.part.CID, Offset: len(r.part.Bytes)}
	}
	return r.ask(ctx, from, request)
}

// ask sends a request for a page of the size that suits the link.
func (r *Store) ask(ctx context.Context, from transport.Peer, request fetchRequest) (fetchResponse, error) {
	p := r.paces.Of(from)
	request.SizeMax = p.Size
	start := r.cfg.Loop.Elapsed()
	response, err := r.exchange.fetch.Call(transport.Patient(ctx, pacing.Patience), r.cfg.Endpoint, from, request)
	if err != nil {
		if transport.KindOf(err) == transport.Timeout {
			p.Lost()
		}
		return response, err
	}
	p.Arrived(response.size(), r.cfg.Loop.Elapsed()-start)
	r.progress = r.cfg.Loop.Elapsed()
	return response, nil
}

func (p *fetchResponse) size() (n int) {
	for _, raw := range p.Deltas {
		n += len(raw)
	}
	if p.Part != nil {
		n += len(p.Part.Bytes)
	}
	if p.Fold != nil {
		n += len(p.Fold.Bytes)
	}
	return n
}

// takePart adds to the beginning of a long delta, and merges the delta when it is complete.
func (r *Store) takePart(p *partPage) error {
	if !bytes.Equal(p.CID, r.part.CID) {
		r.part = partPage{CID: p.CID, Size: p.Size}
	}
	have := len(r.part.Bytes)
	end := p.Offset + len(p.Bytes)
	if p.Offset < 0 || p.Offset > have || len(p.Bytes) == 0 || p.Size > deltaRawMax || p.Size != r.part.Size || end > p.Size {
		r.part = partPage{}
		return transport.New(transport.Invalid, r.exchange.fetch.Name, "a part that does not fit")
	}
	if end > have { // what overlaps came by another request of ours
		r.part.Bytes = append(r.part.Bytes, p.Bytes[have-p.Offset:]...)
	}
	if end < p.Size {
		return nil
	}
	raw := r.part.Bytes
	r.part = partPage{}
	before := r.replica.index.vector.sum
	if err := r.take([][]byte{raw}); err != nil {
		return err
	}
	if before == r.replica.index.vector.sum {
		return transport.New(transport.Invalid, r.exchange.fetch.Name, "a delta that brings nothing")
	}
	return nil
}

// takeFoldPage adds to the fold being received, and joins it when it is complete. One pull at a
// time may do that.
func (r *Store) takeFoldPage(me *int, from transport.Peer, p *foldPage, union bool) error {
	if r.sinkOwner != nil && r.sinkOwner != me {
		return transport.New(transport.Conflict, r.exchange.fetch.Name, "a fold is arriving already")
	}
	r.sinkOwner = me
	if r.sink == nil || r.sinkFrom != from || r.sink.id != p.ID {
		r.sink, r.sinkFrom = &foldSink{id: p.ID}, from
	}
	sink := r.sink
	if p.At != sink.at || len(p.Bytes) == 0 && !p.Done {
		r.sink = nil
		return r.pageError("a page of a fold that is out of place", from)
	}
	err := sink.take(p.Bytes)
	if sink.at = p.Next; err == nil && !p.Done {
		return nil
	}
	r.sink = nil
	if err == nil {
		err = sink.check()
	}
	if err != nil {
		return err
	}
	return r.joinFold(from, sink, union)
}

// releaseSink lets another pull receive a fold; the received part is kept for the next pull from
// the same peer.
func (r *Store) releaseSink(me *int) {
	if r.sinkOwner == me {
		r.sinkOwner = nil
	}
}

// joinFold joins a complete fold while the replica stays in use.
func (r *Store) joinFold(from transport.Peer, sink *foldSink, union bool) error {
	before := r.replica.index.vector.sum
	if union && sink.vector.sum != before {
		return nil // it is not what was compared any more
	}
	if err := r.replica.join(sink, union, r.pause); err != nil {
		return err
	}
	if !union && before == r.replica.index.vector.sum {
		return r.pageError("a fold that brings nothing", from)
	}
	if union {
		r.observe("replica-mended")
	} else {
		r.observe("replica-joined", "elements", len(sink.elements))
	}
	r.mergeOrphans()
	r.notify()
	return nil
}

// pause gives up the turn between the parts of something long.
func (r *Store) pause() error { return clock.Sleep(r.ctx, r.cfg.Loop, 0) }

// mend merges with a replica that has processed the same deltas and holds different contents: at
// least one of the two has lost live elements or kept dead ones, and neither can know which. The
// union is kept.
func (r *Store) mend(ctx context.Context, from transport.Peer) error {
	me := new(int)
	defer r.releaseSink(me)
	request := fetchRequest{Have: r.replica.index.vector.encode(), Whole: true}
	for {
		response, err := r.ask(ctx, from, request)
		if err != nil {
			return err
		}
		if response.Fold == nil {
			return r.pageError("no fold", from)
		}
		if err := r.takeFoldPage(me, from, response.Fold, true); err != nil || r.sink == nil {
			return err
		}
		request.Fold = &foldRequest{ID: r.sink.id, At: r.sink.at}
	}
}

package blocks

import (
	"context"
	"errors"
	"fmt"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

// blockPart is the beginning of a block. If several holders sent it and it turns out to be wrong,
// the liar is unknown: then one of them must send all of it.
type blockPart struct {
	raw    []byte
	from   *holder
	mixed  bool
	strict bool
}

// get asks a holder for blocks and stores the valid ones. The part of an incomplete block is kept,
// to be continued by the next request.
func (f *fetch) get(ctx context.Context, h *holder, wants []storage.CID) error {
	part := f.part(h, wants[0])
	response, err := f.blocks.askFor(ctx, h.peer, wants, len(part.raw))
	if transport.KindOf(err) == transport.Timeout && ctx.Err() == nil {
		if h.silences++; h.silences < silencesMax {
			return nil
		}
	}
	if err != nil {
		return err
	}
	h.silences = 0
	list, err := f.sort(h, part, wants, response.Items)
	if err != nil {
		return err
	}
	size := int64(0)
	for _, b := range list {
		size += int64(len(b.raw))
	}
	completed := len(list) > 0 && list[0].cid == wants[0]
	var lie error
	err = f.blocks.heavy(ctx, size, func() error {
		list, lie = verified(list)
		return nil
	})
	if err != nil {
		return err
	}
	if completed && len(list) == 0 {
		delete(f.parts, wants[0])
		if part.mixed {
			f.parts[wants[0]], lie = &blockPart{strict: true}, nil
		}
	}
	return errors.Join(lie, f.store(list))
}

// part is the part of a block that is here and that h may continue.
func (f *fetch) part(h *holder, c storage.CID) *blockPart {
	p := f.parts[c]
	if p == nil || p.strict && p.from != h {
		p = &blockPart{from: h, strict: p != nil}
		f.parts[c] = p
	}
	p.mixed = p.mixed || p.from != h
	return p
}

// sort returns the blocks that are whole now.
func (f *fetch) sort(h *holder, part *blockPart, wants []storage.CID, items []getItem) (list []block, err error) {
	lie := func(text string) error {
		return transport.New(transport.Invalid, getBlocks.Name, text+", from "+h.peer.Short())
	}
	if len(items) == 0 || len(items) > len(wants) {
		return nil, lie(fmt.Sprintf("%d blocks", len(items)))
	}
	for i, item := range items {
		switch {
		case !item.Found:
			h.lacks[wants[i]] = true
			continue
		case item.Size > blockSizeMax:
			return nil, lie(fmt.Sprintf("a block of %d bytes", item.Size))
		case i > 0:
			list = append(list, block{cid: wants[i], raw: item.Raw})
			continue
		case len(item.Raw) == 0 && len(part.raw) < item.Size:
			return nil, lie("a part of nothing")
		}
		if len(part.raw) == 0 {
			part.raw = item.Raw
		} else {
			part.raw = append(part.raw, item.Raw...)
		}
		if len(part.raw) >= item.Size {
			list = append(list, block{cid: wants[0], raw: part.raw})
		}
	}
	return list, nil
}

// askFor asks a peer for blocks, as many bytes as suit the link.
func (b *Store) askFor(ctx context.Context, peer transport.Peer, wants []storage.CID, offset int) (getResponse, error) {
	p := b.paces.Of(peer)
	start := b.loop.Elapsed()
	request := getRequest{CIDs: encodeCIDs(wants), Offset: offset, SizeMax: p.Size}
	response, err := getBlocks.Call(transport.Patient(ctx, pacing.Patience), b.endpoint, peer, request)
	if err != nil {
		if transport.KindOf(err) == transport.Timeout {
			p.Lost()
		}
		return response, err
	}
	n := 0
	for _, item := range response.Items {
		n += len(item.Raw)
	}
	p.Arrived(n, b.loop.Elapsed()-start)
	return response, nil
}

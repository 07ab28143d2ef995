package blocks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

const (
	// getLenMax bounds the blocks of a request.
	getLenMax = 64
	// wantsMax is how many blocks a request names; how many of them are sent depends on the link,
	// see pace.
	wantsMax = 8
	// lanesMax is how many holders are asked at once.
	lanesMax = 4
	// aheadMax is how many requests to one holder are on their way at once if its
	// link is fast: pacing.Max bytes each.
	aheadMax = 4
	// silencesMax is how many requests, each for less, a holder may leave unanswered before it is
	// left out.
	silencesMax = 4
	// servedMax is how many blocks are kept that are served in parts.
	servedMax = 4
)

// Fetch implements storage.Blocks.
func (b *Store) Fetch(ctx context.Context, root storage.CID, holders []transport.Peer, sizeMax int64) error {
	if err := checkCID(root); err != nil {
		return err
	}
	f := b.resume(root)
	f.sizeMax = sizeMax
	for _, p := range holders {
		if p != b.endpoint.Self() {
			f.holders = append(f.holders, &holder{peer: p, lacks: map[storage.CID]bool{}})
		}
	}
	members, err := f.run(ctx, root)
	f.over = true
	if err != nil {
		b.suspend(f)
		return err
	}
	defer b.release(f.held)
	return b.store.addRoot(root, members, b.owner)
}

// fetch is one Fetch: it goes down the DAG level by level.
type fetch struct {
	blocks  *Store
	root    storage.CID
	holders []*holder
	links   map[storage.CID][]storage.CID // of the blocks that are here by now
	parts   map[storage.CID]*blockPart    // of blocks of which the beginning is here
	held    []storage.CID
	size    int64
	sizeMax int64
	failed  error // an error that no other holder can help with
	over    bool  // Fetch has returned; requests may still come back
	// suspensions counts, so that a timer knows which of them it is for.
	suspensions int
}

type holder struct {
	peer     transport.Peer
	failed   error
	lacks    map[storage.CID]bool
	silences int // in a row
}

func (f *fetch) run(ctx context.Context, root storage.CID) (members []storage.CID, err error) {
	seen := map[storage.CID]bool{root: true}
	for level := []storage.CID{root}; len(level) > 0; {
		members = append(members, level...)
		if len(members) > blocksLenMax {
			return nil, fmt.Errorf("%w: a DAG of over %d blocks", storage.ErrTooLarge, blocksLenMax)
		}
		if err := f.fetchLevel(ctx, level); err != nil {
			return nil, err
		}
		var next []storage.CID
		for _, c := range level {
			for _, l := range f.links[c] {
				if !seen[l] {
					seen[l] = true
					next = append(next, l)
				}
			}
		}
		level = next
	}
	return members, nil
}

// fetchLevel makes blocks local: it asks holders for the missing ones until all are here or no
// holder has one.
func (f *fetch) fetchLevel(ctx context.Context, level []storage.CID) error {
	need := slices.Clone(level)
	for {
		need = slices.DeleteFunc(need, f.takeLocal)
		switch {
		case f.failed != nil:
			return f.failed
		case len(need) == 0:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		for _, c := range need {
			if err := f.available(c); err != nil {
				return err
			}
		}
		if err := f.ask(ctx, slices.Clone(need)); err != nil {
			return err
		}
	}
}

// takeLocal reports whether a block is here, and then holds it and knows its
// links.
func (f *fetch) takeLocal(c storage.CID) bool {
	if _, done := f.links[c]; done {
		return true
	}
	size, here := f.blocks.store.hold(c)
	if !here {
		return false
	}
	if c.Type() == cid.Raw { // it has no links: reading it is for Verify
		f.held = append(f.held, c)
		f.links[c] = nil
		f.count(size)
		return true
	}
	raw, err := f.blocks.store.readBlock(c)
	if err != nil {
		f.blocks.release([]storage.CID{c})
		f.blocks.store.discard(c)
		return false
	}
	f.held = append(f.held, c)
	f.learn(block{cid: c, raw: raw})
	return true
}

// learn records the links and the size of a block that is here.
func (f *fetch) learn(b block) {
	links, _, err := linksOf(b)
	if err != nil {
		f.failed = err
		return
	}
	f.links[b.cid] = links
	f.count(len(b.raw))
}

func (f *fetch) count(size int) {
	if f.size += int64(size); f.size > f.sizeMax {
		f.failed = fmt.Errorf("%w: a DAG of over %d bytes", storage.ErrTooLarge, f.sizeMax)
	}
}

// available returns nil if some holder may have c.
func (f *fetch) available(c storage.CID) error {
	err := error(transport.New(transport.Unreachable, getBlocks.Name, "no holders"))
	for _, h := range f.holders {
		switch {
		case h.failed == nil && !h.lacks[c]:
			return nil
		case h.failed == nil:
			err = fmt.Errorf("%w: block %s", storage.ErrNotFound, c)
		case !errors.Is(err, storage.ErrNotFound):
			err = h.failed
		}
	}
	return err
}

// ask fetches a queue of blocks from some holders at a time. Each is asked until it fails or no
// block is left that it may have.
func (f *fetch) ask(ctx context.Context, queue []storage.CID) error {
	nextHolder := 0
	lanes := min(lanesMax, len(f.holders), len(queue))
	return clock.First(ctx, f.blocks.loop, lanes, lanes, func(ctx context.Context, _ int) error {
		for nextHolder < len(f.holders) && f.failed == nil {
			h := f.holders[nextHolder]
			nextHolder++
			if err := f.askHolder(ctx, h, &queue); err != nil {
				return err
			}
		}
		return nil
	})
}

// askHolder asks one holder for the queue: one request after the other, and several at once while
// its link is fast, so that the link stays busy.
func (f *fetch) askHolder(ctx context.Context, h *holder, queue *[]storage.CID) error {
	fast := func() bool { return f.blocks.paces.Of(h.peer).Size == pacing.Max }
	for f.mayHave(h, *queue) {
		if !fast() {
			f.request(ctx, h, queue)
			continue
		}
		err := clock.First(ctx, f.blocks.loop, aheadMax, aheadMax, func(ctx context.Context, _ int) error {
			for f.mayHave(h, *queue) && fast() {
				f.request(ctx, h, queue)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mayHave reports whether a holder may have a block of the queue.
func (f *fetch) mayHave(h *holder, queue []storage.CID) bool {
	return h.failed == nil && f.failed == nil && slices.ContainsFunc(queue, func(c storage.CID) bool { return !h.lacks[c] })
}

// request makes one request for the first blocks of the queue that a holder may have. Missing ones
// go back to its end, but a partly received one to its front: so few blocks are partly here,
// however slow the links are.
func (f *fetch) request(ctx context.Context, h *holder, queue *[]storage.CID) {
	wants := takeFor(h, queue)
	if err := f.get(ctx, h, wants); err != nil {
		h.failed = err
	}
	for i, c := range wants {
		if _, got := f.links[c]; got {
			continue
		}
		if part := f.parts[c]; i == 0 && part != nil && len(part.raw) > 0 {
			*queue = slices.Insert(*queue, 0, c)
		} else {
			*queue = append(*queue, c)
		}
	}
}

// takeFor removes from queue what h may have, up to one request.
func takeFor(h *holder, queue *[]storage.CID) (wants []storage.CID) {
	list := *queue
	kept := list[:0]
	for i, c := range list {
		if h.lacks[c] {
			kept = append(kept, c)
			continue
		}
		if wants = append(wants, c); len(wants) == wantsMax {
			if list = list[i+1:]; len(kept) == 0 {
				kept = list // nothing has to move
			} else {
				kept = append(kept, list...)
			}
			break
		}
	}
	*queue = kept
	return wants
}

// verified returns the blocks before the first that is wrong.
func verified(list []block) ([]block, error) {
	for i, b := range list {
		if len(b.raw) > blockSizeMax {
			return list[:i], fmt.Errorf("%w: a block of %d bytes", storage.ErrTooLarge, len(b.raw))
		}
		if err := verifyBlock(b.cid, b.raw); err != nil {
			return list[:i], err
		}
	}
	return list, nil
}

// store puts blocks on the disk. Its failure is not the holder's fault.
func (f *fetch) store(list []block) error {
	if len(list) == 0 || f.over {
		return nil
	}
	if err := f.blocks.store.put(list); err != nil {
		f.failed = err
		return err
	}
	f.held = append(f.held, cidsOf(list)...)
	for _, b := range list {
		delete(f.parts, b.cid)
		f.learn(b)
	}
	return nil
}

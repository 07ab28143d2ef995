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
	// getLenMax bounds the blocks of a request.
	getLenMax = 64
	// wantsMax is how many we ask for at once; how many of them come follows the
	// link, see pace.
	wantsMax = 8
	// lanesMax is how many holders are asked at once.
	lanesMax = 4
	// silencesMax is how often nothing may come from a holder, asked for less each
	// time, until it is left out.
	silencesMax = 4
	// servedMax is how many blocks are kept that are served in parts.
	servedMax = 4
)

// getBlocks asks a node for blocks.
var getBlocks = transport.Method[getRequest, getResponse]{Name: "blocks/get"}

type (
	// getRequest asks for up to SizeMax bytes of blocks, of the first one from
	// Offset on.
	getRequest struct {
		CIDs    [][]byte `cbor:"1,keyasint"`
		Offset  int      `cbor:"2,keyasint"`
		SizeMax int      `cbor:"3,keyasint"`
	}
	// getResponse answers the first CIDs of the request, in their order.
	getResponse struct {
		Items []getItem `cbor:"1,keyasint"`
	}
	// getItem is a block or, if it is alone, a part of one.
	getItem struct {
		Found bool   `cbor:"1,keyasint"`
		Raw   []byte `cbor:"2,keyasint"`
		Size  int    `cbor:"3,keyasint"` // of the whole block
	}
)

func (b *Blocks) onGet(_ context.Context, _ transport.Peer, request getRequest) (response getResponse, err error) {
	if len(request.CIDs) > getLenMax {
		return response, transport.New(transport.Invalid, getBlocks.Name, fmt.Sprintf("%d blocks at once", len(request.CIDs)))
	}
	cids, err := decodeCIDs(request.CIDs)
	if err != nil {
		return response, err
	}
	left := min(max(1, request.SizeMax), paceMax)
	for i, c := range cids {
		if err := checkCID(c); err != nil {
			return response, transport.New(transport.Invalid, getBlocks.Name, err.Error())
		}
		raw, err := b.served.read(b.store, c)
		item := getItem{Found: err == nil, Raw: raw, Size: len(raw)}
		if i == 0 && err == nil {
			item.Raw = raw[min(max(0, request.Offset), len(raw)):]
			item.Raw = item.Raw[:min(len(item.Raw), left)]
		} else if len(raw) > left {
			break
		}
		response.Items = append(response.Items, item)
		left -= len(item.Raw)
		if item.Found && len(item.Raw) < item.Size && i == 0 && left <= 0 {
			break // the rest of it first
		}
	}
	return response, nil
}

// servedBlocks are those that were served last: one that goes out in parts is
// read and verified once.
type servedBlocks []block

func (s *servedBlocks) read(store *blockStore, c CID) ([]byte, error) {
	for _, b := range *s {
		if b.cid == c {
			return b.raw, nil
		}
	}
	raw, err := store.readBlock(c)
	if err != nil || len(raw) <= paceFirst {
		return raw, err
	}
	if len(*s) >= servedMax {
		*s = append((*s)[:0], (*s)[1:]...)
	}
	*s = append(*s, block{cid: c, raw: raw})
	return raw, nil
}

// Fetch makes the whole DAG at root local, asking several holders in parallel
// and verifying every block against its CID. A holder that lies or fails is
// left out. It does not sync. sizeMax bounds the DAG. What a fetch has brought that
// fails is kept for two minutes, for the next one of this root.
//
// It returns ErrNotFound when no holder that answers has all of it, and
// otherwise the error of a holder.
func (b *Blocks) Fetch(ctx context.Context, root CID, holders []transport.Peer, sizeMax int64) error {
	if err := checkCID(root); err != nil {
		return err
	}
	f := b.resume(root)
	f.sizeMax = sizeMax
	for _, p := range holders {
		if p != b.endpoint.Self() {
			f.holders = append(f.holders, &holder{peer: p, lacks: map[CID]bool{}})
		}
	}
	members, err := f.run(ctx, root)
	f.over = true
	if err != nil {
		b.suspend(f)
		return err
	}
	defer b.store.release(f.held)
	return b.store.addRoot(root, members, b.owner)
}

const (
	// Of fetches that failed, the last suspendedMax keep for suspendedFor what has
	// come, up to suspendedSizeMax bytes each: the next one goes on from there.
	suspendedMax     = 2
	suspendedSizeMax = 8 << 20
	suspendedFor     = 2 * time.Minute
)

// resume returns a fetch of root that failed, or a new one.
func (b *Blocks) resume(root CID) *fetch {
	for i, f := range b.suspended {
		if f.root == root {
			if slices.ContainsFunc(f.held, func(c CID) bool { return !b.store.hasBlock(c) }) {
				b.drop(f) // a block of it has rotted since
				break
			}
			b.suspended = slices.Delete(b.suspended, i, i+1)
			f.over, f.holders = false, nil
			return f
		}
	}
	return &fetch{blocks: b, root: root, links: map[CID][]CID{}, parts: map[CID]*blockPart{}}
}

// suspend keeps what a fetch that failed has brought, if another may go on.
func (b *Blocks) suspend(f *fetch) {
	if f.failed != nil || f.size > suspendedSizeMax || len(f.held)+len(f.parts) == 0 {
		b.store.release(f.held)
		return
	}
	if len(b.suspended) >= suspendedMax {
		b.drop(b.suspended[0])
	}
	b.suspended = append(b.suspended, f)
	f.suspensions++
	n := f.suspensions
	b.loop.AfterFunc(suspendedFor, func() {
		if f.suspensions == n {
			b.drop(f)
		}
	})
}

// drop forgets a suspended fetch.
func (b *Blocks) drop(f *fetch) {
	if i := slices.Index(b.suspended, f); i >= 0 {
		b.suspended = slices.Delete(b.suspended, i, i+1)
		b.store.release(f.held)
	}
}

// fetch is one Fetch: it goes down the DAG level by level.
type fetch struct {
	blocks  *Blocks
	root    CID
	holders []*holder
	links   map[CID][]CID      // of the blocks that are here by now
	parts   map[CID]*blockPart // of blocks of which the beginning is here
	held    []CID
	size    int64
	sizeMax int64
	failed  error // that no holder can mend
	over    bool  // Fetch has returned; requests may still come back
	// suspensions counts, so that a timer knows which of them it is for.
	suspensions int
}

type holder struct {
	peer     transport.Peer
	failed   error
	lacks    map[CID]bool
	silences int // in a row
}

// blockPart is the beginning of a block. If several holders sent it and it turns
// out to be wrong, nobody knows who lied: then one of them must send it all.
type blockPart struct {
	raw    []byte
	from   *holder
	mixed  bool
	strict bool
}

func (f *fetch) run(ctx context.Context, root CID) (members []CID, err error) {
	seen := map[CID]bool{root: true}
	for level := []CID{root}; len(level) > 0; {
		members = append(members, level...)
		if len(members) > blocksLenMax {
			return nil, fmt.Errorf("%w: a DAG of over %d blocks", ErrTooLarge, blocksLenMax)
		}
		if err := f.fetchLevel(ctx, level); err != nil {
			return nil, err
		}
		var next []CID
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

// fetchLevel makes blocks local: it asks again for what a holder did not have
// until all are here or nobody has one.
func (f *fetch) fetchLevel(ctx context.Context, level []CID) error {
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
func (f *fetch) takeLocal(c CID) bool {
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
		f.blocks.store.release([]CID{c})
		f.blocks.store.discard(c)
		return false
	}
	f.held = append(f.held, c)
	f.learn(block{cid: c, raw: raw})
	return true
}

// learn notes the links and the size of a block that is here.
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
		f.failed = fmt.Errorf("%w: a DAG of over %d bytes", ErrTooLarge, f.sizeMax)
	}
}

// available returns nil if some holder may have c.
func (f *fetch) available(c CID) error {
	err := error(transport.New(transport.Unreachable, getBlocks.Name, "no holders"))
	for _, h := range f.holders {
		switch {
		case h.failed == nil && !h.lacks[c]:
			return nil
		case h.failed == nil:
			err = fmt.Errorf("%w: block %s", ErrNotFound, c)
		case !errors.Is(err, ErrNotFound):
			err = h.failed
		}
	}
	return err
}

// ask has holders, some at a time, work on a queue of blocks. Each goes on
// until it fails or nothing is left that it may have.
func (f *fetch) ask(ctx context.Context, queue []CID) error {
	nextHolder := 0
	lanes := min(lanesMax, len(f.holders), len(queue))
	return clock.First(ctx, f.blocks.loop, lanes, lanes, func(ctx context.Context, _ int) error {
		for nextHolder < len(f.holders) && f.failed == nil {
			h := f.holders[nextHolder]
			nextHolder++
			for h.failed == nil && f.failed == nil {
				wants := takeFor(h, &queue)
				if len(wants) == 0 {
					break
				}
				h.failed = f.get(ctx, h, wants)
				for _, c := range wants {
					if _, got := f.links[c]; !got {
						queue = append(queue, c)
					}
				}
			}
		}
		return nil
	})
}

// takeFor removes from queue what h may have, up to one request.
func takeFor(h *holder, queue *[]CID) (wants []CID) {
	*queue = slices.DeleteFunc(*queue, func(c CID) bool {
		take := len(wants) < wantsMax && !h.lacks[c]
		if take {
			wants = append(wants, c)
		}
		return take
	})
	return wants
}

// get asks a holder for blocks and stores those that are right. What has come of
// one that is not complete is kept, for whoever is asked next.
func (f *fetch) get(ctx context.Context, h *holder, wants []CID) error {
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

// part is what is here of a block, and may be continued by h.
func (f *fetch) part(h *holder, c CID) *blockPart {
	p := f.parts[c]
	if p == nil || p.strict && p.from != h {
		p = &blockPart{from: h, strict: p != nil}
		f.parts[c] = p
	}
	p.mixed = p.mixed || p.from != h
	return p
}

// sort returns the blocks that are whole now.
func (f *fetch) sort(h *holder, part *blockPart, wants []CID, items []getItem) (list []block, err error) {
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
		if part.raw = append(part.raw, item.Raw...); len(part.raw) >= item.Size {
			list = append(list, block{cid: wants[0], raw: part.raw})
		}
	}
	return list, nil
}

// askFor asks a peer for blocks, for as many bytes as suit the link.
func (b *Blocks) askFor(ctx context.Context, peer transport.Peer, wants []CID, offset int) (getResponse, error) {
	p := b.paces.of(peer)
	start := b.loop.Elapsed()
	request := getRequest{CIDs: encodeCIDs(wants), Offset: offset, SizeMax: p.size}
	response, err := getBlocks.Call(transport.Patient(ctx, patience), b.endpoint, peer, request)
	if err != nil {
		if transport.KindOf(err) == transport.Timeout {
			p.lost()
		}
		return response, err
	}
	n := 0
	for _, item := range response.Items {
		n += len(item.Raw)
	}
	p.arrived(n, b.loop.Elapsed()-start)
	return response, nil
}

// verified returns the blocks before the first that is wrong.
func verified(list []block) ([]block, error) {
	for i, b := range list {
		if len(b.raw) > blockSizeMax {
			return list[:i], fmt.Errorf("%w: a block of %d bytes", ErrTooLarge, len(b.raw))
		}
		if err := verifyBlock(b.cid, b.raw); err != nil {
			return list[:i], err
		}
	}
	return list, nil
}

// store puts blocks on the disk. That it fails is not the holder's fault.
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

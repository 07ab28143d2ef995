package hoarder

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const opObtain = "hoarder/obtain"

// obtain makes this hoarder a holder: room, transfer, verification, disk, claim,
// in this order. A claim is never written before its content would survive a
// crash. It returns nil at once if the item is held already.
func (s *Service) obtain(ctx context.Context, root string, from []transport.Peer, size int64) error {
	if err := s.awaitOther(ctx, root); err != nil || s.holdings.holds(root) {
		return err
	}
	c, err := cid.Decode(root)
	if err != nil {
		return transport.New(transport.Invalid, opObtain, "root is not a CID")
	}
	s.acquiring[root] = true
	defer delete(s.acquiring, root)
	bound := s.boundOf(size)
	if err := s.reserve(ctx, bound); err != nil {
		return err
	}
	moved, err := s.acquire(ctx, root, c, from, bound)
	s.holdings.unreserve(bound)
	if err == nil {
		s.claim(s.index.get(root), moved)
	}
	s.announce() // now that the room is neither counted twice nor reserved without use
	return err
}

// acquire fetches a copy to this disk and admits it to the holdings; it returns how many bytes were
// not here before.
func (s *Service) acquire(ctx context.Context, root string, c storage.CID, from []transport.Peer, bound int64) (moved int64, err error) {
	hadIt, err := s.env.Blocks.Has(c)
	if err != nil {
		return 0, err
	}
	if err := s.transfer(ctx, root, c, from, bound); err != nil {
		s.undo(root, c, hadIt)
		return 0, err
	}
	delete(s.remains, root)
	if hadIt {
		return 0, nil
	}
	return s.holdings.held[root], nil
}

// awaitOther waits while another task obtains or mends the same item.
func (s *Service) awaitOther(ctx context.Context, root string) error {
	for s.acquiring[root] || s.holdings.mending[root] {
		if err := clock.Sleep(ctx, s.env.Loop, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// boundOf is how many bytes a DAG with the stated size may have: a tenth and a little more for its
// inner nodes. For an unknown size it is a likely upper bound.
func (s *Service) boundOf(size int64) int64 {
	if size <= 0 {
		return min(s.settings.ItemSizeMax, max(s.holdings.free()/4, 1<<20))
	}
	return size + size/10 + 1<<10
}

// reserve reserves room, releasing surplus copies if there is none.
func (s *Service) reserve(ctx context.Context, bytes int64) error {
	if s.holdings.reserve(bytes) {
		return nil
	}
	s.makeRoom(ctx, bytes)
	if s.holdings.reserve(bytes) {
		return nil
	}
	return transport.New(transport.Refused, opObtain, "no room")
}

// transfer fetches, verifies and records; when it returns, the copy survives a
// crash and is one of the holdings.
func (s *Service) transfer(ctx context.Context, root string, c storage.CID, from []transport.Peer, bound int64) error {
	if err := storage.Put(s.env.Local, remainsKey(root), withdrawal); err != nil {
		return err
	}
	if err := s.bring(ctx, c, from, bound); errors.Is(err, storage.ErrTooLarge) {
		return errLarger
	} else if err != nil {
		return err
	}
	if err := afterFetchBeforeSync.Hit(ctx, s.env); err != nil {
		return err
	}
	bytes, err := s.env.Blocks.Size(c)
	if err != nil {
		return err
	}
	if bytes > bound {
		return errLarger
	}
	if err := s.writeHeld(root, bytes); err != nil {
		return err
	}
	if err := s.env.Blocks.Sync(ctx); err != nil {
		return err
	}
	if err := s.env.Local.Sync(ctx); err != nil {
		return err
	}
	if err := beforeClaim.Hit(ctx, s.env); err != nil {
		return err
	}
	s.holdings.admit(root, bytes)
	return nil
}

var errLarger = transport.New(transport.Refused, opObtain, "larger than was said, or than there is room for")

// bring fetches the missing blocks and verifies all, including those that were here before. The
// verification removes corrupt blocks, which are fetched again once.
func (s *Service) bring(ctx context.Context, c storage.CID, from []transport.Peer, bound int64) error {
	if err := s.env.Blocks.Fetch(ctx, c, from, bound); err != nil {
		return err
	}
	err := s.env.Blocks.Verify(ctx, c)
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := s.env.Blocks.Fetch(ctx, c, from, bound); err != nil {
		return err
	}
	return s.env.Blocks.Verify(ctx, c)
}

// writeHeld records a copy on the local disk, with the pins that are known now.
func (s *Service) writeHeld(root string, bytes int64) error {
	rec := heldRecord{Bytes: bytes}
	it := s.index.get(root)
	pins := it.standing()
	for _, m := range pins {
		rec.Pins = append(rec.Pins, m.pinRecord)
	}
	b := new(storage.Batch).Put(heldKey(root), transport.Encode(rec)).Delete(remainsKey(root))
	err := s.env.Local.Apply(b)
	if err == nil {
		s.recordedPins[root] = pins
	}
	return err
}

// undo removes the leftovers of a failed attempt, but no blocks that were here before it.
func (s *Service) undo(root string, c storage.CID, hadIt bool) {
	if !hadIt && !s.remains[root] {
		s.forget(root, c)
		return
	}
	s.tidied(root, s.giveUp(root))
}

// giveUp records that only some blocks of a copy may be left.
func (s *Service) giveUp(root string) error {
	s.untidy = true
	return s.env.Local.Apply(new(storage.Batch).Delete(heldKey(root)).Put(remainsKey(root), withdrawal))
}

// dropRemains removes the blocks of a copy that was given up, once enough
// others hold the item or nobody wants it.
func (s *Service) dropRemains(root string) {
	if !s.remains[root] || s.acquiring[root] || s.holdings.holds(root) {
		return
	}
	c, err := cid.Decode(root)
	if err != nil {
		panic("hoarder: root of a copy is not a CID: " + root)
	}
	delete(s.remains, root)
	s.forget(root, c)
}

// drop forgets that a copy is held.
func (s *Service) drop(root string) {
	s.holdings.drop(root)
	delete(s.recordedPins, root)
}

// forget removes the record of a copy and its blocks.
func (s *Service) forget(root string, c storage.CID) {
	err := s.env.Blocks.Remove(c)
	if err == nil {
		err = s.env.Local.Apply(new(storage.Batch).Delete(heldKey(root)).Delete(remainsKey(root)))
	}
	if s.untidy = true; err != nil {
		s.remains[root] = true // the next sweep tries again
	}
	s.tidied(root, err)
}

// tidied warns of what could not be removed.
func (s *Service) tidied(root string, err error) {
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, clock.ErrStopped) {
		s.env.Log.Warn("leftovers not removed", "root", root, "err", err)
	}
}

package hoarder

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
)

// scrubStepsMin bounds the pause between two items, so that a hoarder that held little when the
// pause began verifies later copies in time.
const scrubStepsMin = 16

// scrubForever verifies one held item after the other, all of them within ScrubInterval: corruption
// of content that nobody reads would go unnoticed.
func (s *Service) scrubForever(ctx context.Context) {
	for {
		pause := s.settings.ScrubInterval / time.Duration(max(scrubStepsMin, len(s.holdings.held)))
		if clock.Sleep(ctx, s.env.Loop, max(pause, 100*time.Millisecond)) != nil {
			return
		}
		if root := s.nextScrub(); root != "" {
			s.scrub(ctx, root)
		}
	}
}

// nextScrub returns the next item of the round; a round is over the copies held at its beginning.
func (s *Service) nextScrub() string {
	for range 2 {
		for len(s.toScrub) > 0 {
			root := s.toScrub[0]
			if s.toScrub = s.toScrub[1:]; s.holdings.holds(root) {
				return root
			}
		}
		s.toScrub = s.holdings.roots()
		s.scrubRemains()
	}
	return ""
}

// scrubRemains rewrites corrupt records of leftover blocks: without their record the next start
// would not find the blocks.
func (s *Service) scrubRemains() {
	for _, root := range sortedKeys(s.remains) {
		if !s.rotted(remainsKey(root)) {
			continue
		}
		if err := storage.Put(s.env.Local, remainsKey(root), withdrawal); err != nil {
			s.env.Log.Warn("record of remains not mended", "root", root, "err", err)
			continue
		}
		s.untidy = true
	}
}

func (s *Service) scrub(ctx context.Context, root string) {
	c, err := cid.Decode(root)
	if err != nil {
		panic("hoarder: held root is not a CID: " + root)
	}
	if s.env.Blocks.Verify(ctx, c) != nil && ctx.Err() == nil {
		s.mendSoon(root)
	}
	s.scrubRecord(root)
}

// scrubRecord rewrites a copy's record if it is corrupt: otherwise the next start would miss the
// copy, or not know its pins.
func (s *Service) scrubRecord(root string) {
	if !s.holdings.holds(root) || s.holdings.mending[root] || s.holdings.releasing[root] {
		return
	}
	if !s.rotted(heldKey(root)) {
		return
	}
	if err := s.writeHeld(root, s.holdings.held[root]); err != nil {
		s.env.Log.Warn("record not mended", "root", root, "err", err)
		return
	}
	s.untidy = true
	s.env.Observe("record-mended", node.F("root", root))
}

// rotted reports whether a record that should be here is corrupt or missing; one
// that cannot be read just now is not.
func (s *Service) rotted(record storage.Key) bool {
	_, err := s.env.Local.Get(record)
	return errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotFound)
}

// mendSoon starts a task that repairs a corrupt copy, which is marked as corrupt from now on.
func (s *Service) mendSoon(root string) {
	if s.holdings.beginMend(root) {
		s.env.Observe("item-corrupted", node.F("root", root))
		s.env.Loop.Go("hoarder mend", func(ctx context.Context) { s.mend(ctx, root) })
	}
}

// mend fetches the missing blocks of a copy and verifies it. If that fails the claim is withdrawn,
// but intact blocks are kept: they may be the last, and help the next competition for the item.
func (s *Service) mend(ctx context.Context, root string) {
	err := s.refetch(ctx, root)
	s.holdings.endMend(root)
	if err == nil {
		s.env.Observe("copy-mended", node.F("root", root))
		return
	}
	if ctx.Err() != nil || !s.holdings.holds(root) {
		return
	}
	// While the record exists, the next start would count the copy.
	if err := s.giveUp(root); err != nil {
		s.env.Log.Warn("copy not given up", "root", root, "err", err) // the scrub comes again
		return
	}
	s.env.Log.Info("copy given up", "root", root, "err", err)
	s.drop(root)
	s.remains[root] = true
	s.announce()
	s.evaluate(root)
}

func (s *Service) refetch(ctx context.Context, root string) error {
	c, err := cid.Decode(root)
	if err != nil {
		return err
	}
	fetchCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, transferTimeout(s.holdings.held[root]))
	defer cancel()
	if err := s.bring(fetchCtx, c, s.whoHas(s.index.get(root)), s.boundOf(s.holdings.held[root])); err != nil {
		return err
	}
	return s.env.Blocks.Sync(fetchCtx)
}

package hoarder

import (
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// listRetries is how often a failed listing is repeated: a disk with transient errors must not keep
// a hoarder from starting.
const listRetries = 3

// takeInventory determines, from the disk alone, which copies this hoarder holds, and withdraws the
// claim of each one that is gone.
func (s *Service) takeInventory() error {
	entries, err := s.env.Local.List(storage.K(heldPart))
	for range listRetries {
		if err != nil {
			entries, err = s.env.Local.List(storage.K(heldPart))
		}
	}
	if err != nil {
		return fmt.Errorf("hoarder: %w", err)
	}
	for _, e := range entries {
		if err := s.admitRecorded(e); err != nil {
			return fmt.Errorf("hoarder: %s: %w", e.Key, err)
		}
	}
	for _, k := range s.env.Local.Dropped() {
		if !k.Has(storage.K(heldPart)) {
			continue
		}
		if err := s.admitUnrecorded(k); err != nil {
			return fmt.Errorf("hoarder: %s: %w", k, err)
		}
	}
	s.holdings.stocked()
	if err := s.findRemains(); err != nil {
		return err
	}
	s.env.Observe("inventory", node.F("items", len(s.holdings.held)), node.F("bytes", s.holdings.used))
	s.announce()
	for _, it := range s.index.inOrder() {
		s.mendClaim(it)
	}
	for _, root := range s.holdings.roots() {
		s.mendClaim(s.index.get(root))
	}
	return nil
}

// findRemains finds the leftover blocks of unfinished transfers and of copies that were given up.
// The sweep removes them when nobody needs them.
func (s *Service) findRemains() error {
	list, err := s.env.Local.List(storage.K(remainsPart))
	if err != nil {
		return fmt.Errorf("hoarder: %w", err)
	}
	for _, e := range list {
		if root := e.Key.Parts()[1]; !s.holdings.holds(root) {
			s.remains[root] = true
			s.index.due.set(s.index.get(root), s.env.Loop.Elapsed())
		}
	}
	return nil
}

// admitRecorded admits a copy from its record. If its blocks are missing, the copy is gone and its
// claim is withdrawn.
func (s *Service) admitRecorded(e storage.Entry) error {
	var rec heldRecord
	root := e.Key.Parts()[1]
	c, err := cid.Decode(root)
	if err == nil {
		err = transport.Decode(e.Value, &rec)
	}
	if err != nil {
		return err
	}
	size, err := s.env.Blocks.Size(c)
	if errors.Is(err, storage.ErrNotFound) || err == nil && size != rec.Bytes {
		return s.missing(root)
	}
	// A copy that cannot be read now may still be there: the scrub decides.
	s.holdings.admit(root, rec.Bytes)
	for _, m := range rec.Pins {
		s.recordedPins[root] = append(s.recordedPins[root], newPin(m))
	}
	return s.mendPins(root, rec.Pins)
}

// admitUnrecorded admits a copy whose record is corrupt, if its blocks are here, with the pins that
// the store knows.
func (s *Service) admitUnrecorded(k storage.Key) error {
	root := k.Parts()[1]
	c, err := cid.Decode(root)
	if err != nil {
		return err
	}
	bytes, err := s.env.Blocks.Size(c)
	if err == nil {
		err = s.writeHeld(root, bytes)
	}
	if err != nil {
		s.env.Log.Debug("record not mended", "root", root, "err", err)
		return s.missing(root)
	}
	s.holdings.admit(root, bytes)
	s.env.Observe("record-mended", node.F("root", root))
	return nil
}

// missing withdraws the claim of a copy that is gone. Its leftover blocks are kept, since they may still be of use.
func (s *Service) missing(root string) error {
	s.env.Observe("copy-missing", node.F("root", root))
	s.remains[root] = true
	return s.giveUp(root)
}

// mendPins writes again the recorded pins of a copy that the store lacks. A pin that was withdrawn
// stays so: its withdrawal is an entry of its own.
func (s *Service) mendPins(root string, pins []pinRecord) error {
	it := s.index.get(root)
	for _, rec := range pins {
		m := newPin(rec)
		if said := it.says(m.owner); it.covered(m.owner, m.Seq) || said != nil && !m.after(said) {
			continue
		}
		if err := s.write(storage.Entry{Key: m.key(root), Value: transport.Encode(rec)}); err != nil {
			return err
		}
		s.env.Observe("pin-mended", node.F("root", root))
	}
	return nil
}

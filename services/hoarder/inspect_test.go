package hoarder

import (
	"context"

	"github.com/ipfs/go-cid"
)

// intactReadMax is the size from which Intact does not read content whole.
const intactReadMax = 1 << 20

// Intact reads and verifies the content on this node's disk, if it is smaller
// than 1 MiB; of larger content it only says whether it is there. Reading so
// little does not park.
func (s *Service) Intact(ctx context.Context, root string) bool {
	if !s.Holds(root) {
		return false
	}
	c, err := cid.Decode(root)
	if err != nil || s.holdings.held[root] >= intactReadMax {
		return err == nil
	}
	_, err = s.env.Blocks.Read(ctx, c, intactReadMax)
	return err == nil
}

// Bytes returns the bytes held and their limit.
func (s *Service) Bytes() (used, capacity int64) {
	if s.holdings == nil {
		return 0, s.settings.Capacity
	}
	return s.holdings.used, s.settings.Capacity
}

// Room reports whether an item of as many bytes would be accepted without
// letting another go.
func (s *Service) Room(bytes int64) bool {
	return s.holdings != nil && s.boundOf(max(1, bytes)) <= s.holdings.free()
}

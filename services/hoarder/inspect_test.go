package hoarder

import (
	"context"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/transport"
)

// ItemView is what a hoarder knows of an item.
type ItemView struct {
	Root   string
	State  string // unknown, wanted, withdrawn, superseded
	Target int
	Bytes  int64
	// Claimants are all that claim a copy, dead or alive.
	Claimants []transport.Peer
}

// Items lists what this hoarder knows of, by root.
func (s *Service) Items() []ItemView {
	list := make([]ItemView, 0, len(s.index.list))
	for _, it := range s.index.inOrder() {
		st, _ := s.index.state(it)
		list = append(list, ItemView{
			Root:      it.root,
			State:     st.String(),
			Target:    it.target,
			Bytes:     it.size(),
			Claimants: it.claimants(func(*member) bool { return true }),
		})
	}
	return list
}

// Holds reports whether the whole content is on this node's disk.
func (s *Service) Holds(root string) bool {
	c, err := cid.Decode(root)
	if err != nil || s.holdings == nil || !s.holdings.holds(root) {
		return false
	}
	has, err := s.env.Blocks.Has(c)
	return err == nil && has
}

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

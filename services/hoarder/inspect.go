package hoarder

import (
	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// This file is for the checkers of a simulated world, which inspect a service between its turns.

// Replica is the replicated store, nil before Start.
func (s *Service) Replica() storage.Replicated { return s.store }

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
func (s *Service) Items() []ItemView { return s.ItemsOf(func(string) bool { return true }) }

// ItemsOf lists those whose root is wanted.
func (s *Service) ItemsOf(wanted func(root string) bool) []ItemView {
	list := make([]ItemView, 0, len(s.index.list))
	for _, it := range s.index.inOrder() {
		if !wanted(it.root) {
			continue
		}
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

// Held lists the roots of this hoarder's holdings, in order.
func (s *Service) Held() []string {
	if s.holdings == nil {
		return nil
	}
	return s.holdings.roots()
}

// Reserved is how many bytes are set aside for content that is not here yet, and how many
// transfers they are for.
func (s *Service) Reserved() (bytes int64, transfers int) {
	if s.holdings == nil {
		return 0, 0
	}
	return s.holdings.reserved, len(s.acquiring)
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

package hoarder

import "github.com/taucloud/tau/storage"

// This file is for the checkers of a simulated world, which inspect a service between its turns.

// Replica is the replicated store, nil before Start.
func (s *Service) Replica() storage.Replicated { return s.store }

// Held lists the roots of this hoarder's holdings, in order.
func (s *Service) Held() []string {
	if s.holdings == nil {
		return nil
	}
	return s.holdings.roots()
}

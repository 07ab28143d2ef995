package patrick

import (
	"fmt"

	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Ready implements node.Readier: a patrick that has not caught up acknowledges nothing, and one
// that reaches too few others makes too few copies.
func (s *Service) Ready() error {
	if s.store == nil || s.store.State() != storage.ReplicaReady {
		return transport.New(transport.Refused, patrickapi.Service, "the replica has not caught up")
	}
	if !s.peers.knowsOthers() {
		return errUnknownPatricks
	}
	reachable, now := 1, s.env.Loop.Elapsed()
	for _, p := range s.peers.others("") {
		if c := s.peers.known[p]; c.up || now >= c.until {
			reachable++
		}
	}
	if reachable < s.copies() {
		return transport.New(transport.Refused, patrickapi.Service, fmt.Sprintf("only %d patricks answer", reachable))
	}
	return nil
}

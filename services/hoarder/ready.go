package hoarder

import (
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Ready implements node.Readier: a hoarder that has not caught up, or serves pinsMax pins, refuses
// further ones.
func (s *Service) Ready() error {
	switch {
	case s.store == nil || s.store.State() != storage.ReplicaReady:
		return transport.New(transport.Refused, hoarderapi.Service, "the replica has not caught up")
	case s.pinning >= pinsMax:
		return transport.New(transport.Refused, hoarderapi.Service, "busy")
	}
	return nil
}

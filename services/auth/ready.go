package auth

import (
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Ready implements node.Readier: a replica that has not caught up refuses.
func (s *Service) Ready() error {
	if s.store == nil || s.store.State() != storage.ReplicaReady {
		return transport.New(transport.Refused, authapi.Service, "the replica has not caught up")
	}
	return nil
}

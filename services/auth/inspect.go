package auth

import (
	"slices"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// Replica is the replicated store, for checks.
func (s *Service) Replica() storage.Replicated { return s.store }

// Knows reports whether this node knows that certificates of a peer were taken back, for checks.
func (a *agent) Knows(p transport.Peer) bool {
	return a.env.Authority == nil || a.env.Authority.Revoked(p)
}

// RevokedOnDisk reports whether an auth would still know after a power cut that certificates of a peer were taken back.
func RevokedOnDisk(disk storage.Durable, p transport.Peer) bool {
	return slices.ContainsFunc(replicated.OnDisk(disk, authapi.Service, namespace, storage.K(revokedPart, p.String())), func(e storage.Entry) bool {
		var r membership.Revoking
		return transport.Decode(e.Value, &r) == nil && r.Subject() == p
	})
}

package auth

import "github.com/taucloud/tau/storage"

// Replica is the replicated store, for checks.
func (s *Service) Replica() storage.Replicated { return s.store }

package tns

import (
	"fmt"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// ownAttempt decides whether a peer may speak for an attempt: a monkey for its own, a
// patrick, who closes jobs, for all.
func (s *Service) ownAttempt(from transport.Peer, t fencing.Token) error {
	if t.Attempt == 0 || t.Attempt > tnsapi.AttemptMax {
		return transport.New(transport.Invalid, tnsapi.Service, fmt.Sprintf("attempts count from 1 to %d, not %d", tnsapi.AttemptMax, t.Attempt))
	}
	grants, known := s.env.Wire.Grants(from)
	if t.Holder != from && !(known && grants.Offers(patrickapi.Service)) {
		return transport.New(transport.NotAllowed, tnsapi.Service, "a monkey speaks for itself")
	}
	return nil
}

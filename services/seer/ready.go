package seer

import (
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// readyMargin is how much longer than SettleAfter and a stall a seer may refuse:
// its own clock may be slow.
const readyMargin = 10 * time.Second

// Ready implements node.Readier: right after its start or a stall a seer does not know which nodes
// are alive, and refuses to answer.
func (s *Service) Ready() error {
	if !s.Settled() {
		return transport.New(transport.Refused, seerapi.Service, "it has just woken and does not know yet")
	}
	return nil
}

// ReadyWithin implements node.ReadyBounder.
func (s *Service) ReadyWithin() time.Duration {
	return s.settings.SettleAfter + s.stall() + readyMargin
}

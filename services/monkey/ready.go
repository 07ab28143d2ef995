package monkey

import (
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/transport"
)

// Ready implements node.Readier: a monkey is not ready while it stops, or while all its slots are
// taken by something other than locks and claims.
func (s *Service) Ready() error {
	if s.stopping {
		return transport.New(transport.Refused, monkeyapi.Service, "it stops")
	}
	now, lost := s.env.Loop.Elapsed(), 0
	for _, l := range s.held {
		if !l.valid(now) {
			lost++
		}
	}
	if lost > 0 && lost >= s.settings.Slots {
		return transport.New(transport.Refused, monkeyapi.Service, "all slots are taken by locks that it has lost")
	}
	return nil
}

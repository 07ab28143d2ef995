package substrate

import (
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
)

// Ready implements node.Readier: a substrate that does not know all that is published would say of a website that there
// is none.
func (s *Service) Ready() error {
	switch s.refuses() {
	case substrateapi.Starting:
		return transport.New(transport.Refused, substrateapi.Service, "it does not know yet what is published")
	case substrateapi.Draining:
		return transport.New(transport.Refused, substrateapi.Service, "it is ending")
	}
	return nil
}

// refuses is why it takes no requests now, "" if it does.
func (s *Service) refuses() string {
	switch {
	case s.draining:
		return substrateapi.Draining
	case !s.complete:
		return substrateapi.Starting
	case s.inFlight >= s.settings.RequestsMax:
		return substrateapi.Busy
	}
	return ""
}

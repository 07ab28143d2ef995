package gateway

import (
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/transport"
)

// Ready implements node.Readier: it has asked who the substrates are. That there are none is an answer.
func (s *Service) Ready() error {
	switch {
	case s.draining:
		return transport.New(transport.Refused, gatewayapi.Service, "it is ending")
	case !s.followed:
		return transport.New(transport.Refused, gatewayapi.Service, "it does not know yet which substrates there are")
	}
	return nil
}

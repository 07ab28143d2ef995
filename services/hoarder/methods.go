package hoarder

import (
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// pinCopy is a pin passed on by the hoarder that was asked first, for the
// second copy. What others ask of hoarders is in hoarderapi.
var pinCopy = transport.Method[hoarderapi.PinRequest, hoarderapi.PinResponse]{Name: "hoarder/pin-copy", Rule: transport.Offers(hoarderapi.Service)}

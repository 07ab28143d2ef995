// Package hoarderapi is how others speak with the hoarder service: the wire
// types and a client that picks hoarders.
package hoarderapi

import "github.com/taucloud/tau/transport"

// Service is the hoarder's name in the directory.
const Service = "hoarder"

// The methods.
var (
	Pin            = transport.Method[PinRequest, PinResponse]{Name: "hoarder/pin"}
	Unpin          = transport.Method[UnpinRequest, Done]{Name: "hoarder/unpin"}
	Owners         = transport.Method[OwnersRequest, OwnersResponse]{Name: "hoarder/owners"}
	ListOwned      = transport.Method[OwnedRequest, OwnedResponse]{Name: "hoarder/owned"}
	Locate         = transport.Method[RootRequest, LocateResponse]{Name: "hoarder/locate"}
	Demand         = transport.Method[DemandRequest, Done]{Name: "hoarder/demand"}
	NewestSnapshot = transport.Method[DatabaseRequest, DatabaseResponse]{Name: "hoarder/database"}
	Have           = transport.Method[HaveRequest, HaveResponse]{Name: "hoarder/have"}
	Status         = transport.Method[Done, StatusResponse]{Name: "hoarder/status"}
)

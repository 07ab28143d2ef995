// Package hoarderapi is how others speak to hoarders: [Client], which asks the
// hoarders of a root in order, and the wire types. Services and users pin content,
// find its holders and report its use. Hoarders ask each other [Have] and [Status]
// too; what nobody else may ask is private to package hoarder.
package hoarderapi

import "github.com/taucloud/tau/transport"

// Service is the hoarder's name in the directory.
const Service = "hoarder"

// The methods that hoarders serve.
var (
	Pin            = transport.Method[PinRequest, PinResponse]{Name: "hoarder/pin", Rule: transport.Member}
	Unpin          = transport.Method[UnpinRequest, Done]{Name: "hoarder/unpin", Rule: transport.Member}
	Owners         = transport.Method[OwnersRequest, OwnersResponse]{Name: "hoarder/owners", Rule: transport.Member}
	ListOwned      = transport.Method[OwnedRequest, OwnedResponse]{Name: "hoarder/owned", Rule: transport.Member}
	Locate         = transport.Method[RootRequest, LocateResponse]{Name: "hoarder/locate", Rule: transport.Member}
	Demand         = transport.Method[DemandRequest, Done]{Name: "hoarder/demand", Rule: transport.Member}
	NewestSnapshot = transport.Method[DatabaseRequest, DatabaseResponse]{Name: "hoarder/database", Rule: transport.Member}
	Have           = transport.Method[HaveRequest, HaveResponse]{Name: "hoarder/have", Rule: transport.Offers(Service)}
	Status         = transport.Method[Done, StatusResponse]{Name: "hoarder/status", Rule: transport.Member}
)

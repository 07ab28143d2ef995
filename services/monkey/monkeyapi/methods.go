// Package monkeyapi is how others speak to monkeys: methods and wire types, no
// client, since each is addressed to one known monkey or to all. Patricks offer
// jobs and ask what is held; anybody may ask for a monkey's status. Monkeys do not
// speak to each other.
package monkeyapi

import (
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// Service is monkey's name in the directory.
const Service = "monkey"

var (
	// Holds is served by each monkey, for patricks that have become a coordinator.
	Holds = transport.Method[HoldsRequest, HoldsResponse]{Name: "monkey/holds", Rule: transport.Offers(patrickapi.Service)}
	// Status is served by each monkey.
	Status = transport.Method[StatusRequest, StatusResponse]{Name: "monkey/status", Rule: transport.Member}
	// Offer tells a few monkeys of open jobs.
	Offer = transport.Note[patrickapi.Announcement]{Name: "monkey/offer", Rule: transport.Offers(patrickapi.Service)}
	// Jobs tells all monkeys of open jobs.
	Jobs = transport.Topic[patrickapi.Announcement]{Name: "monkey/jobs", Rule: transport.Offers(patrickapi.Service)}
)

// Package services is the catalogue: every service of the cloud, in the order
// in which a node starts them and against which it stops them.
package services

//go:generate go test . -run TestMethodsAreListed -write

import (
	"net/http"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/gateway"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/tns"
)

// Ports are what differs between the worlds beside clock, transport and storage,
// which every service is given by its node. Each makes, for one service of one
// node, something with which that service reaches out of the cloud. A simulated
// world gives simulated ones (scenarios/ports), a live one will give real ones (cmd).
//
// Nothing else differs between the worlds. What comes next is added in the same way,
// and in no other: the service's package declares a small interface of what it asks
// for (a forge: what was pushed, and its tree; a certificate authority: a certificate
// for names; a wasm engine: load and call; listeners: accept; DNS: answer a question),
// its Spec takes a function that makes one for a node, and the function is a field
// here. Timings of simulated ends are settings of the scenario, never of a service.
type Ports struct {
	// Builder makes artifacts of pushed trees, for monkeys.
	Builder func(node.Env) monkey.Builder
	// Fetcher gets commits from forges, for monkeys. nil: nothing is fetched.
	Fetcher func(node.Env) monkey.Fetcher
	// Forge asks forges where branches are, and reports to them, for patricks. nil: none is followed.
	Forge func(node.Env) patrick.Forge
	// Front serves patrick's front door to those outside of the cloud. nil: only members reach it.
	Front func(node.Env, http.Handler) (stop func(), err error)
	// Vault keeps the vault keys of auths. nil: they keep no secrets.
	Vault func(node.Env) auth.Vault
	// Look is how auths look at hosts whose owner proves them; nil: none is proven.
	Look func(node.Env) auth.Look
	// Guests runs functions, for substrates; nil: they serve websites only.
	Guests func(node.Env) substrate.Guests
	// Door is where requests come in from outside, for gateways; nil: they come over the wire only.
	Door func(node.Env) gateway.Door
}

// Catalogue lists the services that a node can be told to run. What others
// depend on at their start comes first.
func Catalogue(ports Ports) []node.Spec {
	return []node.Spec{
		seer.Spec(),
		auth.Spec(auth.Ends{Vault: ports.Vault, Look: ports.Look}),
		tns.Spec(),
		hoarder.Spec(),
		patrick.Spec(patrick.Ends{Forge: ports.Forge, Front: ports.Front}),
		monkey.Spec(ports.Builder, ports.Fetcher),
		substrate.Spec(ports.Guests),
		gateway.Spec(ports.Door),
	}
}

// Always lists what runs on every node: the discovery, by which it finds the others, before the node's own
// services, and after them the beacon, by which seers know that it is there, and the agent of auth, by
// which it stays a member and knows who is none any more.
func Always() []node.Spec {
	return []node.Spec{seer.DiscoverySpec(), seer.BeaconSpec(), auth.AgentSpec()}
}

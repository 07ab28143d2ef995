// Package seerapi is how other services ask seers which nodes are alive and what
// they offer: [Client] for occasional questions, [Follower] to stay up to date.
// The methods and their messages are API too, for those that ask one seer.
// The messages between seers and beacon agents are private to package seer.
package seerapi

import "github.com/taucloud/tau/transport"

// Service is seer's name in the directory.
const Service = "seer"

// The methods that seers serve.
var (
	Lookup  = transport.Method[LookupRequest, LookupResponse]{Name: "seer/lookup", Rule: transport.Member}
	Changes = transport.Method[ChangesRequest, ChangesResponse]{Name: "seer/changes", Rule: transport.Member}
)

package gatewayapi

import (
	"time"

	"github.com/taucloud/tau/transport"
)

// StatusRequest asks for a StatusResponse.
type StatusRequest struct{}

// RecentMax bounds the requests that a gateway remembers.
const RecentMax = 128

// StatusResponse is what a gateway sees.
type StatusResponse struct {
	InFlight, InFlightMax int
	Draining              bool
	// Substrates in the order of their peers.
	Substrates []Substrate
	// Recent are the last requests, oldest first.
	Recent []Access
}

// Substrate is one as a gateway sees it.
type Substrate struct {
	Peer transport.Peer
	// InFlight are this gateway's requests there; Latency is what a response's head took lately.
	InFlight int
	Latency  time.Duration
	// Ejected: it is not asked for so much longer, as it has failed.
	Ejected time.Duration
	// Refuses is why it said that it takes none, "" if it does.
	Refuses string
}

// Access is a request that was answered.
type Access struct {
	// At is a wall clock, in nanoseconds since 1970.
	At                     int64
	ID, Host, Method, Path string // Path without a query
	Status                 int
	Took                   time.Duration
	Bytes                  int64
	Substrate              transport.Peer
	Tries                  int
	Version                string
}

// HeaderRequestID names a request, in the request that a substrate gets and in the response that a client gets.
const HeaderRequestID = "X-Request-Id"

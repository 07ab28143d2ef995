package monkeyapi

import (
	"time"

	"github.com/taucloud/tau/node/fencing"
)

// StatusRequest asks a monkey what it is doing.
type StatusRequest struct{}

// StatusResponse lists its work, by job.
type StatusResponse struct {
	Slots int
	Work  []Work
}

// Work is one job that a monkey holds or competes for.
type Work struct {
	Job   string
	Token fencing.Token
	// Phase is "fetch", "build", "mark", "publish" or "finish".
	Phase string
	// For is how long ago the lock was taken.
	For time.Duration
}

// HoldsRequest asks a monkey whether it holds a job under a token.
type HoldsRequest struct {
	Job   string
	Token fencing.Token
}

// HoldsResponse: if not Holds, it does not and never will.
type HoldsResponse struct {
	Holds bool
}

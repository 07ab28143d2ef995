// Package monkeyapi is how others speak to monkeys: the offers of jobs, and
// what a monkey says about its work.
package monkeyapi

import (
	"time"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// StatusRequest asks a monkey what it is doing.
type StatusRequest struct{}

// StatusResponse is what it is doing, by job.
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

var (
	// Holds is served by each monkey, for patricks that have become a coordinator.
	Holds = transport.Method[HoldsRequest, HoldsResponse]{Name: "monkey/holds"}
	// Status is served by each monkey.
	Status = transport.Method[StatusRequest, StatusResponse]{Name: "monkey/status"}
	// Offer tells a few monkeys of open jobs.
	Offer = transport.Note[patrickapi.Announcement]{Name: "monkey/offer"}
	// Jobs tells all monkeys of open jobs.
	Jobs = transport.Topic[patrickapi.Announcement]{Name: "monkey/jobs"}
)

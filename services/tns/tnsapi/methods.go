// Package tnsapi is how others speak with tns: which commit of a branch is live,
// and what it consists of.
package tnsapi

import "github.com/taucloud/tau/transport"

// Service is tns's name in the directory.
const Service = "tns"

// The methods that tns serves. Watch is a stream: its hello is an encoded BranchRequest, its
// messages are encoded Versions, the first at once if the branch has one.
var (
	Fence    = transport.Method[FenceRequest, FenceResponse]{Name: "tns/fence"}
	Publish  = transport.Method[PublishRequest, PublishResponse]{Name: "tns/publish"}
	Rollback = transport.Method[RollbackRequest, PublishResponse]{Name: "tns/rollback"}
	Current  = transport.Method[BranchRequest, Version]{Name: "tns/current"}
	Lookup   = transport.Method[LookupRequest, LookupResponse]{Name: "tns/lookup"}
	History  = transport.Method[BranchRequest, HistoryResponse]{Name: "tns/history"}
)

// Watch is the name of the stream that carries the current version after each change and every
// WatchKeepAlive; an empty Version means that nothing is published.
const Watch = "tns/watch"

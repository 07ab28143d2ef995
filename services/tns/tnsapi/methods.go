// Package tnsapi is how others speak to tns: [Client] and the wire types. Builders
// fence and publish versions of a branch with it; who serves a branch asks for its
// current version or watches it. [ArtifactOwner] and its neighbours are what
// builders and tns say alike to hoarders.
package tnsapi

import "github.com/taucloud/tau/transport"

// Service is tns's name in the directory.
const Service = "tns"

// The methods that tns serves. Watch is a stream: its hello is an encoded BranchRequest, its
// messages are encoded Versions, the first at once if the branch has one.
var (
	Fence    = transport.Method[FenceRequest, FenceResponse]{Name: "tns/fence", Rule: transport.Offers("monkey", "patrick")}
	Publish  = transport.Method[PublishRequest, PublishResponse]{Name: "tns/publish", Rule: transport.Offers("monkey")}
	Rollback = transport.Method[RollbackRequest, PublishResponse]{Name: "tns/rollback", Rule: transport.Member}
	Current  = transport.Method[BranchRequest, Version]{Name: "tns/current", Rule: transport.Member}
	Lookup   = transport.Method[LookupRequest, LookupResponse]{Name: "tns/lookup", Rule: transport.Member}
	History  = transport.Method[BranchRequest, HistoryResponse]{Name: "tns/history", Rule: transport.Member}
)

// Watch is the name of the stream that carries the current version after each change and every
// WatchKeepAlive; an empty Version means that nothing is published.
var Watch = transport.StreamName{Name: "tns/watch", Rule: transport.Member}

// Follow is the name of the stream that carries the current versions of all projects' branches of one name: all of them,
// then those that change. Its hello is an encoded FollowRequest, its messages are encoded FollowResponses, one every
// WatchKeepAlive at least.
var Follow = transport.StreamName{Name: "tns/follow", Rule: transport.Member}

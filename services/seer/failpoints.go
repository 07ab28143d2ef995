package seer

import "github.com/taucloud/tau/node/fail"

// The moments at which a fault can be injected.
var (
	beforeBeacon = fail.Register("beacon/before-send", "a node is about to send a beacon; drop: it does not")
	beforeMerge  = fail.Register("seer/before-merge", "a seer has another one's digest and has not merged it; drop: it does not")
	beforeAnswer = fail.Register("seer/before-answer", "a seer was asked who is alive and has not looked yet; drop: it refuses")
)

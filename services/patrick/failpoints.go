package patrick

import "github.com/taucloud/tau/node/fail"

// Failpoints: the moments at which a fault can be injected.
var (
	beforeAck  = fail.Register("patrick/before-ack", "a push is durable on enough patricks, its acknowledgement has not been sent")
	afterAck   = fail.Register("patrick/after-ack", "a push was acknowledged, nobody was told of the job yet")
	afterGrant = fail.Register("patrick/after-grant", "a grant is written here, it is neither durable elsewhere nor known to the monkey")
	beforeKeep = fail.Register("patrick/before-keep", "asked by another patrick to keep a pushed tree, has not fetched it")
)

package gateway

import "github.com/taucloud/tau/node/fail"

// The moments at which a fault can be injected.
var (
	beforeAsk    = fail.Register("gateway/before-ask", "a substrate is chosen for a request, and was not asked")
	beforeAnswer = fail.Register("gateway/before-answer", "a response's head has come from a substrate, its client was told nothing")
)

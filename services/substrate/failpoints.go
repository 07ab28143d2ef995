package substrate

import "github.com/taucloud/tau/node/fail"

// The moments at which a fault can be injected.
var (
	beforeFetch  = fail.Register("substrate/before-fetch", "a version's assets are wanted and nothing of them is fetched")
	beforeSwap   = fail.Register("substrate/before-swap", "a new version can be served, the old one still is")
	beforeAnswer = fail.Register("substrate/before-answer", "it is known what a request is answered with, nothing of it is sent")
)

package tns

import "github.com/taucloud/tau/node/sometimes"

// What some run of the tests must come to (see package sometimes).
var (
	staleToken     = sometimes.Register("tns/stale-token", "a fence or a publish has a token lower than one that is known")
	publishedTwice = sometimes.Register("tns/published-twice", "a version is published once more")
	movedOn        = sometimes.Register("tns/moved-on", "a version is older than all that are kept")
	rolledToLive   = sometimes.Register("tns/rolled-back-to-live", "a rollback is asked for to the commit that is live")
	rolledTwice    = sometimes.Register("tns/rolled-back-twice", "a rollback is asked for once more")
)

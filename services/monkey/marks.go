package monkey

import "github.com/taucloud/tau/node/sometimes"

// What some run of the tests must come to (see package sometimes).
var (
	leaseEnded   = sometimes.Register("monkey/lease-ended", "a holder notices by its own clock that its lease has ended")
	lateRenewal  = sometimes.Register("monkey/late-renewal", "a renewal is granted after the lease has ended")
	buildTooLong = sometimes.Register("monkey/build-too-long", "a build is ended because it takes too long")
)

package patrick

import "github.com/taucloud/tau/node/sometimes"

// What some run of the tests must come to (see package sometimes).
var (
	claimedTwice        = sometimes.Register("patrick/claimed-twice", "the holder of a job claims it once more")
	grantNotHereYet     = sometimes.Register("patrick/grant-not-here-yet", "a holder renews at a patrick that does not know of its grant")
	renewedByAnother    = sometimes.Register("patrick/renewed-by-another", "a lease that another coordinator granted is renewed here")
	finishedTwice       = sometimes.Register("patrick/finished-twice", "an outcome is reported once more")
	lateSuccess         = sometimes.Register("patrick/late-success", "a published success counts, though a newer attempt was granted or the grant has ended")
	staleReport         = sometimes.Register("patrick/stale-report", "a report is refused, because a newer attempt was granted or the grant has ended")
	cancelledWhileBuilt = sometimes.Register("patrick/cancelled-while-built", "a job is cancelled while a monkey has it")
	publishedAlready    = sometimes.Register("patrick/published-already", "a job that is about to be closed or cancelled turns out to be published")
	takenOver           = sometimes.Register("patrick/taken-over", "a patrick becomes the coordinator of a job that is held")
)

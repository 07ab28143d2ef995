package seer

import "github.com/taucloud/tau/node/sometimes"

// What some run of the tests must come to (see package sometimes).
var (
	oldNews     = sometimes.Register("seer/old-news", "a beacon of a life that has ended arrives after its end")
	lateBeacon  = sometimes.Register("seer/late-beacon", "a beacon is later than usual, so its sender is asked")
	slowClock   = sometimes.Register("seer/slow-clock", "an answer shows that not the message was late but the sender's clock is slow")
	anotherLife = sometimes.Register("seer/another-life", "a member that is known begins another life")
)

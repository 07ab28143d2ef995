package hoarder

import "github.com/taucloud/tau/node/sometimes"

// What some run of the tests must come to (see package sometimes): each decision of
// the policy, and what else is rare.
var (
	competes         = sometimes.Register("hoarder/competes", "an item lacks copies, and a hoarder without one competes")
	releasesSurplus  = sometimes.Register("hoarder/releases-surplus", "a copy beyond the target and the tolerated surplus is to be released")
	discards         = sometimes.Register("hoarder/discards", "a copy that nobody wants any more is to be dropped")
	supersedes       = sometimes.Register("hoarder/supersedes", "a snapshot that has a successor is to be dropped")
	yields           = sometimes.Register("hoarder/yields", "a copy may be released to make room")
	releaseCalledOff = sometimes.Register("hoarder/release-called-off", "others were asked, and the copy stays: too few have confirmed theirs, or things have changed")
)

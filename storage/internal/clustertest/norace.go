//go:build !race

package clustertest

// UnderRace says whether the race detector is on.
const UnderRace = false

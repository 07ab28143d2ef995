//go:build race

package clustertest

// UnderRace: tests whose stand-ins write to variables of the test in turns of
// their own, which the test reads between two of them, are no races in virtual
// time, but the detector does not know.
const UnderRace = true

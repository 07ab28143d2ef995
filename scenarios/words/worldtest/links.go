package worldtest

import (
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
)

// linkStates are the faulty links of the worlds of tests that are no scenarios.
var linkStates = map[*sim.World]map[[2]string]fault.LinkState{}

func setLink(w *sim.World, from, to string, change func(*fault.LinkState)) {
	states := linkStates[w]
	if states == nil {
		states = map[[2]string]fault.LinkState{}
		linkStates[w] = states
	}
	s := states[[2]string{from, to}]
	change(&s)
	states[[2]string{from, to}] = s
	w.SetLinks(func(from, to string) fault.LinkState { return states[[2]string{from, to}] }, nil)
}

// SetCut cuts or mends one direction between two nodes.
func SetCut(w *sim.World, from, to string, on bool) {
	setLink(w, from, to, func(s *fault.LinkState) { s.Cut = on })
}

// SetHeld holds or releases one direction between two nodes.
func SetHeld(w *sim.World, from, to string, on bool) {
	setLink(w, from, to, func(s *fault.LinkState) { s.Held = on })
}

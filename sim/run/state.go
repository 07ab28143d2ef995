package run

import (
	"math"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// state answers selectors that ask what nodes are like at the moment of a fault, and
// keeps what it answered.
type state struct {
	of     *runner
	gauges map[string]scenario.Gauge
	places map[string]scenario.Finder
	// listeners are those of both that hear facts, in the order of the vocabulary.
	listeners []scenario.Listener
	chosen    map[string][][]string
}

func newState(r *runner) state {
	s := state{of: r, gauges: map[string]scenario.Gauge{}, places: map[string]scenario.Finder{}}
	for _, q := range scenario.Qualities(r.words) {
		g := q.New()
		s.gauges[q.Name] = g
		s.listen(g)
	}
	for _, p := range r.words.Places {
		f := p.New()
		s.places[p.Name] = f
		s.listen(f)
	}
	return s
}

func (s *state) listen(to any) {
	if l, ok := to.(scenario.Listener); ok {
		s.listeners = append(s.listeners, l)
	}
}

func (s *state) hear(f check.Fact) {
	for _, l := range s.listeners {
		l.Hear(f)
	}
}

// Measure implements scenario.State.
func (s *state) Measure(quality, node string) float64 {
	view := s.of.view()
	n, known := view.Node(node)
	if !known {
		return math.NaN() // the client
	}
	return s.gauges[quality].Of(view, n)
}

// Find implements scenario.State.
func (s *state) Find(place string, params any) []string {
	return s.places[place].Find(s.of.view(), params)
}

// Connected implements scenario.State.
func (s *state) Connected(a, b string) bool { return s.of.world.Connected(a, b) }

// selectNow selects the nodes of a step and inflicts its faults, the first of them now.
func (r *runner) selectNow(s scenario.Step) {
	faults, chosen := s.Late(&r.state)
	if r.state.chosen == nil {
		r.state.chosen = map[string][][]string{}
	}
	r.state.chosen[s.Key] = chosen
	if len(faults) == 0 {
		r.aims.count(s.Entry, true)
	}
	for _, f := range faults {
		r.world.At(f.At, stepLabel(f), func() { r.step(f) })
	}
}

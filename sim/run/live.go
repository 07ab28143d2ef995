package run

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// On carries out a scenario on a world of real processes, in real time: the same plan, faults, users and judges as in a
// simulated run, as far as the words say that something can be observed ([scenario.Observed]). more is what this world cannot do
// or show beside that, see [Unobserved].
func On(w World, s *scenario.Scenario, words scenario.Vocabulary, o Options, more []report.NotObserved) report.Result {
	o.Wire = report.Live
	r := newRunner(s, words, o, true)
	facts := uint64(0)
	w.OnFact(func(check.Fact) { facts++ })
	err := r.body(w, o.Seed)
	result := r.result(sim.Outcome{Events: facts, Virtual: w.Now()}, err)
	result.NotObserved = append(Unobserved(s, words), more...)
	result.Replay = fmt.Sprintf("%s live %s --seed %d", cmp.Or(words.Command, "dreamland"), s.File, o.Seed)
	return result
}

// Unobserved lists what a scenario expects and what cannot be judged of real processes, with the reason.
func Unobserved(s *scenario.Scenario, words scenario.Vocabulary) (list []report.NotObserved) {
	expected := slices.Concat(s.Expect.Always, s.Expect.AfterHeal)
	for _, m := range s.Moments() {
		expected = append(expected, m.All...)
	}
	for _, c := range words.Checks {
		named := slices.ContainsFunc(expected, func(e scenario.Check) bool { return e.Name == c.Name }) || slices.Contains(words.Constant, c.Name)
		if why := c.Live.Missing; named && why != "" {
			what := c.Name
			if c.Live.Any() {
				what = "a part of " + what
			}
			list = append(list, report.NotObserved{What: what, Why: why})
		}
	}
	for _, b := range s.Expect.Report {
		if unmeasured(words, b.Figure) {
			list = append(list, report.NotObserved{What: b.Label(), Why: "it is counted on disks and in memory"})
		}
	}
	return list
}

func (r *runner) unmeasured(figure string) bool { return unmeasured(r.words, figure) }

// unmeasured reports whether a figure is one that nobody counts of real processes.
func unmeasured(words scenario.Vocabulary, figure string) bool {
	if slices.ContainsFunc(words.Measures, func(m scenario.Measure) bool { return m.Name == figure }) || figure == scenario.FigureHeap {
		return true
	}
	for _, c := range words.Checks {
		if c.Live.Any() {
			continue
		}
		if counts, is := c.New().(check.Figures); is {
			if _, counted := counts.Figures()[figure]; counted {
				return true
			}
		}
	}
	return false
}

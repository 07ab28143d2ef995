package shrink

import (
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/scenario"
)

// Shrinker makes a scenario smaller.
type Shrinker struct {
	// Failing returns the index of the first candidate that fails with the same cause as the
	// scenario, -1 if none does or there is no time left. Each candidate is simpler than the last
	// failing one.
	Failing func(candidates []*scenario.Fixed) int
	// Better is called with each simpler scenario that fails, and the change that was tried.
	Better func(f *scenario.Fixed, trying string)

	best *scenario.Fixed
}

// passesMax bounds how often everything is tried again because something got
// simpler.
const passesMax = 4

// Shrink returns the simplest scenario that was found. f fails; failedAt is
// when, always tells that it was while the faults went on.
func (s *Shrinker) Shrink(f *scenario.Fixed, expect *scenario.Expectation, failedAt time.Duration, always bool) *scenario.Fixed {
	s.best = f
	if expect != nil {
		s.try("one expectation", func(f *scenario.Fixed) { f.Expect = expect })
	}
	if always {
		s.until(failedAt)
	}
	for range passesMax {
		before := string(s.best.Text())
		s.steps("faults", func(x scenario.Step) bool { return x.Fault != nil })
		s.steps("actions", func(x scenario.Step) bool { return x.Action != nil })
		s.nodes()
		s.narrower()
		s.earlier()
		s.shorter()
		s.rounder()
		if string(s.best.Text()) == before {
			break
		}
	}
	return s.best
}

// candidate is the best so far with a change.
func (s *Shrinker) candidate(change func(*scenario.Fixed)) *scenario.Fixed {
	f := *s.best
	f.Steps, f.Nodes = slices.Clone(f.Steps), slices.Clone(f.Nodes)
	change(&f)
	return &f
}

// try tries changes, one after the other or at once, and keeps the first with which the scenario
// still fails.
func (s *Shrinker) try(trying string, changes ...func(*scenario.Fixed)) bool {
	var list []*scenario.Fixed
	for _, change := range changes {
		list = append(list, s.candidate(change))
	}
	if len(list) == 0 {
		return false
	}
	return s.take(trying, list, s.Failing(list))
}

func (s *Shrinker) take(trying string, list []*scenario.Fixed, i int) bool {
	if i < 0 {
		return false
	}
	s.best = list[i]
	s.Better(s.best, trying)
	return true
}

// until ends the scenario soon after it fails.
func (s *Shrinker) until(failedAt time.Duration) {
	s.try("duration", func(f *scenario.Fixed) {
		f.Duration = min(f.Duration, failedAt.Truncate(time.Second)+2*time.Second)
		f.Steps = slices.DeleteFunc(f.Steps, func(x scenario.Step) bool { return x.At > failedAt })
	})
}

// steps leaves out steps of a kind.
func (s *Shrinker) steps(trying string, kind func(scenario.Step) bool) {
	var of []int
	for i, x := range s.best.Steps {
		if kind(x) {
			of = append(of, i)
		}
	}
	whole := s.best
	with := func(f *scenario.Fixed, chosen []int) {
		keep := map[int]bool{}
		for _, c := range chosen {
			keep[of[c]] = true
		}
		f.Steps = nil
		for i, x := range whole.Steps {
			if keep[i] || !kind(x) {
				f.Steps = append(f.Steps, x)
			}
		}
	}
	s.min(trying, len(of), with)
}

// nodes leaves out nodes, with the steps about them.
func (s *Shrinker) nodes() {
	s.bystanders()
	whole := s.best
	s.min("nodes", len(whole.Nodes), func(f *scenario.Fixed, chosen []int) {
		f.Nodes = nil
		for _, i := range chosen {
			f.Nodes = append(f.Nodes, whole.Nodes[i])
		}
		f.Prune()
	})
}

// bystanders leaves out nodes without faults from groups of equal ones: which of them is left out
// does not matter, except that another one may be hit then.
func (s *Shrinker) bystanders() {
	named := map[string]bool{}
	for _, x := range s.best.Steps {
		for _, name := range fault.Nodes(x.Fault) {
			named[name] = true
		}
	}
	only := func(group []string) func(*scenario.Fixed) {
		kept := slices.DeleteFunc(slices.Clone(group), func(n string) bool { return !named[n] })
		if len(kept) == 0 {
			kept = group[:min(1, len(group))]
		}
		return func(f *scenario.Fixed) {
			f.Nodes = slices.DeleteFunc(f.Nodes, func(n string) bool { return slices.Contains(group, n) && !slices.Contains(kept, n) })
		}
	}
	groups := s.best.Alike()
	s.try("bystanders", func(f *scenario.Fixed) {
		for _, g := range groups {
			only(g)(f)
		}
	})
	for _, g := range s.best.Alike() {
		if len(g) > 1 {
			s.try("bystanders", only(g))
		}
	}
}

// earlier moves all steps forward by the same time.
func (s *Shrinker) earlier() {
	if len(s.best.Steps) == 0 {
		return
	}
	first := s.best.Steps[0].At
	var changes []func(*scenario.Fixed)
	for _, at := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		by := (first - at).Truncate(time.Second)
		if by > 0 {
			changes = append(changes, func(f *scenario.Fixed) {
				f.Duration -= by
				for i := range f.Steps {
					f.Steps[i].At -= by
				}
			})
		}
	}
	s.try("earlier", changes...)
}

// min is Min over a part of the scenario. A scenario without nodes is none.
func (s *Shrinker) min(trying string, n int, with func(f *scenario.Fixed, chosen []int)) {
	Min(n, func(chosen [][]int) int {
		var list []*scenario.Fixed
		var at []int
		for i, c := range chosen {
			if f := s.candidate(func(f *scenario.Fixed) { with(f, c) }); len(f.Nodes) > 0 {
				list, at = append(list, f), append(at, i)
			}
		}
		if len(list) == 0 {
			return -1
		}
		i := s.Failing(list)
		if s.take(trying, list, i); i < 0 {
			return -1
		}
		return at[i]
	})
}

// narrower lets faults hit fewer nodes.
func (s *Shrinker) narrower() {
	for i := range s.best.Steps {
		for again := s.best.Steps[i].Fault != nil; again; {
			var changes []func(*scenario.Fixed)
			for _, smaller := range fault.Smaller(s.best.Steps[i].Fault) {
				changes = append(changes, func(f *scenario.Fixed) { f.Steps[i].Fault = smaller })
			}
			again = s.try("fewer nodes at once", changes...)
		}
	}
}

// shorter halves durations.
func (s *Shrinker) shorter() {
	for i := range s.best.Steps {
		for again := true; again; {
			length := s.best.Steps[i].For
			again = length > 2*time.Second && s.try("shorter", func(f *scenario.Fixed) { f.Steps[i].For = (length / 2).Round(time.Second) })
		}
	}
	for again := true; again; {
		half := (s.best.Duration / 2).Round(time.Second)
		last := time.Duration(0)
		for _, x := range s.best.Steps {
			last = max(last, x.At)
		}
		again = half > time.Second && half >= last && s.try("duration", func(f *scenario.Fixed) { f.Duration = half })
	}
}

// rounder makes numbers easier to read: times in whole seconds, or parts of them,
// and one latency.
func (s *Shrinker) rounder() {
	if s.best.Latency == "" {
		s.try("one latency", func(f *scenario.Fixed) { f.Latency = "5ms" })
	}
	units := []time.Duration{time.Second, 100 * time.Millisecond, time.Millisecond}
	all := func(unit time.Duration) func(*scenario.Fixed) {
		return func(f *scenario.Fixed) {
			for i := range f.Steps {
				round(f, i, unit)
			}
		}
	}
	if s.isRound() || s.try("round times", all(units[0]), all(units[1])) && s.isRound() {
		return
	}
	for i := range s.best.Steps {
		var changes []func(*scenario.Fixed)
		for _, unit := range units {
			if x := s.best.Steps[i]; x.At%unit != 0 || x.For%unit != 0 {
				changes = append(changes, func(f *scenario.Fixed) { round(f, i, unit) })
			}
		}
		s.try("round times", changes...)
	}
}

func (s *Shrinker) isRound() bool {
	return !slices.ContainsFunc(s.best.Steps, func(x scenario.Step) bool { return x.At%time.Second != 0 || x.For%time.Second != 0 })
}

// round keeps the order of steps: all are in order of time, and rounding keeps it
// only if the neighbours agree.
func round(f *scenario.Fixed, i int, unit time.Duration) {
	x := &f.Steps[i]
	x.At = min(x.At.Round(unit), f.Duration)
	if x.For > 0 {
		x.For = max(x.For.Round(unit), unit)
	}
}

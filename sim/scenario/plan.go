package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// Step is one step of a run at one moment: a fault, or an occurrence of an action.
type Step struct {
	At time.Duration
	// Key names the step: its entry and its occurrence, both from 0.
	Key string
	// Entry is the index of the entry in the timeline.
	Entry int
	// Fault is inflicted At, for For; zero is until it is healed.
	Fault fault.Fault
	For   time.Duration
	// Action is carried out At; N counts the occurrences of its entry.
	Action *Action
	Params any
	// Cloud is that of an action's user.
	Cloud string
	// To are the only nodes that an action asks; nil for any.
	To []string
	// By are the nodes on which an attack runs, none of any other action.
	By []string
	N  int
	// Moment is expected At.
	Moment *Moment
	// Label is that of the entry.
	Label string
	// Late makes the faults of a step that selects nodes by their state - or the action that asks such
	// nodes - when it happens. chosen is what each selector by state has answered.
	Late func(state State) (faults []Step, chosen [][]string)

	again func(chosen [][]string) []Step // the same, as it was in a run
}

// Plan draws everything that the scenario leaves to chance and returns the steps in order of time.
// Equal seeds, equal plans, and no draw depends on another.
func (s *Scenario) Plan(seed uint64) []Step {
	var steps []Step
	root := fault.NewDraw(seed)
	var last, at time.Duration
	for i := range s.Timeline {
		e := &s.Timeline[i]
		draw := root.Fork("entry", i)
		at = draw.Fork("at").Between(e.At.Min, e.At.Max)
		if e.after != nil {
			at = last + draw.Fork("at").Between(e.after.Min, e.after.Max)
		}
		last = at
		for n := 0; ; n++ {
			o := draw.Fork("occurrence", n)
			when := at + o.Fork("jitter").Between(e.Jitter.Min, e.Jitter.Max)
			if when <= s.Duration {
				steps = append(steps, s.steps(i, n, when, o)...)
			}
			at += draw.Fork("every", n).Between(e.Every.Min, e.Every.Max)
			if e.Every.Max == 0 || e.Times > 0 && n+1 >= e.Times || at >= e.end(s.Duration) {
				break
			}
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return steps
}

// end is when an entry stops repeating. One with a number of times goes on to the end of the
// scenario.
func (e *Entry) end(duration time.Duration) time.Duration {
	switch {
	case e.Until > 0:
		return e.Until
	case e.Times > 0:
		return duration + 1
	}
	return duration
}

// steps are those of one occurrence.
func (s *Scenario) steps(entry, n int, at time.Duration, draw fault.Draw) []Step {
	e := &s.Timeline[entry]
	key := fmt.Sprintf("%d.%d", entry, n)
	if e.action != nil {
		return []Step{s.asks(entry, n, key, at, draw)}
	}
	if e.moment != nil {
		return []Step{{At: at, Key: key, Entry: entry, Moment: e.moment, N: n}}
	}
	if e.late {
		return []Step{{At: at, Key: key, Entry: entry, N: n,
			Late: func(state State) ([]Step, [][]string) {
				r, chosen := s.roster.atRun(state)
				steps := s.faults(r, entry, n, at, draw)
				return steps, *chosen
			},
			again: func(chosen [][]string) []Step { return s.faults(s.roster.again(chosen), entry, n, at, draw) },
		}}
	}
	return s.faults(s.roster, entry, n, at, draw)
}

// faults are those of one occurrence of an entry, for the nodes of a roster.
func (s *Scenario) faults(r *roster, entry, n int, at time.Duration, draw fault.Draw) []Step {
	e, key := &s.Timeline[entry], fmt.Sprintf("%d.%d", entry, n)
	list := e.verb.faults(e.params, occurrence{
		roster: r,
		draw:   draw,
		length: draw.Fork("for").Between(e.For.Min, e.For.Max),
		rest:   s.Duration - at,
	})
	var steps []Step
	for i, t := range list {
		if at+t.At <= s.Duration {
			steps = append(steps, Step{At: at + t.At, Key: fmt.Sprintf("%s.%d", key, i), Entry: entry, Label: e.Label, Fault: t.Fault, For: t.For, N: n})
		}
	}
	return steps
}

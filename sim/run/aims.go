package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// aims counts, for each entry of the timeline, how often it happened and how often there was
// nobody whom it could concern: what a selection by state or by lot comes to is known
// in the run only.
type aims map[int]*aim

type aim struct{ happened, nobody int }

func (a aims) count(entry int, nobody bool) {
	one := a[entry]
	if one == nil {
		one = &aim{}
		a[entry] = one
	}
	one.happened++
	if nobody {
		one.nobody++
	}
}

// aimed counts a step.
func (r *runner) aimed(s scenario.Step) { r.aims.count(s.Entry, fault.Aimless(s.Fault)) }

// everyEntryFindsSomebody is a row of the report if an entry has concerned nobody, however
// often it happened: the run says nothing about it, and a strict one fails.
const everyEntryFindsSomebody = "every-entry-finds-somebody"

func (r *runner) aimless() (rows []report.Expectation) {
	var texts []string
	for _, i := range slices.Sorted(maps.Keys(r.aims)) {
		if a, e := r.aims[i], r.scenario.Timeline[i]; a.nobody == a.happened {
			texts = append(texts, fmt.Sprintf("%s in line %d found nobody, %d of %d times", e.Verb, e.Line, a.nobody, a.happened))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return []report.Expectation{{Name: everyEntryFindsSomebody, When: "always", Held: true, Unproven: strings.Join(texts, "; ")}}
}

// unwatched says why a bound that holds proves nothing: no fault of its label has hit
// anything.
func (r *runner) unwatched(b *scenario.Bound) string {
	label := b.Window.During
	if label == "" || slices.ContainsFunc(r.series.labelled[label], (*fault.Inflicted).HadEffect) {
		return ""
	}
	return "no fault with the label " + label + " has hit anything"
}

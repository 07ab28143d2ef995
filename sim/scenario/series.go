package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/check"
)

// Series is what happens on nodes, each time with an amount: figures that may be asked
// for some nodes and for a part of the run.
type Series struct {
	Name, Doc, Unit string
	// Service is what it is about: where none runs, figures that are zero are not
	// reported. "": any.
	Service string
	// Spread: what matters is how the amounts differ, as of durations. The figures are
	// NAME.p50, NAME.p90, NAME.p99 and NAME.max, and the report lists what took most.
	// Else the figure NAME is their sum.
	Spread bool
	// New makes what listens in one run.
	New func() Sampler
}

// Sample is one of a series.
type Sample struct {
	// Node is where it happened: "client" for what users notice.
	Node string
	// Object is what it is about, "" if a report need not name it.
	Object string
	Amount float64
}

// Sampler hears every fact and says what of a series happens with it.
type Sampler interface {
	Sample(f check.Fact) (s Sample, happened bool)
}

// SamplerFunc is a Sampler that remembers nothing.
type SamplerFunc func(f check.Fact) (Sample, bool)

// Sample implements Sampler.
func (s SamplerFunc) Sample(f check.Fact) (Sample, bool) { return s(f) }

// CountFacts makes a series' New that counts the facts of a name that a service
// reports.
func CountFacts(service, name string) func() Sampler {
	return func() Sampler {
		return SamplerFunc(func(f check.Fact) (Sample, bool) {
			return Sample{Node: f.Node, Amount: 1}, f.Service == service && f.Name == name
		})
	}
}

// Between makes a series' New for the time, in seconds, from a fact to the next one of
// another name about the same object, which the field of both names.
func Between(begin, end, object string) func() Sampler {
	return func() Sampler { return &between{begin, end, object, map[string]time.Duration{}} }
}

type between struct {
	begin, end, object string
	begun              map[string]time.Duration
}

// Sample implements Sampler.
func (b *between) Sample(f check.Fact) (Sample, bool) {
	id := f.Text(b.object)
	switch f.Name {
	case b.begin:
		if _, goesOn := b.begun[id]; !goesOn {
			b.begun[id] = f.At
		}
	case b.end:
		if at, known := b.begun[id]; known {
			delete(b.begun, id)
			return Sample{Node: f.Node, Object: id, Amount: (f.At - at).Seconds()}, true
		}
	}
	return Sample{}, false
}

// Quantiles are the figures of a series with spread, and what part of its amounts is
// at most that. Of n amounts in order it is the one at place ceil(q * n).
var Quantiles = []struct {
	Suffix string
	Q      float64
}{{".p50", 0.5}, {".p90", 0.9}, {".p99", 0.99}, {".max", 1}}

// Figures are the names of a series' figures.
func (s *Series) Figures() []string {
	if !s.Spread {
		return []string{s.Name}
	}
	var names []string
	for _, q := range Quantiles {
		names = append(names, s.Name+q.Suffix)
	}
	return names
}

// Window is a part of a run and of a cloud that a figure is asked for.
type Window struct {
	// Nodes count, nil for all.
	Nodes []string
	// From and To bound when, in virtual time since the start; To 0 is the end.
	From, To time.Duration
	// During is the label of faults: it counts while one of them is in force, "" for any time.
	During string

	text string // as the file has it
}

// Everything reports whether the window leaves nothing out.
func (w *Window) Everything() bool {
	return w.Nodes == nil && w.From == 0 && w.To == 0 && w.During == ""
}

// Label names a bounded figure with its window: jobs.started{node: slow} after 30s.
func (b *Bound) Label() string { return b.Figure + b.Window.text }

// windowDoc are the keys of a window.
type windowDoc struct {
	Node   *Selector     `yaml:"node" doc:"only what happens on these nodes"`
	After  time.Duration `yaml:"after" doc:"only what happens from then on, counted from the start of the run"`
	Until  time.Duration `yaml:"until" doc:"only what happens before"`
	During string        `yaml:"during" doc:"only what happens while a fault of an entry with this label is in force"`
}

func (w *windowDoc) text() (text string) {
	if w.Node != nil {
		text += fmt.Sprintf("{node: %s}", w.Node.at.yaml())
	}
	if w.After > 0 {
		text += " after " + w.After.String()
	}
	if w.Until > 0 {
		text += " until " + w.Until.String()
	}
	if w.During != "" {
		text += " during " + w.During
	}
	return text
}

// window checks the window of a bound.
func (b *builder) window(bound *Bound) {
	doc := bound.doc
	if doc == nil || *doc == (windowDoc{}) {
		return
	}
	if !slices.ContainsFunc(b.words.Series, func(s Series) bool { return slices.Contains(s.Figures(), bound.Figure) }) {
		var known []string
		for _, s := range b.words.Series {
			known = append(known, s.Figures()...)
		}
		b.fail(bound.at, "figures that can: "+list(known), "%s is not counted by node and moment", bound.Figure)
		return
	}
	w := Window{From: doc.After, To: doc.Until, During: doc.During, text: doc.text()}
	if doc.Node != nil {
		doc.Node.check(b.decoder, b.scenario.roster)
		if doc.Node.draws() {
			b.fail(&doc.Node.at, "name nodes, a group or a zone", "node: the figure is of nodes that are known before the run")
			return
		}
		w.Nodes = doc.Node.all(b.scenario.roster)
	}
	switch i := b.labelled(doc.During); {
	case doc.Until > 0 && doc.Until <= doc.After:
		b.fail(bound.at, "make until later", "%s: until is not after after", bound.Figure)
	case doc.After > 0 && doc.After >= b.scenario.Duration && b.scenario.Duration > 0:
		b.fail(bound.at, "make it earlier, or lengthen duration", "%s: after is not before the end of the scenario (%s)", bound.Figure, b.scenario.Duration)
	case doc.During != "" && i < 0:
		b.fail(bound.at, suggest(doc.During, b.labels()), "%s: no entry of the timeline has the label %s", bound.Figure, quote(doc.During))
	}
	bound.Window = w
}

func (b *builder) labelled(label string) int {
	return slices.IndexFunc(b.scenario.Timeline, func(e Entry) bool { return label != "" && e.Label == label })
}

func (b *builder) labels() (list []string) {
	for _, e := range b.scenario.Timeline {
		if e.Label != "" {
			list = append(list, e.Label)
		}
	}
	return list
}

// words document the figures of a series.
func (s *Series) words() (list []Word) {
	doc := s.Doc + "; takes node, after, until and during"
	example := fmt.Sprintf("report: {%s: [{min: 1}, {node: core-1, after: 30s, max: 0}]}", s.Figures()[0])
	for i, name := range s.Figures() {
		w := Word{Kind: "figure", Name: name, Unit: s.Unit, Doc: doc, Example: example}
		switch {
		case s.Spread && Quantiles[i].Q < 1:
			w.Doc = fmt.Sprintf("%g%% are at most that: %s", 100*Quantiles[i].Q, doc)
		case s.Spread:
			w.Doc = "the longest: " + doc
		}
		list = append(list, w)
	}
	return list
}

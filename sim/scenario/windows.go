package scenario

import (
	"fmt"
	"slices"
	"time"
)

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
	Until  time.Duration `yaml:"until" zero:"no" doc:"only what happens before"`
	During string        `yaml:"during" range:"1.." doc:"only what happens while a fault of an entry with this label is in force"`
}

func (w *windowDoc) text() (text string) {
	if w.Node != nil {
		text += fmt.Sprintf("{node: %s}", w.Node.source.yaml())
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
	i := slices.IndexFunc(b.words.Series, func(s Series) bool { return slices.Contains(s.Figures(), bound.Figure) })
	if i >= 0 && !b.words.Series[i].Spread && bound.Max == nil && bound.Min != nil && *bound.Min == 0 {
		b.fail(bound.source.place("min"), "write {min: 1} or {max: 0}", "%s: min: 0 demands nothing, no figure is negative", bound.Figure)
	}
	doc := bound.doc
	if doc == nil || *doc == (windowDoc{}) {
		return
	}
	if i < 0 {
		var known []string
		for _, s := range b.words.Series {
			known = append(known, s.Figures()...)
		}
		b.fail(bound.at, "figures that can: "+list(known), "%s is not counted by node and moment", bound.Figure)
		return
	}
	w := Window{From: doc.After, To: doc.Until, During: doc.During, text: doc.text()}
	if doc.Node != nil && b.windowNodes(doc.Node, &b.words.Series[i]) {
		w.Nodes = doc.Node.all(b.scenario.roster)
	}
	b.windowTime(bound, doc)
	bound.Window = w
}

// windowNodes checks the nodes of a window: they are known before the run, and something of
// the series happens on some of each part.
func (b *builder) windowNodes(s *Selector, of *Series) (known bool) {
	if s.draws() {
		b.fail(&s.at, "write a name, a group, {zone: east} or {running: monkey}", "node: the figure is of nodes that are known before the run")
		return false
	}
	before := b.failures
	s.check(b.decoder, b.scenario.roster)
	if b.failures == before && !b.scenario.roster.unknown() && of.Service != "" {
		switch {
		case of.OnClient && !slices.Contains(s.all(b.scenario.roster), Client):
			b.fail(&s.at, "write node: client, or remove it", "node: %s is what users notice, and counts for the client", of.Name)
		case !of.OnClient:
			s.checkRuns(b.decoder, b.scenario.roster, of.Service, "node: "+of.Name)
		}
	}
	return b.failures == before
}

// windowTime checks when a window is open.
func (b *builder) windowTime(bound *Bound, doc *windowDoc) {
	end := b.scenario.Duration
	switch place := bound.source; {
	case doc.Until > 0 && doc.Until <= doc.After:
		b.fail(place.place("until"), "make until later", "%s: until is not after after", bound.Figure)
	case end > 0 && doc.After >= end:
		b.fail(place.place("after"), "make it earlier, or lengthen duration", "%s: after is not before the end of the scenario (%s)", bound.Figure, end)
	case end > 0 && doc.Until > end:
		b.fail(place.place("until"), "remove until, or lengthen duration", "%s: until is after the end of the scenario (%s)", bound.Figure, end)
	case place.get("during") == nil:
	case !slices.Contains(b.labels(), doc.During):
		b.fail(place.place("during"), suggest(doc.During, b.labels()), "%s: no entry of the timeline has the label %s", bound.Figure, quote(doc.During))
	case end > 0 && !b.inForce(doc):
		b.fail(place.place("during"), "make the window wider, or the fault earlier or longer", "%s: no fault with the label %s is in force then", bound.Figure, quote(doc.During))
	}
}

// inForce reports whether a fault with the label of a window may be in force while it is open.
func (b *builder) inForce(doc *windowDoc) bool {
	end := b.scenario.Duration
	until := end
	if doc.Until > 0 {
		until = doc.Until
	}
	return slices.ContainsFunc(b.scenario.Timeline, func(e Entry) bool {
		if e.Label != doc.During {
			return false
		}
		over := end
		if e.For.Max > 0 {
			over = min(end, e.last(end)+e.Jitter.Max+e.For.Max)
		}
		return e.At.Min < until && doc.After < over && e.At.Min < end
	})
}

func (b *builder) labels() (list []string) {
	for _, e := range b.scenario.Timeline {
		if e.Label != "" {
			list = append(list, e.Label)
		}
	}
	return list
}

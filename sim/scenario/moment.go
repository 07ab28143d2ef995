package scenario

import (
	"reflect"
	"time"

	"github.com/taucloud/tau/sim/check"
)

// Moment is what must hold at one moment of the timeline.
type Moment struct {
	// Within is how much later it may come true.
	Within time.Duration
	All    []Check
	Report []Bound
}

// momentVerb is the verb of an entry that expects something.
const momentVerb = "expect"

type momentDoc struct {
	Within time.Duration `yaml:"within" range:"0s..24h" doc:"how much later it may come true; default 0s"`
	All    []raw         `yaml:"all" doc:"checks, those of after-heal"`
	Report reportDoc     `yaml:"report" doc:"figures, as in expect.report"`
}

// decode also takes a bare list of checks.
func (m *momentDoc) decode(d *decoder, v *value) {
	if v.kind == mapping {
		d.intoStruct(v, reflect.ValueOf(m).Elem(), momentVerb)
		return
	}
	d.into(v, reflect.ValueOf(&m.All).Elem(), momentVerb)
}

// moment reads the value of the verb expect.
func (b *builder) moment(word entry) *Moment {
	before := b.failures
	var doc momentDoc
	doc.decode(b.decoder, word.value)
	if word.value.kind == mapping && b.failures == before && len(doc.All) == 0 && len(doc.Report) == 0 {
		b.fail(word.value, "add all: [CHECKS] or report: {FIGURE: VALUE}", "%s: within alone demands nothing", momentVerb)
	}
	if b.failures > before {
		return nil
	}
	if len(doc.All) == 0 && len(doc.Report) == 0 && word.value.kind != mapping {
		b.fail(word.value, "write expect: [replicas-converged]", "%s: expected checks or figures, found %s", momentVerb, word.value)
		return nil
	}
	for _, bound := range doc.Report {
		if bound.Within > 0 {
			b.fail(bound.at, "write within beside report", "%s: a figure of a moment has no within of its own", bound.Figure)
		}
	}
	return &Moment{Within: doc.Within, Report: doc.Report, All: b.checks(doc.All, momentVerb, "expect it in always", func(c check.Checker) bool {
		_, settles := c.(check.OnSettled)
		return settles
	})}
}

// checkMoment checks the figures of a moment: their windows may speak of entries that come later in
// the file.
func (b *builder) checkMoment(e *Entry) {
	b.knownFigures(e.moment.Report)
	for i := range e.moment.Report {
		bound := &e.moment.Report[i]
		if last := e.At.Max + e.Jitter.Max + e.moment.Within; bound.Window.From >= last && last > 0 {
			b.fail(bound.source.place("after"), "make it earlier than the moment", "%s: after is not before the moment at which it is expected (%s)", bound.Figure, last)
		}
	}
}

// Moments lists what is expected in the timeline.
func (s *Scenario) Moments() (list []*Moment) {
	for i := range s.Timeline {
		if m := s.Timeline[i].moment; m != nil {
			list = append(list, m)
		}
	}
	return list
}

package scenario

import (
	"reflect"
	"slices"
	"time"

	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/sim/check"
)

type expectDoc struct {
	Always    []raw        `yaml:"always" example:"expect: {always: [no-lost-jobs]}" doc:"checks that hold at every moment"`
	AfterHeal afterHealDoc `yaml:"after-heal" example:"expect: {after-heal: {within: 60s, all: [seers-agree]}}" doc:"checks that hold soon after all faults are over"`
	Sometimes []raw        `yaml:"sometimes" example:"expect: {sometimes: [seer/another-life]}" doc:"marks in the code that some seed must hit, see scenario words: judged of 20 seeds and more together"`
	Report    reportDoc    `yaml:"report" example:"expect: {report: {jobs.succeeded: {min: 1}}}" doc:"figures: a value, {min: 1}, {min: 1, max: 5}, {max: 5, within: 30s}, {node: slow, after: 30s, max: 0}, or a list of these"`
}

type afterHealDoc struct {
	Within time.Duration `yaml:"within" range:"1s..8760h" doc:"virtual time to recover; default 60s"`
	All    []raw         `yaml:"all" doc:"the checks"`
}

// decode also takes a bare list of checks.
func (a *afterHealDoc) decode(d *decoder, v *value) {
	a.Within = WithinDefault
	if v.kind == sequence {
		if len(v.items) == 0 {
			d.fail(v, "name at least one check, or remove it", "after-heal: an empty list demands nothing")
		}
		d.into(v, reflect.ValueOf(&a.All).Elem(), "after-heal")
		return
	}
	before := d.failures
	d.intoStruct(v, reflect.ValueOf(a).Elem(), "after-heal")
	if d.failures == before && len(a.All) == 0 {
		d.fail(v, "add all: [CHECKS], or remove it", "after-heal: within alone demands nothing")
	}
}

type reportDoc []Bound

func (r *reportDoc) decode(d *decoder, v *value) {
	if v.kind != mapping || len(v.entries) == 0 {
		d.fail(v, "write {jobs.succeeded: 40}", "report: expected figures, found %s", v)
		return
	}
	for _, e := range v.entries {
		if e.value.kind != sequence {
			*r = append(*r, bound(d, e))
			continue
		}
		if len(e.value.items) == 0 {
			d.fail(e.value, "write {min: 1} or {max: 5}", "%s: an empty list expects nothing", e.key.text)
		}
		for _, item := range e.value.items {
			*r = append(*r, bound(d, entry{key: e.key, value: item}))
		}
	}
}

// boundDoc are the keys of a bound.
type boundDoc struct {
	Min       *float64      `yaml:"min" doc:"at least"`
	Max       *float64      `yaml:"max" doc:"at most"`
	Within    time.Duration `yaml:"within" range:"1s..24h" doc:"it may come true so long after healing; default: it must in the end"`
	windowDoc `yaml:",inline"`
}

func bound(d *decoder, e entry) Bound {
	var limits boundDoc
	if e.value.kind != mapping {
		if x, ok := d.float(e.value, e.key.text); ok && x < 0 {
			d.fail(e.value, "write 0 or more", "%s: no figure is negative", e.key.text)
		} else if ok {
			limits.Min, limits.Max = &x, &x
		}
		return Bound{Figure: e.key.text, Min: limits.Min, Max: limits.Max, at: e.key, source: e.value}
	}
	stateful := len(d.stateful)
	before := d.failures
	d.into(e.value, reflect.ValueOf(&limits).Elem(), e.key.text)
	d.stateful = d.stateful[:stateful] // refused with the window
	switch {
	case d.failures > before:
	case limits.Min == nil && limits.Max == nil:
		d.fail(e.value, "write {min: 1} or {max: 5}", "%s: expected a bound", e.key.text)
	case limits.Min != nil && limits.Max != nil && *limits.Min > *limits.Max:
		d.fail(e.value, "exchange them", "%s: min is more than max", e.key.text)
	case limits.Max != nil && *limits.Max < 0:
		d.fail(e.value.place("max"), "write 0 or more", "%s: no figure is negative", e.key.text)
	}
	return Bound{Figure: e.key.text, Min: limits.Min, Max: limits.Max, Within: limits.Within, at: e.key, source: e.value, doc: &limits.windowDoc}
}

func (b *builder) expect(doc *expectDoc) {
	e := &b.scenario.Expect
	e.Within = doc.AfterHeal.Within
	if e.Within == 0 {
		e.Within = WithinDefault
	}
	e.Always = b.checks(doc.Always, "always", "expect it in after-heal", func(c check.Checker) bool {
		return listens(c)
	})
	e.AfterHeal = b.checks(doc.AfterHeal.All, "after-heal", "expect it in always", func(c check.Checker) bool {
		_, settles := c.(check.OnSettled)
		return settles
	})
	e.Report = doc.Report
	b.knownFigures(e.Report)
	e.Sometimes = b.marks(doc.Sometimes)
}

// marks are the names of marks that this program has.
func (b *builder) marks(names []raw) (out []string) {
	var known []string
	for _, m := range sometimes.Marks() {
		known = append(known, m.Name())
	}
	for _, v := range names {
		switch {
		case v.kind != scalar:
			b.fail(v.value, "marks: "+list(known), "sometimes: expected the name of a mark, found %s", v)
		case !slices.Contains(known, v.text):
			b.unknown(v.value, "mark", "in sometimes", known)
		case slices.Contains(out, v.text):
			b.fail(v.value, "name it once", "mark %s is given twice", quote(v.text))
		default:
			out = append(out, v.text)
		}
	}
	return out
}

// listens reports whether a checker judges while faults go on.
func listens(c check.Checker) bool {
	_, facts := c.(check.OnFact)
	_, witnesses := c.(check.OnWitness)
	_, polls := c.(check.OnPoll)
	_, deliveries := c.(check.OnDelivery)
	return facts || witnesses || polls || deliveries
}

// runsAny reports whether some node runs one of some services, or pretends to; if there are none, it needs none.
func (b *builder) runsAny(services []string) bool {
	return len(services) == 0 || slices.ContainsFunc(services, func(name string) bool {
		return len(b.scenario.roster.services[name]) > 0 || len(b.scenario.roster.pretended[name]) > 0
	})
}

// knownFigures reports figures that no check counts.
func (b *builder) knownFigures(bounds []Bound) {
	if len(bounds) == 0 {
		return
	}
	known := Figures(*b.words)
	for i := range bounds {
		bound := &bounds[i]
		if slices.Contains(known, bound.Figure) {
			b.window(bound)
		}
		for _, other := range bounds[:i] {
			if other.Label() == bound.Label() {
				b.fail(bound.at, "write one bound, {min: 1, max: 5}", "figure %s is given twice", quote(bound.Label()))
			}
		}
		if !slices.Contains(known, bound.Figure) {
			b.unknown(bound.at, "figure", "in report", known)
			continue
		}
		of := b.words.servicesOf(bound.Figure)
		b.scenario.services[bound.Figure] = of
		if !b.scenario.roster.unknown() && !b.runsAny(of) {
			b.fail(bound.at, "add it to the services of a group, or remove the figure", "%s: no node runs %s", bound.Figure, alternatives(of))
		}
	}
}

func (b *builder) checks(names []raw, where, otherwise string, fits func(check.Checker) bool) (out []Check) {
	var known []string
	for _, c := range b.words.Checks {
		if fits(c.New()) {
			known = append(known, c.Name)
		}
	}
	for _, v := range names {
		i := slices.IndexFunc(b.words.Checks, func(c Check) bool { return c.Name == v.text })
		switch {
		case v.kind != scalar:
			b.fail(v.value, "checks: "+list(known), "%s: expected the name of a check, found %s", where, v)
		case i < 0:
			b.unknown(v.value, "check", "in "+where, known)
		case !slices.Contains(known, v.text):
			b.fail(v.value, otherwise, "check %s says nothing about %s", quote(v.text), where)
		case slices.ContainsFunc(out, func(c Check) bool { return c.Name == v.text }):
			b.fail(v.value, "name it once", "check %s is given twice", quote(v.text))
		case !b.scenario.roster.unknown() && !b.runsAny(b.words.Checks[i].Of):
			b.fail(v.value, "add it to the services of a group, or remove the check", "check %s: no node runs %s", quote(v.text), alternatives(b.words.Checks[i].Of))
		default:
			out = append(out, b.words.Checks[i])
		}
	}
	return out
}

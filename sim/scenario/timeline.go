package scenario

import (
	"reflect"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// whenDoc are the keys of an entry beside its verb.
type whenDoc struct {
	At     *fault.Range  `yaml:"at" doc:"when, counted from the start; a range is drawn from"`
	After  *fault.Range  `yaml:"after" doc:"when, counted from the entry before this one"`
	Every  fault.Range   `yaml:"every" doc:"happens again, this much later"`
	Times  int           `yaml:"times" doc:"how often in all, with every"`
	Until  time.Duration `yaml:"until" doc:"end of an entry with every; default: the scenario's"`
	For    fault.Range   `yaml:"for" doc:"how long a fault lasts; default: until the world is healed"`
	Jitter fault.Range   `yaml:"jitter" doc:"delays each occurrence by a draw of its own"`
	Number int           `yaml:"number" range:"0..1000000000" doc:"the number of its first occurrence, which {n} stands for; default 0"`
	Label  string        `yaml:"label" doc:"of a fault that lasts: what during: LABEL of a figure calls it"`
	About  string        `yaml:"about" doc:"a remark for people"`
}

func (b *builder) timeline(items []raw) {
	steps := 0
	for _, item := range items {
		e, ok := b.entry(item.value)
		if !ok {
			b.scenario.Timeline = append(b.scenario.Timeline, Entry{})
			continue
		}
		before := steps
		if steps += e.count(b.scenario.Duration, b.scenario.roster); before <= StepsMax && steps > StepsMax {
			b.fail(item.value, "make it less often", "the timeline has more than %d events", StepsMax)
		}
		b.scenario.Timeline = append(b.scenario.Timeline, e)
	}
}

// entry reads one entry of the timeline; not ok means that it has errors.
func (b *builder) entry(v *value) (Entry, bool) {
	if v.kind != mapping {
		b.fail(v, "write {at: 10s, crash: core-1}", "timeline: expected an entry, found %s", v)
		return Entry{}, false
	}
	errorsBefore := len(b.errors)
	when := whenDoc{}
	whenKeys := keysOf(reflect.TypeFor[whenDoc]())
	times := &value{kind: mapping, line: v.line, col: v.col}
	var verbs []entry
	for _, e := range v.entries {
		if slices.Contains(whenKeys, e.key.text) {
			times.entries = append(times.entries, e)
			continue
		}
		verbs = append(verbs, e)
	}
	b.into(times, reflect.ValueOf(&when).Elem(), "an entry")
	e := Entry{Line: v.line, About: when.About, Label: when.Label, Every: when.Every, Times: when.Times, Until: when.Until, For: when.For, Jitter: when.Jitter, first: when.Number}
	for _, word := range verbs {
		b.entryVerb(&e, word)
	}
	if len(b.errors) > errorsBefore {
		return e, false
	}
	switch {
	case len(verbs) == 0:
		b.fail(v, "add one of: "+list(b.verbNames()), "an entry of the timeline that does nothing")
	case len(verbs) > 1:
		b.fail(verbs[1].key, "write an entry for each", "an entry of the timeline with two verbs, %s and %s", verbs[0].key, verbs[1].key)
	}
	b.entryTimes(&e, v, &when)
	return e, len(b.errors) == errorsBefore
}

// entryTimes checks when an entry happens.
func (b *builder) entryTimes(e *Entry, v *value, when *whenDoc) {
	place := func(key string) *value {
		if at := v.get(key); at != nil {
			return at
		}
		return v
	}
	end := b.scenario.Duration
	switch {
	case when.At != nil && when.After != nil:
		b.fail(place("after"), "keep one of them", "both at and after")
	case when.At != nil:
		e.At = *when.At
	case when.After != nil:
		e.after = when.After
		if last := b.scenario.Timeline; len(last) > 0 {
			at := last[len(last)-1].At
			e.At = fault.Range{Min: at.Min + when.After.Min, Max: at.Max + when.After.Max}
		} else {
			e.At = *when.After
		}
	default:
		b.fail(v, "add at: 10s, or after: 10s to count from the entry before", "an entry of the timeline without a time")
	}
	repeats := e.Every != (fault.Range{})
	switch {
	case e.Every.Min < 0, repeats && e.Every.Min < time.Millisecond:
		b.fail(place("every"), "write every: 5s", "every: expected at least 1ms")
	case v.get("every") != nil && !repeats:
		b.fail(place("every"), "write every: 5s", "every: expected at least 1ms")
	case v.get("times") != nil && e.Times < 1:
		b.fail(place("times"), "write 1 or more", "times: expected at least 1, found %d", e.Times)
	case e.Times > StepsMax:
		b.fail(place("times"), "make it less often", "times: expected at most %d, found %d", StepsMax, e.Times)
	case e.Times > 1 && !repeats:
		b.fail(place("times"), "add every: 5s", "times without every")
	case v.get("number") != nil && e.action == nil:
		b.fail(place("number"), "remove number", "%s has no number: only actions have", e.Verb)
	case v.get("label") != nil && !nameForm.MatchString(e.Label):
		b.fail(place("label"), "write lower-case words joined by -, such as cut-off", "label: %s is not a name", quote(e.Label))
	case v.get("label") != nil && (e.verb == nil || e.verb.lasts == never):
		b.fail(place("label"), "remove label", "%s takes no label: it does not last", e.Verb)
	case v.get("until") != nil && !repeats:
		b.fail(place("until"), "add every: 5s; for says how long a fault lasts", "until without every")
	case v.get("for") != nil && e.verb == nil:
		b.fail(place("for"), "remove for", "%s takes no duration", e.Verb)
	case v.get("for") != nil && e.verb.lasts == never:
		b.fail(place("for"), "remove for", "%s takes no duration: it is over at once", e.Verb)
	case v.get("for") != nil && e.restartsItself():
		b.fail(place("for"), "keep one of them", "both for and restart-after")
	case v.get("for") != nil && e.For.Min <= 0:
		b.fail(place("for"), "write for: 30s", "for: expected more than zero")
	case end > 0 && e.At.Max > end:
		b.fail(place("at"), "make it earlier, or lengthen duration", "%s happens at %s, after the end of the scenario (%s)", e.Verb, e.At.Max, end)
	case end > 0 && e.Until > end:
		b.fail(place("until"), "lengthen duration", "until: %s is after the end of the scenario (%s)", e.Until, end)
	case end > 0 && e.Times > 1 && e.last() > end:
		b.fail(place("times"), "make it less often, or lengthen duration",
			"the last of %d times is at %s, after the end of the scenario (%s)", e.Times, e.last(), end)
	}
}

func (e *Entry) restartsItself() bool {
	p, ok := e.params.(*crashParams)
	return ok && p.RestartAfter.Max > 0
}

// last is when the last of a fixed number of occurrences may happen.
func (e *Entry) last() time.Duration {
	return e.At.Max + time.Duration(e.Times-1)*e.Every.Max
}

// count bounds how often the entry happens, plans unfolded.
func (e *Entry) count(duration time.Duration, r *roster) int {
	n := max(e.Times, 1)
	if e.Every.Min > 0 && e.Times == 0 {
		n = int(min(1+(duration-e.At.Min)/e.Every.Min, StepsMax+1))
	}
	if e.verb != nil && e.verb.steps != nil {
		n *= min(e.verb.steps(e.params, e.length(duration), r), StepsMax+1)
	}
	return min(n, StepsMax+1)
}

// length is the longest that a fault of the entry goes on.
func (e *Entry) length(duration time.Duration) time.Duration {
	if e.For.Max > 0 {
		return min(e.For.Max, duration)
	}
	return max(duration-e.At.Min, 0)
}

func (b *builder) entryVerb(e *Entry, word entry) {
	name := word.key.text
	e.Verb, e.source = name, word.value
	for i := range verbs {
		if verbs[i].name == name {
			e.verb = &verbs[i]
			before := len(b.stateful)
			e.params = b.verbParams(e.verb, word)
			e.late = len(b.stateful) > before
			return
		}
	}
	for i := range b.words.Actions {
		if b.words.Actions[i].Name == name {
			e.action = &b.words.Actions[i]
			before := len(b.errors)
			e.params = b.actionParams(e.action, word)
			if e.action.Attack != nil && len(b.errors) == before {
				e.by = b.attackers(e.action, word, e.params)
			}
			return
		}
	}
	if name == momentVerb {
		e.moment = b.moment(word)
		return
	}
	b.unknown(word.key, "verb or key", "in an entry of the timeline",
		append(b.verbNames(), keysOf(reflect.TypeFor[whenDoc]())...))
}

func (b *builder) actionParams(a *Action, word entry) any {
	before := len(b.errors)
	var params any
	if a.Params != nil {
		params = a.Params()
	}
	if params == nil {
		if word.value.kind != null && word.value.text != "true" {
			b.fail(word.value, "write "+a.Name+": true", "%s takes no parameters", a.Name)
		}
		return nil
	}
	b.into(word.value, reflect.ValueOf(params).Elem(), a.Name)
	if a.Validate == nil || len(b.errors) > before {
		return params
	}
	if err := a.Validate(params); err != nil {
		at := word.value
		if at.kind == null {
			at = word.key
		}
		b.fail(at, a.Name+": "+a.Doc, "%s: %v", a.Name, err)
	}
	return params
}

// verbNames are the verbs of the timeline.
func (b *builder) verbNames() []string {
	var out []string
	for _, a := range b.words.Actions {
		out = append(out, a.Name)
	}
	for _, v := range verbs {
		out = append(out, v.name)
	}
	return append(out, momentVerb)
}

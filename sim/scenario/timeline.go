package scenario

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/fault"
)

// whenDoc are the keys of an entry beside its verb.
type whenDoc struct {
	At     *fault.Range  `yaml:"at" example:"{at: 10s..20s, crash: core-1, for: 5s}" doc:"when, counted from the start; a range is drawn from"`
	After  *fault.Range  `yaml:"after" example:"{after: 5s, start: core-1}" doc:"when, counted from the entry before this one"`
	Every  fault.Range   `yaml:"every" example:"{at: 5s, every: 2s..4s, until: 1m, push: {project: hello}}" zero:"no" doc:"happens again, this much later"`
	Times  int           `yaml:"times" example:"{at: 5s, every: 2s, times: 20, push: {project: hello}}" range:"1..200000" doc:"how often in all, with every"`
	Until  time.Duration `yaml:"until" example:"{at: 5s, every: 2s, until: 1m, push: {project: hello}}" zero:"no" doc:"end of an entry with every; default: the scenario's"`
	For    fault.Range   `yaml:"for" example:"{at: 10s, pause: core-1, for: 5s..9s}" doc:"how long a fault lasts; default: until the world is healed"`
	Jitter fault.Range   `yaml:"jitter" example:"{at: 5s, every: 10s, times: 4, jitter: 0s..500ms, push: {project: hello}}" zero:"no" doc:"delays each occurrence by a draw of its own"`
	Number int           `yaml:"number" example:"{at: 5s, number: 7, push: {project: hello, branch: 'b-{n}'}}" range:"0..1000000000" doc:"the number of its first occurrence, which {n} stands for; default 0"`
	Label  string        `yaml:"label" example:"{at: 10s, isolate: core-1, for: 20s, label: cut-off}" doc:"of a fault that lasts: what during: LABEL of a figure calls it"`
	About  string        `yaml:"about" example:"{at: 10s, crash: core-1, about: while it has the first push}" doc:"a remark for people"`
}

func (b *builder) timeline(items []raw) {
	steps := 0
	for _, item := range items {
		e, ok := b.entry(item.value)
		if !ok {
			b.scenario.Timeline = append(b.scenario.Timeline, e)
			continue
		}
		before := steps
		if steps += e.count(b.scenario.Duration, b.scenario.roster); before <= StepsMax && steps > StepsMax {
			b.fail(item.value, "make it less often", "the timeline has more than %d events", StepsMax)
		}
		b.scenario.Timeline = append(b.scenario.Timeline, e)
	}
	for i := range b.scenario.Timeline {
		if e := &b.scenario.Timeline[i]; e.moment != nil {
			b.checkMoment(e)
		}
	}
}

// entry reads one entry of the timeline; not ok means that it has errors.
func (b *builder) entry(v *value) (Entry, bool) {
	if v.kind != mapping {
		b.fail(v, "write {at: 10s, crash: core-1}", "timeline: expected an entry, found %s", v)
		return Entry{}, false
	}
	errorsBefore := b.failures
	when := whenDoc{}
	times, verbs, unclear := b.keysOfEntry(v)
	if len(times.entries) > 0 {
		b.into(times, reflect.ValueOf(&when).Elem(), "an entry")
	}
	timesAreGood := b.failures == errorsBefore
	e := Entry{Line: v.line, About: when.About, Label: when.Label, Every: when.Every, Times: when.Times, Until: when.Until, For: when.For, Jitter: when.Jitter, first: when.Number}
	for _, word := range verbs {
		b.entryVerb(&e, word)
	}
	switch {
	case len(verbs) == 0 && !unclear:
		b.fail(v, "add one of: "+list(b.verbNames()), "an entry of the timeline that does nothing")
	case len(verbs) > 1:
		b.fail(verbs[1].key, "write an entry for each", "an entry of the timeline with two verbs, %s and %s", verbs[0].key, verbs[1].key)
	}
	b.entryStart(&e, v, &when)
	if len(verbs) == 1 {
		b.checkVerbTimes(&e, v)
	}
	if timesAreGood {
		b.checkTimes(&e, v)
	}
	if b.failures == errorsBefore {
		b.checkSpan(&e)
	}
	return e, b.failures == errorsBefore
}

// keysOfEntry are those that say when, and the verbs. A key that is misspelt counts as
// what it was meant to be; unclear says that of one nobody can tell.
func (b *builder) keysOfEntry(v *value) (times *value, verbs []entry, unclear bool) {
	whenKeys := keysOf(reflect.TypeFor[whenDoc]())
	words := append(b.verbNames(), whenKeys...)
	times = &value{kind: mapping, line: v.line, col: v.col}
	for _, e := range v.entries {
		if !slices.Contains(words, e.key.text) {
			b.unknown(e.key, "verb or key", "in an entry of the timeline", words)
			meant, clear := misspelt(e.key.text, words)
			if !clear || v.get(meant) != nil {
				unclear = true
				continue
			}
			e.key.text = meant
		}
		if slices.Contains(whenKeys, e.key.text) {
			times.entries = append(times.entries, e)
			continue
		}
		verbs = append(verbs, e)
	}
	return times, verbs, unclear
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
			before := b.failures
			stateful := len(b.stateful)
			if e.action.Attack == nil {
				word = b.askedCloud(e, word)
			}
			word = b.askedNodes(e, word)
			if e.action.Attack == nil && b.failures == before {
				b.checkAskedCloud(e, word)
			}
			e.late = len(b.stateful) > stateful
			e.params = b.actionParams(e.action, word)
			if e.action.Attack != nil && b.failures == before && !b.scenario.roster.unknown() {
				e.by = b.attackers(e.action, word, e.params)
			}
			return
		}
	}
	if name == momentVerb {
		e.moment = b.moment(word)
		return
	}
}

func (b *builder) actionParams(a *Action, word entry) any {
	before := b.failures
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
	if word.value.kind != mapping || len(word.value.entries) > 0 { // {} is all defaults
		b.into(word.value, reflect.ValueOf(params).Elem(), a.Name)
	}
	if a.Validate == nil || b.failures > before {
		return params
	}
	if err := a.Validate(params); err != nil {
		b.invalid(a, word, err)
	}
	return params
}

// invalid reports what an action says of its parameters: at the key that it is about, if it
// names one.
func (b *builder) invalid(a *Action, word entry, err error) {
	at, hint := word.value, a.Name+": "+a.Doc
	if at.kind == null {
		at = word.key
	}
	if one := new(node.SettingError); errors.As(err, &one) {
		b.fail(at.place(one.Key), cmp.Or(one.Hint, hint), "%s: %s: %s", a.Name, one.Key, one.What)
		return
	}
	b.fail(at, hint, "%s: %v", a.Name, err)
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

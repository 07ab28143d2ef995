package scenario

import (
	"reflect"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// verb is a word of the timeline that is a fault, or the end of one.
type verb struct {
	name, doc, example string
	lasts              lasting
	params             func() any
	// short turns a short form into a mapping of the verb's own keys.
	short func(*value) *value
	// steps bounds into how many faults it unfolds in length; nil is one.
	steps func(params any, length time.Duration, r *roster) int
	// span bounds how long after its begin the last of a fixed number of faults begins; nil: all
	// begin at once, or are spread over the time that there is.
	span func(params any, r *roster) time.Duration
	// earliest is how long after its begin the first fault of a plan happens at the soonest; nil: at once.
	earliest func(params any) time.Duration
	// faults is one occurrence, At counted from it. length is the entry's for,
	// drawn, zero if it has none; rest is the time to the end.
	faults func(params any, o occurrence) []fault.Timed
}

// lasting is the meaning of "for" for a verb.
type lasting uint8

const (
	never lasting = iota // the verb takes no for
	until                // the fault ends after it
	over                 // the faults are spread over it
)

// occurrence is one occurrence of an entry.
type occurrence struct {
	roster *roster
	draw   fault.Draw
	length time.Duration // the entry's for; zero if it has none
	rest   time.Duration // to the end of the scenario
}

// one is a single fault with the entry's length.
func (o occurrence) one(f fault.Fault) []fault.Timed {
	return []fault.Timed{{For: o.length, Fault: f}}
}

// total is how long a plan goes on.
func (o occurrence) total() time.Duration {
	if o.length > 0 {
		return min(o.length, o.rest)
	}
	return o.rest
}

func (o occurrence) nodes(s *Selector) []string { return s.nodes(o.roster, o.draw.Fork("on")) }

// checks is implemented by params with checks beyond those of single keys.
type checks interface {
	check(d *decoder, at *value, r *roster)
}

func (b *builder) verbParams(v *verb, word entry) any {
	before, kept := b.failures, len(b.errors) // what is said twice is kept once
	params := v.params()
	keys := keysOf(reflect.TypeOf(params).Elem())
	at := normal(v, word, keys, append(b.stateKeys(), selectorKeys...))
	if len(at.entries) == 0 && len(keys) > 0 {
		b.fail(word.value, "write "+v.example, "%s: expected parameters, found %s", v.name, word.value)
		return params
	}
	b.into(at, reflect.ValueOf(params).Elem(), v.name)
	if c, ok := params.(checks); ok && b.failures == before {
		c.check(b.decoder, at, b.scenario.roster)
	}
	for _, e := range b.errors[kept:] {
		if e.Hint == "" {
			e.Hint = "for example " + v.example
		}
	}
	return params
}

// normal is a verb's value as a mapping of the verb's own keys: a short form is
// spelt out, and keys that select nodes become the value of "on".
func normal(v *verb, word entry, keys, selectors []string) *value {
	in := word.value
	if in.kind != mapping {
		if in.kind == null || v.short == nil {
			return &value{kind: mapping, line: in.line, col: in.col}
		}
		return v.short(in)
	}
	if !slices.Contains(keys, "on") {
		return in
	}
	out := &value{kind: mapping, line: in.line, col: in.col}
	on := &value{kind: mapping, line: in.line, col: in.col}
	for _, e := range in.entries {
		if slices.Contains(selectors, e.key.text) && !slices.Contains(keys, e.key.text) {
			if len(on.entries) == 0 {
				on.line, on.col = e.key.line, e.key.col
				out.entries = append(out.entries, entry{key: keyAt("on", e.key), value: on})
			}
			on.entries = append(on.entries, e)
			continue
		}
		out.entries = append(out.entries, e)
	}
	return out
}

func keyAt(text string, at *value) *value {
	return &value{kind: scalar, line: at.line, col: at.col, text: text}
}

// shortFor makes a short form stand for one key.
func shortFor(key string) func(*value) *value {
	return func(v *value) *value {
		return &value{kind: mapping, line: v.line, col: v.col, entries: []entry{{key: keyAt(key, v), value: v}}}
	}
}

// shortLinks: a list is two sides, a word is all links of nodes.
func shortLinks(v *value) *value {
	if v.kind == sequence {
		return shortFor("between")(v)
	}
	return shortFor("on")(v)
}

// checkOn checks a selector that must be given.
func checkOn(d *decoder, s *Selector, at *value, r *roster) {
	if s == nil {
		d.fail(at, "", "on is missing: expected nodes")
		return
	}
	s.check(d, r)
}

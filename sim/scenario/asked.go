package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// toKey is the key of every action of users that asks a service: to: NODES are the only ones
// that are asked, in the order in which the user's client would ask them.
const toKey = "to"

// toDoc documents it.
func toDoc(service string) Key {
	return Key{Name: toKey, Type: "nodes", Doc: fmt.Sprintf("the only nodes that are asked, of those that run %s; selected anew each time. Default: any that runs it, the next one when one does not answer", service)}
}

// askedNodes reads whom an action asks, and returns its word without that key.
func (b *builder) askedNodes(e *Entry, word entry) entry {
	a, r := e.action, b.scenario.roster
	if a.Service == "" {
		return word
	}
	if !r.unknown() && !b.runsAny([]string{a.Service}) {
		b.fail(word.key, "add it to the services of a group, or remove the entry", "%s: no node runs %s", a.Name, a.Service)
	}
	at := word.value.get(toKey)
	if at == nil {
		return word
	}
	before := b.failures
	e.to = new(Selector)
	e.to.decode(b.decoder, at)
	if b.failures == before {
		e.to.check(b.decoder, r)
	}
	if b.failures == before && !r.unknown() {
		e.to.checkRuns(b.decoder, r, a.Service, a.Name)
	}
	return entry{key: word.key, value: word.value.without(toKey)}
}

// asks is an occurrence of an action.
func (s *Scenario) asks(entry, n int, key string, at time.Duration, draw fault.Draw) Step {
	e := &s.Timeline[entry]
	step := Step{At: at, Key: key, Entry: entry, Action: e.action, Params: e.params, Cloud: e.cloud, By: e.by, N: e.first + n}
	if e.to == nil {
		return step
	}
	to := func(r *roster) []Step {
		one := step
		one.To = append([]string{}, e.to.nodes(r, draw.Fork("to"))...)
		return []Step{one}
	}
	if !e.late {
		return to(s.roster)[0]
	}
	return Step{At: at, Key: key, Entry: entry, N: n,
		Late: func(state State) ([]Step, [][]string) {
			r, chosen := s.roster.atRun(state)
			steps := to(r)
			return steps, *chosen
		},
		again: func(chosen [][]string) []Step { return to(s.roster.again(chosen)) },
	}
}

// action is an action as an entry of a timeline has it. any is false if nobody of those whom it
// asks is there any more.
func (f *Fixed) action(s Step) (word string, any bool) {
	e := &f.of.Timeline[s.Entry]
	there := s.Action == nil || s.Action.Attack != nil || slices.Contains(f.clients(), f.of.ClientOf(s.Cloud))
	if s.To == nil {
		return e.Verb + ": " + e.source.yaml(), there
	}
	to := f.there(s.To)
	rest := e.source.without(toKey)
	parts := []string{toKey + ": " + flow(to)}
	for _, one := range rest.entries {
		parts = append(parts, one.key.yaml()+": "+one.value.yaml())
	}
	return e.Verb + ": " + mappingOf(parts), there && len(to) > 0
}

// Package attack are the words about those that are not well-meaning: strangers, and members that
// are trusted with some services and do harm. What they do they do over the wire, as programs
// of their own would: no service knows of them.
//
// Attacks are drawn from the node's seed and bounded, so that a story with them stays cheap. What they
// must not achieve is said by this package's checks, and by those of what they attack.
package attack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// params is what an attack in a timeline may say.
type params struct {
	By      string `yaml:"by" range:"1..63" doc:"the attackers: a node, a group or a glob"`
	Do      string `yaml:"do" range:"1..63" doc:"what they do, see above"`
	On      string `yaml:"on" range:"1..63" doc:"to whom: one node, or all that run a service; default: all that it can be done to"`
	Project string `yaml:"project" range:"1..256" doc:"what they are after"`
	Branch  string `yaml:"branch" range:"1..256" doc:"what they are after"`
	Count   int    `yaml:"count" range:"1..5000" doc:"how much of it: messages, conns, streams or objects for each node"`
}

// one is an attack under way.
type one struct {
	scenario.Attacker
	params
	n int
}

// kinds are what can be done, by the word for it.
var kinds = map[string]struct {
	doc string
	do  func(ctx context.Context, a *one) error
}{
	"knock":        {"call every method, send every note, publish on every topic and open every stream that there is", knock},
	"garbage":      {"conns on which come frames of random bytes, of unknown types, of zeros, messages that never end, calls of nothing", garbage},
	"half-open":    {"conns whose opener says nothing, or half of a hello, and stays", halfOpen},
	"loiter":       {"conns whose opener says hello, and nothing else", loiter},
	"crowd":        {"conns, each with many streams and calls", crowd},
	"read-nothing": {"ask for what is long, and take none of it", readNothing},
	"beacons":      {"say to seers that others live, have left or offer what they do not", beacons},
	"publish":      {"publish versions of a branch without a lock: as oneself and as others, of jobs that there are and of others, of the highest orders", publish},
	"fence":        {"fence all jobs of a branch off, up to the highest attempt", fence},
	"finish":       {"report successes and failures of jobs that others hold or nobody does, as oneself and as them", finish},
	"renew":        {"renew others' leases, and claim in their names", renew},
	"ghosts":       {"offer jobs to monkeys that do not exist", ghosts},
	"delete":       {"join the replicated stores and delete all that is in them", deleteAll},
	"hearsay":      {"as a seer, name the members of other clouds to whoever asks", hearsay},
	"claim-copies": {"claim copies of all items, confirm them when asked, and have none", claimCopies},
}

// Actions are what attackers do.
func Actions() []scenario.Action {
	var doc strings.Builder
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&doc, "; %s: %s", name, kinds[name].doc)
	}
	return []scenario.Action{{
		Name: "attack", Example: "attack: {by: mallory, do: knock, on: core-1}",
		Doc:    "strangers or bad members do what hostile programs would" + doc.String(),
		Params: func() any { return &params{Project: "hello", Branch: "main", Count: 20} },
		Validate: func(p any) error {
			if do := p.(*params).Do; kinds[do].do == nil {
				return fmt.Errorf("do: %q is no attack; there are %s", do, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
			}
			return nil
		},
		By: func(p any) string { return p.(*params).By },
		Attack: func(ctx context.Context, by scenario.Attacker, p any, n int) error {
			a := &one{Attacker: by, params: *p.(*params), n: n}
			env := a.env()
			env.Observe("attack-begun", node.F("what", a.Do))
			return kinds[a.Do].do(ctx, a)
		},
	}}
}

// Figures describe those of this package's checks.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "attacks", Unit: "attacks", Doc: "attacks that were begun, one for each attacker"},
		{Name: "attacks.conns.max", Unit: "conns", Doc: "the most conns of their own that attackers have had to one node at once"},
		{Name: "attacks.conns.longest", Unit: "seconds", Doc: "the longest that such a conn has lasted; those that go on are not counted"},
	}
}

// env is that of what the attacker pretends to run first.
func (a *one) env() node.Env { return a.Env("") }

// on are the targets that run a service, as far as the scenario wants them.
func (a *one) on(service string) (list []scenario.Target) {
	for _, t := range a.Offering(service) {
		if a.On == "" || t.Name == a.On || slices.Contains(t.Services, a.On) {
			list = append(list, t)
		}
	}
	return list
}

// standing is what the attacker may do.
func (a *one) standing() (member bool, grants transport.Grants) {
	for _, service := range slices.Sorted(maps.Keys(a.Envs)) {
		if service != scenario.Stranger {
			member, grants.Services = true, append(grants.Services, service)
		}
	}
	return member, grants
}

// once reports whether something is to be done that a node does once in its life, as to register a method.
func (a *one) once(what string) bool {
	_, done := a.Memory[what]
	if !done {
		a.Memory[what] = true
	}
	return !done
}

// tryFor bounds one call of an attack.
const tryFor = 2 * time.Second

// call is a call whose answer is of interest, within tryFor.
func call[Req, Resp any](ctx context.Context, a *one, m transport.Method[Req, Resp], to transport.Peer, req Req) (Resp, error) {
	ctx, cancel := clock.WithTimeout(ctx, a.env().Loop, tryFor)
	defer cancel()
	return m.Call(ctx, a.env().Wire, to, req)
}

// apart runs f as a task of its own: attackers do not wait for each other's answers.
func (a *one) apart(f func(ctx context.Context)) { a.env().Loop.Go("attack", f) }

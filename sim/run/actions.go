package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// actions run the workload on the client: a node outside of the cloud, which
// runs no service and is not in the directory.
type actions struct {
	client  node.Env // of its current incarnation
	up      bool
	waiting []scenario.Step // for the client's first start
	// auditors run all the time; healed: also those of the time after healing.
	auditors []scenario.Auditing
	healed   bool
	// peerOf is the peer of a node.
	peerOf func(node string) transport.Peer

	counts []actionCount  // by name, in the order in which they first began
	errors map[string]int // by text
}

// actionCount counts the results of the actions of one name.
type actionCount struct {
	name                string
	begun, done, failed int
}

// count returns the counts of a name.
func (a *actions) count(name string) *actionCount {
	i := slices.IndexFunc(a.counts, func(c actionCount) bool { return c.name == name })
	if i < 0 {
		i = len(a.counts)
		a.counts = append(a.counts, actionCount{name: name})
	}
	return &a.counts[i]
}

// total adds up all names.
func (a *actions) total() (t actionCount) {
	for _, c := range a.counts {
		t.begun += c.begun
		t.done += c.done
		t.failed += c.failed
	}
	return t
}

// errorTextsMax bounds how many different errors of actions are kept.
const errorTextsMax = 100

// node is the client.
func (a *actions) node(granted []string) sim.NodeConfig {
	spec := node.Spec{
		Name:     scenario.Client,
		Settings: func() any { return nil },
		New: func(env node.Env, _ any) (node.Service, error) {
			return &client{actions: a, env: env}, nil
		},
	}
	return sim.NodeConfig{Name: scenario.Client, Services: []node.Configured{{Spec: spec}}, Listed: []string{}, Granted: granted}
}

// client is the only service of the client; it hands its Env to the actions.
type client struct {
	actions *actions
	env     node.Env
}

// Start implements node.Service.
func (c *client) Start(context.Context) error {
	a := c.actions
	a.client, a.up = c.env, true
	a.audit(check.During)
	if a.healed {
		a.audit(check.AfterHeal)
	}
	waiting := a.waiting
	a.waiting = nil
	for _, s := range waiting {
		a.begin(s)
	}
	return nil
}

// Stop implements node.Service.
func (c *client) Stop(context.Context) error { return nil }

// heal starts the auditors of the time after healing.
func (a *actions) heal() {
	a.healed = true
	if a.up {
		a.audit(check.AfterHeal)
	}
}

func (a *actions) audit(part check.Part) {
	env := a.client
	for _, auditor := range a.auditors {
		env.Loop.Go("audit", func(ctx context.Context) { auditor.Audit(ctx, env, part) })
	}
}

// run begins one occurrence. It may wait for the client to boot.
func (a *actions) run(s scenario.Step) {
	a.count(s.Action.Name).begun++
	if !a.up {
		a.waiting = append(a.waiting, s)
		return
	}
	a.begin(s)
}

func (a *actions) begin(s scenario.Step) {
	env := a.client
	env.Loop.Go(fmt.Sprintf("%s %d", s.Action.Name, s.N), func(ctx context.Context) {
		if s.To != nil {
			var peers []transport.Peer
			for _, name := range s.To {
				peers = append(peers, a.peerOf(name))
			}
			ctx = ask.Only(ctx, peers)
		}
		err := s.Action.Run(ctx, env, s.Params, s.N)
		switch {
		case err == nil:
			a.count(s.Action.Name).done++
		case errors.Is(err, clock.ErrStopped) && ctx.Err() != nil:
			// the run is over, or the client crashed: unfinished
		default:
			a.count(s.Action.Name).failed++
			a.note(s.Action.Name + ": " + err.Error())
		}
	})
}

func (a *actions) note(text string) {
	if a.errors == nil {
		a.errors = map[string]int{}
	}
	if _, known := a.errors[text]; known || len(a.errors) < errorTextsMax {
		a.errors[text]++
	}
}

// notesMax is how many different errors a report shows.
const notesMax = 5

func (a *actions) notes() (out []string) {
	texts := slices.Sorted(maps.Keys(a.errors))
	slices.SortStableFunc(texts, func(x, y string) int { return a.errors[y] - a.errors[x] })
	for _, text := range texts[:min(len(texts), notesMax)] {
		out = append(out, fmt.Sprintf("%d actions failed: %s", a.errors[text], text))
	}
	return out
}

// exercised lists what happened in the run.
func (r *runner) exercised() report.Exercised {
	out := report.Exercised{Failpoints: fail.Hits(), Passed: fail.Passed(), Marks: sometimes.Hits(), Moments: r.coverage.moments, Attacks: r.attackers.counts}
	for _, c := range r.actions.counts {
		out.Actions = append(out.Actions, report.Action{Name: c.name, Done: c.done, Failed: c.failed, Unfinished: c.begun - c.done - c.failed})
	}
	for _, f := range r.faults {
		if f.WithoutEffect {
			out.WithoutEffect++
		}
	}
	return out
}

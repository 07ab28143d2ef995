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

// actions run the workload on clients: a node outside of each cloud, which
// runs no service and is not in the directory.
type actions struct {
	clients []*client // in the order of the scenario's clouds
	// healed: the auditors of the time after healing run, too.
	healed bool
	// peerOf is the peer of a node.
	peerOf func(node string) transport.Peer
	// world is where they act.
	world World
	// custody is that of a cloud.
	custody func(cloud string) *scenario.Custody

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

// client is the node of a cloud on which its users act.
type client struct {
	actions *actions
	name    string
	cloud   string
	env     node.Env // of its current incarnation
	up      bool
	waiting []scenario.Step // for its first start
	// auditors run all the time.
	auditors []scenario.Auditing
}

// add makes the client of a cloud.
func (a *actions) add(name, cloud string, auditors []scenario.Auditor) *client {
	c := &client{actions: a, name: name, cloud: cloud}
	for _, auditor := range auditors {
		c.auditors = append(c.auditors, auditor.New())
	}
	a.clients = append(a.clients, c)
	return c
}

// node is that of a client, which may do what is granted; agents run on it.
func (c *client) node(granted []string, agents []node.Spec) sim.NodeConfig {
	spec := node.Spec{
		Name:     scenario.Client,
		Settings: func() any { return nil },
		New: func(env node.Env, _ any) (node.Service, error) {
			return &clientService{client: c, env: env}, nil
		},
	}
	services := []node.Configured{{Spec: spec}}
	for _, agent := range agents {
		services = append(services, node.Configured{Spec: agent})
	}
	return sim.NodeConfig{Name: c.name, Cloud: c.cloud, Services: services, Listed: []string{}, Granted: granted}
}

// clientService is what a client runs; it hands its Env to the actions.
type clientService struct {
	client *client
	env    node.Env
}

// Start implements node.Service.
func (s *clientService) Start(context.Context) error {
	c := s.client
	c.env, c.up = s.env, true
	c.audit(check.During)
	if c.actions.healed {
		c.audit(check.AfterHeal)
	}
	waiting := c.waiting
	c.waiting = nil
	for _, s := range waiting {
		c.begin(s)
	}
	return nil
}

// Stop implements node.Service.
func (s *clientService) Stop(context.Context) error { return nil }

// hear passes a fact of a cloud on to its auditors; of nobody's, to all.
func (a *actions) hear(f check.Fact, cloud string, known bool) {
	for _, c := range a.clients {
		if known && c.cloud != cloud {
			continue
		}
		if len(c.auditors) > 0 {
			a.world.Inside(c.name, func() {
				for _, auditor := range c.auditors {
					auditor.Hear(f)
				}
			})
		}
	}
}

// heal starts the auditors of the time after healing.
func (a *actions) heal() {
	a.healed = true
	for _, c := range a.clients {
		if c.up {
			c.audit(check.AfterHeal)
		}
	}
}

func (c *client) audit(part check.Part) {
	env := c.env
	for _, auditor := range c.auditors {
		env.Loop.Go("audit", func(ctx context.Context) { auditor.Audit(ctx, env, part) })
	}
}

// run begins one occurrence. It may wait for the client to boot.
func (a *actions) run(s scenario.Step) {
	a.count(s.Action.Name).begun++
	c := a.clients[slices.IndexFunc(a.clients, func(c *client) bool { return c.cloud == s.Cloud })]
	if !c.up {
		c.waiting = append(c.waiting, s)
		return
	}
	c.begin(s)
}

func (c *client) begin(s scenario.Step) {
	env, a := c.env, c.actions
	env.Loop.Go(fmt.Sprintf("%s %d", s.Action.Name, s.N), func(ctx context.Context) {
		ctx = scenario.WithCustody(ctx, a.custody(c.cloud))
		if s.To != nil {
			var peers []transport.Peer
			for _, name := range s.To {
				peers = append(peers, a.peerOf(name))
			}
			ctx = ask.Only(ctx, peers)
		}
		err := s.Action.Run(ctx, env, s.Params, s.N)
		if errors.Is(err, clock.ErrStopped) && ctx.Err() != nil {
			return // the run is over, or the client crashed: unfinished
		}
		a.world.Between(func() { a.ended(s.Action.Name, err) })
	})
}

// ended notes what came of an action.
func (a *actions) ended(name string, err error) {
	if err == nil {
		a.count(name).done++
		return
	}
	a.count(name).failed++
	a.note(name + ": " + err.Error())
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
	out := report.Exercised{Failpoints: r.failpoints(), Passed: fail.Passed(), Marks: sometimes.Hits(), Moments: r.coverage.moments, Attacks: r.attackers.counts}
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

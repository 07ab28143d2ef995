// Package run carries out a scenario: it builds the world, carries out the timeline, runs the
// checkers, heals everything and checks recovery. It knows no service.
package run

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// Options says how to run a scenario.
type Options struct {
	// Seed and Wire usually are the scenario's own.
	Seed uint64
	Wire string
	// Strict: an expectation that nothing was judged for fails the run.
	Strict bool
	// Trace receives one JSON line per event; nil for none.
	Trace io.Writer
	// Progress is called now and then; nil for never.
	Progress func(virtual time.Duration, events uint64)
	// StallTimeout is the real time without an event after which the run is given
	// up; 0 is a minute.
	StallTimeout time.Duration
	// Stuck is called with the result of a run after which the process cannot go on, and must end
	// it (see sim.Config). nil prints all goroutines.
	Stuck func(report.Result)
	// Refuse says why a fault or an action cannot be had in a world of real processes, "" if it can: what is refused is left out.
	Refuse func(s scenario.Step) string
	// Perturb, if not 0, disturbs goroutines in real time (see sim.Config).
	Perturb uint64
}

// Of returns the options that the scenario itself asks for.
func Of(s *scenario.Scenario) Options { return Options{Seed: s.Seed, Wire: s.Wire} }

// stallTimeout is real time in which nothing happens.
const stallTimeout = time.Minute

// Run carries out a scenario. Failures in the world are part of the result; there is no other kind
// of error. Runs share the failpoints of the process, so only one may go on at a time.
func Run(s *scenario.Scenario, words scenario.Vocabulary, o Options) report.Result {
	r := newRunner(s, words, o, false)
	outcome, err := sim.Run(sim.Config{
		Seed:     o.Seed,
		Wire:     sim.WireKind(o.Wire),
		Schedule: sim.Schedule{Kind: sim.ScheduleKind(s.Schedule.Kind), Depth: s.Schedule.Depth, Delays: s.Schedule.Delays, Steps: s.Schedule.Steps},
		Network:  sim.Network{Default: s.Network.Default, Of: s.Network.Shape},
		Trace:    o.Trace,
		Scenario: s.Name,
		Progress: o.Progress,
		Perturb:  o.Perturb,
		// a machine that is busy otherwise is no reason to give up
		StallTimeout: cmp.Or(o.StallTimeout, stallTimeout),
		Stuck:        r.stuck(),
	}, func(w *sim.World) error { return r.body(simulated{w}, o.Seed) })
	return r.result(outcome, err)
}

func newRunner(s *scenario.Scenario, words scenario.Vocabulary, o Options, live bool) *runner {
	r := &runner{scenario: s, words: words, live: live, acted: map[string]int{}, faults: []report.Fault{}, aims: aims{}, late: map[string]bool{}, outside: map[string]bool{}, cloudOf: map[string]string{}}
	for _, n := range s.Nodes {
		if n.Stranger || n.Invitation != "" || s.Astray(&n) {
			r.outside[n.Name] = true
		}
		if !n.Stranger {
			r.cloudOf[n.Name] = n.Cloud
		}
	}
	r.excluded = exclusions{since: map[string]time.Duration{}, gone: map[string]bool{}}
	for _, c := range s.Clouds {
		r.cloudOf[s.ClientOf(c)] = c
		r.actions.add(s.ClientOf(c), c, words.Auditors)
	}
	r.judges = newJudges(s, words, newEveryNodeStarts(s, func(node string) bool { return r.ledger.DiskBad(node) }), live, r.perCloud)
	r.state, r.series = newState(r), newSeries(r)
	fail.ResetHits()
	fail.CountPassed()
	sometimes.Count()
	r.began, r.options = time.Now(), o
	return r
}

// stuck makes a result of a run that the process cannot leave.
func (r *runner) stuck() func(sim.Outcome, *sim.Breakdown) {
	if r.options.Stuck == nil {
		return nil
	}
	return func(outcome sim.Outcome, b *sim.Breakdown) { r.options.Stuck(r.result(outcome, b)) }
}

// result is the run's result; failure is how it ended.
func (r *runner) result(outcome sim.Outcome, failure error) report.Result {
	for i, f := range r.inflicted {
		r.faults[i].WithoutEffect = !f.HadEffect()
	}
	s, o := r.scenario, r.options
	result := report.Result{
		Scenario:     s.Name,
		About:        s.About,
		Seed:         o.Seed,
		Wire:         o.Wire,
		Digest:       outcome.Digest,
		Events:       outcome.Events,
		VirtualMS:    outcome.Virtual.Milliseconds(),
		WallMS:       time.Since(r.began).Milliseconds(),
		Figures:      r.reported(),
		Faults:       r.faults,
		Replay:       fmt.Sprintf("%s sim %s --seed %d --wire %s", cmp.Or(r.words.Command, "dreamland"), s.File, o.Seed, o.Wire),
		Notes:        r.actions.notes(),
		Chosen:       r.state.chosen,
		Longest:      r.series.longest(),
		Expectations: r.expectations(failure),
		Exercised:    r.exercised(),
		Strict:       o.Strict,
	}
	if b := (*sim.Breakdown)(nil); errors.As(failure, &b) {
		result.Breakdown = &report.Breakdown{Kind: b.Kind, Node: b.Node, Service: b.Service, Task: b.Task, AtMS: b.At.Milliseconds(), What: b.What, Stack: b.Stack}
	}
	if o.Strict {
		result.Replay += " --strict"
	}
	result.Judge()
	return result
}

// runner is one run.
type runner struct {
	scenario  *scenario.Scenario
	options   Options
	began     time.Time
	world     World
	ledger    *fault.Ledger
	judges    *judges
	actions   actions
	attackers attackers
	faults    []report.Fault
	// inflicted are the same, as the ledger knows them.
	inflicted []*fault.Inflicted

	moments moments
	state   state
	beliefs beliefs
	series  series
	words   scenario.Vocabulary
	// live: the world is one of real processes, of which less can be observed.
	live bool
	// acted counts failpoints by the facts that nodes report.
	acted map[string]int
	// measured is the figures measured at the end.
	measured map[string]float64
	// late are the bounds with a time that have not come true in it.
	late map[string]bool
	// outside are nodes that are no part of a cloud: strangers, those that are to come by an invitation and
	// have not yet, and those that were told of another cloud's nodes only.
	outside map[string]bool
	// cloudOf is the cloud of each node and client.
	cloudOf map[string]string

	coverage coverage
	aims     aims
	excluded exclusions

	healedAt  time.Duration
	settledAt time.Duration // zero: not (yet)
}

// errViolated ends a run early; what was violated is with the judges.
var errViolated = errors.New("run: an expectation failed")

func (r *runner) body(w World, seed uint64) error {
	r.world = w
	if err := r.addNodes(); err != nil {
		return err
	}
	defer r.ledger.DisableFailpoints() // here, because a bubble's channels die with it
	w.OnFact(r.hear)
	w.OnDelivery(r.deliver)
	steps := r.scenario.Plan(seed)
	asked := r.moments.plan(steps, r.judges)
	for i := range steps {
		step := &steps[i]
		if a := asked[step]; a != nil {
			w.At(step.At, "expect", func() { r.moments.open = append(r.moments.open, a) })
			continue
		}
		w.At(step.At, stepLabel(*step), func() { r.step(*step) })
	}
	defer func() {
		r.measured = r.measure()
		r.beliefs.ask(r.world, r.view(), r.words.Beliefs, nil)
	}()
	if err := r.runUntil(r.scenario.Duration); err != nil {
		return err
	}
	w.After(0, "heal everything", func() {
		r.ledger.Heal()
		r.actions.heal()
	})
	r.healedAt = w.Now()
	return r.settle()
}

// addNodes adds all nodes and boots those that are there from the start.
func (r *runner) addNodes() error {
	w := r.world
	r.ledger = fault.NewLedger(w)
	r.attackers = attackers{world: w, lives: map[string]*hostileLife{}, cloudOf: r.cloudOf}
	for _, n := range r.scenario.Nodes {
		cfg := sim.NodeConfig{Name: n.Name, Services: n.Services, Later: n.Later}
		if n.Hostile() {
			cfg = r.hostileNode(n)
		}
		cfg.Contacts, cfg.Cloud, cfg.Invited = n.Contacts, n.Cloud, n.Invitation != ""
		cfg.Astray = r.scenario.Astray(&n)
		cfg.Certified = sim.Certified{Services: n.Certificate.Services, Lifetime: n.Certificate.Lifetime}
		if slices.ContainsFunc(cfg.Services, func(c node.Configured) bool { return c.Spec.Name == r.words.Issuer }) {
			cfg.Issues = r.grantable()
		}
		if err := w.AddNode(cfg); err != nil {
			return err
		}
	}
	r.actions.peerOf = func(name string) transport.Peer {
		n, _ := w.Node(name)
		return n.Peer
	}
	r.actions.world, r.actions.custody = w, r.custody
	for _, c := range r.actions.clients {
		if err := w.AddNode(c.node(r.words.ClientOffers, r.clientAgents(c.cloud))); err != nil {
			return err
		}
		r.ledger.Boot(c.name)
	}
	for i, view := range w.Nodes() {
		if i < len(r.scenario.Nodes) && !r.scenario.Nodes[i].Hostile() {
			r.attackers.targets = append(r.attackers.targets, scenario.Target{
				Name: view.Name, Peer: view.Peer, Services: view.Services, Cloud: r.scenario.Nodes[i].Cloud,
				Says: func() (addressbook.Signed, bool) { return w.Says(view.Name) },
			})
		}
	}
	for _, n := range r.scenario.Nodes {
		if n.StartAt == 0 && n.Invitation == "" {
			r.ledger.Boot(n.Name)
		} else if n.Invitation == "" {
			w.At(n.StartAt, "boot "+n.Name, func() { r.ledger.Boot(n.Name) })
		}
	}
	return nil
}

// clientAgents are what a client runs beside its users, where certificates are renewed.
func (r *runner) clientAgents(cloud string) []node.Spec {
	issues := slices.ContainsFunc(r.scenario.Nodes, func(n scenario.Node) bool {
		return n.Cloud == cloud && slices.ContainsFunc(n.Services, func(c node.Configured) bool { return c.Spec.Name == r.words.Issuer })
	})
	if !issues {
		return nil
	}
	return r.words.ClientRuns
}

// grantable lists what an issuer may grant: all that nodes of the scenario's words offer.
func (r *runner) grantable() (names []string) {
	for _, spec := range slices.Concat(r.words.Services, r.words.Always) {
		names = append(names, spec.Name)
	}
	return append(names, scenario.Client)
}

// runUntil runs to a virtual time, looking at the world once a PollInterval.
func (r *runner) runUntil(end time.Duration) error {
	for now := r.world.Now(); now < end; now = r.world.Now() {
		next := (now/check.PollInterval + 1) * check.PollInterval
		if err := r.world.RunUntil(min(next, end)); err != nil {
			return err
		}
		r.believe()
		if err := r.exclude(); err != nil {
			return err
		}
		if err := r.judges.poll(r.view()); err != nil {
			return err
		}
		if len(r.moments.open) > 0 && r.moments.look(r.view(), r.figuresNow) {
			return errViolated
		}
	}
	return nil
}

func (r *runner) believe() {
	r.beliefs.look(r.world, r.view(), r.words.Beliefs, r.scenario.Duration)
}

// settle waits until everything that is expected after healing holds at two
// looks in a row.
func (r *runner) settle() error {
	deadline := r.healedAt + r.scenario.Expect.Within
	end := max(deadline, r.lastBound())
	r.judges.starts.healed = r.healedAt
	held := false
	for r.world.Now() < end || held {
		if err := r.runUntil(r.world.Now() + check.PollInterval); err != nil {
			return err
		}
		settled := r.judges.settled(r.view())
		if !settled && !held && r.world.Now() >= deadline {
			return errViolated
		}
		now := settled && r.figuresSettled() && len(r.moments.open) == 0
		if now && held {
			return nil
		}
		if held = now; held {
			r.settledAt = r.world.Now()
		}
	}
	return errViolated
}

// lastBound is when the last figure or moment that has a time of its own must
// have come true.
func (r *runner) lastBound() (end time.Duration) {
	for _, b := range r.scenario.Expect.Report {
		end = max(end, r.healedAt+b.Within)
	}
	for _, a := range r.moments.open {
		end = max(end, a.at+a.moment.Within+check.PollInterval)
	}
	return end
}

func stepLabel(s scenario.Step) string {
	if s.Late != nil {
		return "select nodes for " + s.Key
	}
	if s.Fault != nil {
		return s.Fault.String()
	}
	return fmt.Sprintf("%s %d", s.Action.Name, s.N)
}

func (r *runner) step(s scenario.Step) {
	if s.Late != nil {
		r.selectNow(s)
		return
	}
	if r.options.Refuse != nil && r.options.Refuse(s) != "" {
		return
	}
	if s.Action != nil && s.Action.Attack != nil {
		r.attackers.run(s)
		return
	}
	if s.Action != nil {
		if s.To != nil {
			r.aims.count(s.Entry, len(s.To) == 0)
		}
		r.actions.run(s)
		return
	}
	r.aimed(s)
	r.faults = append(r.faults, report.Fault{AtMS: r.world.Now().Milliseconds(), ForMS: s.For.Milliseconds(), What: s.Fault.String()})
	r.coverage.hit(s.Fault, r.view())
	f := r.ledger.Inflict(s.Fault)
	r.inflicted = append(r.inflicted, f)
	if s.Label != "" {
		r.series.labelled[s.Label] = append(r.series.labelled[s.Label], f)
	}
	if f.Lasts() && s.For > 0 && s.At+s.For < r.scenario.Duration {
		r.world.After(s.For, "end: "+s.Fault.String(), f.End)
	}
}

// hear passes a fact on to the checkers.
func (r *runner) hear(f check.Fact) {
	r.coverage.hear(f)
	if r.world.Traced() && !r.isClient(f.Node) {
		r.beliefs.hear(f)
	}
	cloud, known := r.cloudOf[f.Node]
	r.actions.hear(f, cloud, known)
	r.joined(f)
	r.state.hear(f)
	r.series.hear(f)
	if f.Name == "failpoint" {
		r.acted[f.Text("point")]++
		r.restartAfter(f)
	}
	r.excluded.hear(r.view(), f, r.world.Unlist)
	if !r.excluded.gone[f.Node] && r.judges.hear(r.view(), f) != nil {
		r.world.Fail(errViolated)
	}
}

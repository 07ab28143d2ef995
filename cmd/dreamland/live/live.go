package live

import (
	"context"
	"fmt"
	"slices"

	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// Carry carries out a story on processes. An error means that there is no result.
func Carry(ctx context.Context, s *scenario.Scenario, cfg Config, strict bool) (r report.Result, err error) {
	cfg.Network = s.Network.Shape
	w, err := New(cfg)
	if err != nil {
		return r, err
	}
	defer func() {
		if closed := w.Close(); err == nil {
			err = closed
		}
	}()
	for _, of := range w.withoutFinder(s) {
		if err := w.addFinder(s, of); err != nil {
			return r, err
		}
	}
	if cfg.Hear != nil {
		w.OnFact(cfg.Hear)
	}
	stop := w.failWith(ctx)
	defer stop()
	r = run.On(w, s, cfg.Words, run.Options{Seed: cfg.Seed, Strict: strict, Refuse: RefusesStep}, Refused(s, cfg.Words, cfg.Seed))
	r.Figures[scenario.FigureDisk] = float64(w.DiskBytes())
	if cfg.Settled != nil && w.failed == nil {
		cfg.Settled(w, &r)
	}
	return r, nil
}

// failWith ends the run when ctx ends.
func (w *World) failWith(ctx context.Context) (stop func()) {
	over := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			w.Between(func() { w.Fail(context.Cause(ctx)) })
		case <-over:
		}
	}()
	return func() { close(over) }
}

// withoutFinder lists the clouds of a story in which nobody introduces nodes to each other.
func (w *World) withoutFinder(s *scenario.Scenario) (list []string) {
	for _, of := range s.Clouds {
		if slices.ContainsFunc(s.Nodes, func(n scenario.Node) bool { return n.Cloud == of && !n.Hostile() && n.Contacts == nil }) {
			list = append(list, of)
		}
	}
	return list
}

func (w *World) addFinder(s *scenario.Scenario, of string) error {
	for _, spec := range w.cfg.Words.Services {
		if spec.Name == w.cfg.Words.Finder {
			return w.AddFinder("finder"+of, of, spec)
		}
	}
	return fmt.Errorf("%s: its nodes are told of all others, which real ones are not, and no service is known by which they find each other", s.File)
}

// RefusesStep says why a step of a story cannot be had of real processes, "" if it can.
func RefusesStep(s scenario.Step) string {
	switch {
	case s.Fault != nil:
		return Refuses(s.Fault)
	case s.Action != nil:
		return refusedActions[s.Action.Name]
	}
	return ""
}

// refusedActions are those of people who hold the cloud's key, whose hand is not in the world yet.
var refusedActions = map[string]string{
	"invite": "nodes of the real world are set up with an invitation before their story begins",
	"rotate": "nodes are configured with the cloud's key of the start",
}

// lateRefused are faults of entries whose nodes are selected in the run, by verb.
var lateRefused = map[string]fault.Fault{
	"suspend": fault.Suspend{}, "skew": fault.Skew{}, "drift": fault.Drift{}, "duplicate": fault.Duplicate{}, "lie": fault.Lie{}, "leave": fault.Leave{},
}

// Refused lists what a story asks for and what real processes cannot do, with the reason.
func Refused(s *scenario.Scenario, words scenario.Vocabulary, seed uint64) (list []report.NotObserved) {
	told := map[string]bool{}
	add := func(what, why string) {
		if !told[what] {
			told[what] = true
			list = append(list, report.NotObserved{What: what, Why: why})
		}
	}
	for _, step := range s.Plan(seed) {
		verb := s.Timeline[step.Entry].Verb
		if why := RefusesStep(step); why != "" {
			add(fmt.Sprintf("%s in line %d", verb, s.Timeline[step.Entry].Line), why)
		}
		if f := lateRefused[verb]; step.Late != nil && f != nil {
			add(fmt.Sprintf("%s in line %d", verb, s.Timeline[step.Entry].Line), Refuses(f))
		}
	}
	for _, n := range s.Nodes {
		switch {
		case n.Later:
			add("the later release of "+n.Name, "all nodes run one program")
		case n.Certificate.Lifetime > 0:
			add("the certificate of "+n.Name+", which ends", "it is renewed an hour before its end at the earliest")
		}
		if n.Hostile() {
			add("in a cloud with "+n.Name+", what members are refused", "nobody sees the messages of other processes")
		}
	}
	if slices.Contains(verbsOf(s), "move") {
		add("that a node goes on while it moves", "a process keeps its sockets: it is restarted in order, with another port")
	}
	for _, c := range s.Clouds {
		if slices.ContainsFunc(s.Nodes, func(n scenario.Node) bool { return n.Cloud == c && !n.Hostile() && n.Contacts == nil }) {
			add("that all nodes are told of all from the start", "real nodes find each other: by one more, which runs "+words.Finder+" and no fault reaches")
		}
	}
	return list
}

func verbsOf(s *scenario.Scenario) (verbs []string) {
	for _, e := range s.Timeline {
		verbs = append(verbs, e.Verb)
	}
	return verbs
}

// Impossible says why a story cannot be carried out at all.
func Impossible(s *scenario.Scenario) error {
	for _, n := range s.Nodes {
		if n.Invitation != "" {
			return fmt.Errorf("%s: %s is to come by an invitation, which a live run does not hand out yet: tau invite and tau config generate --invite do", s.File, n.Name)
		}
	}
	if len(s.Nodes) > nodesMax {
		return fmt.Errorf("%s has %d nodes, of which each is a process: at most %d", s.File, len(s.Nodes), nodesMax)
	}
	return nil
}

// nodesMax bounds the processes of a run.
const nodesMax = 40

package main

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/scenarios/mutation/mutant"
)

// court tries mutants until something notices them: the tests of their package,
// then other tests that reach them, then scenarios, then the swarm.
type court struct {
	*build
	sync.Mutex          // of all below; not held while a mutant runs
	by         []string // tests, scenarios, swarm
	swarmSeeds int
	costMax    time.Duration // of one trial without a mutant; dearer ones are left out
	memory     int64

	importers map[string][]string // by package: folders with tests that have it in them
	units     map[string][]*trial // by folder or kind
	noticed   map[string]int      // by package and trial: what noticed often is asked first
	unfit     map[string]string   // trials that fail without a mutant, and why
}

// finding is what became of a mutant.
type finding struct {
	Noticed bool   `json:"noticed"`
	By      string `json:"by,omitempty"`  // the trial
	Why     string `json:"why,omitempty"` // what it said
	Reached bool   `json:"reached"`
	Trials  int    `json:"trials"` // processes
}

// try runs a mutant.
func (c *court) try(ctx context.Context, m *mutation) (finding, error) {
	var f finding
	stages := map[string]func(context.Context, *mutation, *finding) error{"tests": c.byTests, "scenarios": c.byScenarios, "swarm": c.bySwarm}
	for _, name := range c.by {
		if err := stages[name](ctx, m, &f); err != nil || f.Noticed {
			return f, err
		}
	}
	return f, nil
}

// worldTests are the folders whose tests run whole clouds.
var worldTests = []string{"scenarios", "scenarios/words/jobs", "scenarios/words/versions"}

// byTests asks the tests of the package first, then those of its importers in
// the same room.
func (c *court) byTests(ctx context.Context, m *mutation, f *finding) error {
	own := m.folder()
	folders := append([]string{own}, slices.DeleteFunc(slices.Clone(c.importers[own]), func(x string) bool { return x == own })...)
	if !slices.Contains(c.importers[own], own) {
		folders = folders[1:] // no tests of its own
	}
	for _, folder := range folders {
		if room(folder) != room(own) {
			continue // what others use of a package shows in scenarios as well
		}
		tests, err := once(c, c.units, folder, func() ([]*trial, error) { return c.tests(ctx, folder) })
		if err != nil {
			return err
		}
		if err := c.ask(ctx, m, f, tests, true); err != nil || f.Noticed {
			return err
		}
	}
	return nil
}

// room is a service, the words of scenarios, or a folder of the top level.
func room(folder string) string {
	parts := strings.Split(folder, "/")
	if (parts[0] == "services" || parts[0] == "scenarios") && len(parts) > 1 {
		return parts[1]
	}
	return parts[0]
}

// once gets or makes a list of trials.
func once(c *court, lists map[string][]*trial, name string, make func() ([]*trial, error)) ([]*trial, error) {
	c.Lock()
	defer c.Unlock()
	if list, ok := lists[name]; ok {
		return list, nil
	}
	list, err := make()
	if err == nil {
		lists[name] = list
	}
	return list, err
}

func (c *court) byScenarios(ctx context.Context, m *mutation, f *finding) error {
	stories, err := once(c, c.units, "stories", func() ([]*trial, error) { return c.stories(ctx) })
	if err != nil {
		return err
	}
	for _, t := range c.cheapFirst(m, stories) {
		if err := c.ask(ctx, m, f, []*trial{t}, false); err != nil || f.Noticed {
			return err
		}
	}
	return nil
}

// stories are the scenarios and the tests that run worlds.
func (c *court) stories(ctx context.Context) ([]*trial, error) {
	files, err := c.scenarios(ctx)
	if err != nil {
		return nil, err
	}
	for _, folder := range worldTests {
		tests, err := c.tests(ctx, folder)
		if err != nil {
			return nil, err
		}
		files = append(files, tests...)
	}
	return files, nil
}

// cheapFirst orders scenarios by what they cost, divided by how often they have
// noticed mutants of the same package.
func (c *court) cheapFirst(m *mutation, stories []*trial) []*trial {
	c.Lock()
	defer c.Unlock()
	price := func(t *trial) float64 {
		cost := t.CPU
		if !t.measured {
			cost = weight(t)
		}
		return float64(cost) / float64(1+c.noticed[m.folder()+" "+t.name])
	}
	return slices.SortedStableFunc(slices.Values(stories), func(a, b *trial) int { return cmp.Compare(price(a), price(b)) })
}

func (c *court) bySwarm(ctx context.Context, m *mutation, f *finding) error {
	seeds, err := once(c, c.units, "swarm of scenarios", func() ([]*trial, error) { return c.swarm(ctx, c.swarmSeeds) })
	if err != nil {
		return err
	}
	for _, t := range seeds {
		if err := c.ask(ctx, m, f, []*trial{t}, false); err != nil || f.Noticed {
			return err
		}
	}
	return nil
}

// ask runs those of some trials that reach a mutant. Tests of one package share
// a process, the quick ones first.
func (c *court) ask(ctx context.Context, m *mutation, f *finding, trials []*trial, tests bool) error {
	fit, err := c.fit(ctx, m, f, trials)
	if err != nil || len(fit) == 0 {
		return err
	}
	rounds := [][]*trial{fit}
	if tests {
		rounds = byCost(fit)
	}
	for _, round := range rounds {
		if err := c.hear(ctx, m, f, round, tests); err != nil || f.Noticed {
			return err
		}
	}
	return nil
}

// hear runs some trials in one process.
func (c *court) hear(ctx context.Context, m *mutation, f *finding, round []*trial, tests bool) error {
	t := *round[0]
	if tests {
		t = joined(round)
	}
	o, err := c.run(ctx, m, &t, f)
	if err == nil && !o.passed && !o.endless && tests { // a busy machine fails tests of real time, but hardly twice
		again := joined(failed(round, o.why))
		o, err = c.run(ctx, m, &again, f)
	}
	if err != nil || o.passed {
		return err
	}
	f.Noticed, f.By, f.Why = true, t.name, o.why
	c.Lock()
	defer c.Unlock()
	c.noticed[m.folder()+" "+t.name]++
	return nil
}

// quick is what tests may take together to be run before all others.
const quick = 300 * time.Millisecond

// byCost divides tests into those that are quick together, and each of the
// others: most mutants are noticed before the dear ones are run.
func byCost(tests []*trial) (rounds [][]*trial) {
	tests = slices.SortedStableFunc(slices.Values(tests), func(a, b *trial) int { return cmp.Compare(a.CPU, b.CPU) })
	var sum time.Duration
	for i, t := range tests {
		if sum += t.CPU; i == 0 || sum > quick {
			rounds = append(rounds, nil)
		}
		last := len(rounds) - 1
		rounds[last] = append(rounds[last], t)
	}
	return rounds
}

// failed are the tests of a round that failed, as far as that is known: else all.
func failed(round []*trial, why string) []*trial {
	name, _, _ := strings.Cut(why, "/")
	for i, t := range round {
		if t.test == name {
			return round[i : i+1]
		}
	}
	return round
}

// fit chooses the trials that reach a mutant and are not too dear.
func (c *court) fit(ctx context.Context, m *mutation, f *finding, trials []*trial) (fit []*trial, err error) {
	c.Lock()
	defer c.Unlock()
	for _, t := range trials {
		if err := c.measure(ctx, t); err != nil {
			return nil, err
		}
		if t.Why != "" {
			c.unfit[t.name] = t.Why
		}
		if !t.reaches(m) {
			continue
		}
		f.Reached = true
		if t.CPU <= c.costMax {
			fit = append(fit, t)
		}
	}
	return fit, nil
}

// joined makes one trial of several tests of a package.
func joined(tests []*trial) trial {
	all := *tests[0]
	all.name = all.folder + " tests"
	all.CPU, all.Wall = 0, 0
	names := make([]string, len(tests))
	for i, t := range tests {
		names[i] = t.test
		all.CPU, all.Wall = all.CPU+t.CPU, all.Wall+t.Wall
	}
	all.command.args = chosen("^(" + strings.Join(names, "|") + ")$")
	return all
}

// A mutant may take this much longer than the original: processor time is the
// measure, since the machine may be busy; it stands still for no longer than wall.
const (
	cpuFactor, cpuExtra   = 5, 5 * time.Second
	wallFactor, wallExtra = 6, 20 * time.Second
)

func (c *court) run(ctx context.Context, m *mutation, t *trial, f *finding) (outcome, error) {
	f.Trials++
	l := limits{cpu: cpuFactor*t.CPU + cpuExtra, wall: wallFactor*t.Wall + wallExtra, memory: c.memory}
	o, err := t.command.run(ctx, l, variable(mutant.EnvOn, int64(m.number)))
	if ctx.Err() != nil {
		return o, ctx.Err()
	}
	return o, err
}

// testers finds out which tests have which packages in them.
func testers(ctx context.Context, root string) (map[string][]string, error) {
	out, err := capture(ctx, "go", root, append([]string{"list", "-test", "-deps=false", "-f",
		`{{if .ForTest}}{{.ForTest}} {{range .Deps}}{{.}} {{end}}{{end}}`}, append(slices.Clone(rooms), "./scenarios")...)...)
	if err != nil {
		return nil, err
	}
	importers := map[string][]string{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		for _, word := range words {
			of, ours := strings.CutPrefix(word, module+"/")
			by := strings.TrimPrefix(words[0], module+"/")
			if ours && !slices.Contains(importers[of], by) {
				importers[of] = append(importers[of], by)
			}
		}
	}
	for _, by := range importers {
		slices.Sort(by)
	}
	return importers, nil
}

// capture runs a program and returns what it prints.
func capture(ctx context.Context, name, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return string(out), nil
}

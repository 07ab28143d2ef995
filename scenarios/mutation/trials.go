package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/mutation/mutant"
)

// trial is something that may notice a mutant: one test, one scenario, one seed
// of the swarm.
type trial struct {
	name    string // unique: services/seer TestX, scenario hoarder-rot, swarm 1
	folder  string // of the tests; "" for scenarios
	test    string // its name
	command command
	input   string // a file that it reads, or ""

	measured bool
	baseline
}

// baseline is what a trial does without a mutant.
type baseline struct {
	CPU     time.Duration
	Wall    time.Duration
	Why     string // it fails by itself, and is no witness
	reached []byte // by number of mutant
}

func (t *trial) reaches(m *mutation) bool { return t.Why == "" && t.reached[m.number] != 0 }

// measure runs a trial without a mutant, unless the same was done before.
func (b *build) measure(ctx context.Context, t *trial) error {
	if t.measured {
		return nil
	}
	kept, err := b.keptAt(t)
	if err != nil {
		return err
	}
	if !b.recall(t, kept) {
		if err := b.observe(ctx, t, kept); err != nil {
			return err
		}
	}
	t.measured = true
	return nil
}

// keptAt is the file of a baseline: it holds for one binary, one set of
// arguments, one input.
func (b *build) keptAt(t *trial) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, t.name, t.command.args, t.command.env)
	for _, file := range []string{t.command.binary, t.input} {
		if file == "" {
			continue
		}
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return filepath.Join(b.dir, "..", "baselines", hex.EncodeToString(sum.Sum(nil)[:12])), nil
}

func (b *build) recall(t *trial, kept string) bool {
	raw, err := os.ReadFile(kept + ".json")
	if err != nil || json.Unmarshal(raw, &t.baseline) != nil {
		return false
	}
	t.reached, err = os.ReadFile(kept + ".reached")
	return err == nil && len(t.reached) > len(b.mutations)
}

// trialMax bounds a trial without a mutant.
const trialMax = 10 * time.Minute

func (b *build) observe(ctx context.Context, t *trial, kept string) error {
	reached := kept + ".reached"
	if err := write(reached, make([]byte, len(b.mutations)+1)); err != nil {
		return err
	}
	o, err := t.command.run(ctx, limits{wall: trialMax}, mutant.EnvReached+"="+reached)
	if err != nil || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", t.name, firstOf(err, ctx.Err()))
	}
	t.CPU, t.Wall, t.Why = o.cpu, o.wall, o.why
	if t.reached, err = os.ReadFile(reached); err != nil {
		return err
	}
	raw, err := json.Marshal(t.baseline)
	if err != nil || !o.passed { // a failure may be the machine's: it is not kept
		return err
	}
	return write(kept+".json", raw)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// elsewhere are tests that run what are trials of their own, or compare digests,
// which a mutant may change.
var elsewhere = map[string]bool{"TestScenarios": true, "TestOtherSeeds": true, "TestTraceIsCanonical": true, "TestSwarm": true}

// tests lists the tests of a package as trials.
func (b *build) tests(ctx context.Context, folder string) ([]*trial, error) {
	binary, err := b.binary(ctx, folder, true)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.root, folder)
	names, err := capture(ctx, binary, dir, "-test.list", "^Test|^Fuzz|^Example")
	if err != nil {
		return nil, err
	}
	var all []*trial
	for _, name := range strings.Fields(names) {
		if !elsewhere[name] {
			c := command{binary: binary, dir: dir, args: chosen("^" + name + "$"), env: noFiles}
			all = append(all, &trial{name: folder + " " + name, folder: folder, test: name, command: c})
		}
	}
	return all, nil
}

// noFiles keeps a property that a mutant breaks from leaving a file of that in the
// tree.
var noFiles = []string{"RAPID_NOFAILFILE=true"}

func chosen(pattern string) []string {
	return []string{"-test.run", pattern, "-test.failfast", "-test.timeout", "0"}
}

// scenarios lists the stories as trials, cheap ones first as far as one can tell
// without running them.
func (b *build) scenarios(ctx context.Context) ([]*trial, error) {
	binary, err := b.binary(ctx, "cmd/dreamland", false)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(b.root, "scenarios", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []*trial
	for _, f := range files {
		c := command{binary: binary, dir: b.root, args: []string{"sim", "--wire", "direct", "--quiet", f}}
		all = append(all, &trial{name: "scenario " + strings.TrimSuffix(filepath.Base(f), ".yaml"), command: c, input: f})
	}
	return all, nil
}

// swarm lists the first scenarios that nobody wrote as trials.
func (b *build) swarm(ctx context.Context, seeds int) ([]*trial, error) {
	const folder = "scenarios/swarm"
	binary, err := b.binary(ctx, folder, true)
	if err != nil {
		return nil, err
	}
	var all []*trial
	for n := 1; n <= seeds; n++ {
		c := command{binary: binary, dir: filepath.Join(b.root, folder), args: chosen("^TestSwarm$"), env: []string{fmt.Sprintf("SWARM=%d..%d", n, n)}}
		all = append(all, &trial{name: fmt.Sprint("swarm ", n), command: c})
	}
	return all, nil
}

var (
	countOf    = regexp.MustCompile(`\bcount: *(\d+)`)
	durationOf = regexp.MustCompile(`(?m)^duration: *(\S+)`)
)

// weight guesses the costs of a scenario that was not run yet: nodes by time. A
// test of a world counts as a middling one.
func weight(t *trial) time.Duration {
	text, err := os.ReadFile(t.input)
	if err != nil {
		return 5 * time.Second
	}
	nodes := 1
	for _, found := range countOf.FindAllSubmatch(text, -1) {
		n, _ := strconv.Atoi(string(found[1]))
		nodes += n
	}
	var virtual time.Duration
	if found := durationOf.FindSubmatch(text); found != nil {
		virtual, _ = time.ParseDuration(string(found[1]))
	}
	return virtual * time.Duration(nodes) / 1000
}

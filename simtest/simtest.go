// Package simtest runs scenarios in Go tests: one call for a story about any
// services, whose words a scenario.Vocabulary has.
//
//	func TestCounter(t *testing.T) {
//		simtest.Run(t, counter.Vocabulary(), "counter.yaml")
//	}
package simtest

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// SeedEnv is the environment variable that makes Run use another seed than the
// story's, to replay what Seeds has found.
const SeedEnv = "SIMTEST_SEED"

// stall is the real time without an event after which a run is given up; 0 is a
// minute.
var stall time.Duration

// Stall sets, for the test, the real time without an event after which a run is given
// up, and the process with it: a turn that never ends cannot be left. The default is a
// minute.
func Stall(t testing.TB, limit time.Duration) {
	before := stall
	stall = limit
	t.Cleanup(func() { stall = before })
}

// one run at a time: runs share the failpoints of the process.
var one sync.Mutex

// Run runs a story on both wires, the second time with its goroutines disturbed. The
// test fails if an expectation does not hold or was never judged, if the runs differ
// - then the service depends on something that the seed does not decide - and if the
// file is no good. It returns the first result.
func Run(t testing.TB, words scenario.Vocabulary, story string) report.Result {
	t.Helper()
	s := load(t, words, story)
	seed := s.Seed
	if text := os.Getenv(SeedEnv); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s=%s: expected a whole number", SeedEnv, text)
		}
		seed = n
	}
	first := play(s, words, run.Options{Seed: seed, Wire: scenario.Direct, Strict: true})
	demand(t, first)
	again := play(s, words, run.Options{Seed: seed, Wire: scenario.Mocknet, Strict: true, Perturb: 1})
	demand(t, again)
	if first.Digest != again.Digest {
		t.Errorf("%s: two runs of seed %d differ: the service depends on something that the seed does not decide. %s\n%s",
			story, seed, suspects, firstDifference(s, words, seed))
	}
	return first
}

// Seeds runs a story with the seeds 1 to n, each once, and fails with those that do
// not hold.
func Seeds(t testing.TB, words scenario.Vocabulary, story string, n int) {
	t.Helper()
	s := load(t, words, story)
	for seed := range uint64(n) {
		demand(t, play(s, words, run.Options{Seed: seed + 1, Wire: scenario.Direct}))
	}
}

// Find runs a story with the seeds 1 to n and returns the first result that fails of
// an expectation: for a bug that was planted, to see that the story would notice. The
// test fails if no seed does.
func Find(t testing.TB, words scenario.Vocabulary, story string, n int, expectation string) report.Result {
	t.Helper()
	s := load(t, words, story)
	for seed := range uint64(n) {
		r := play(s, words, run.Options{Seed: seed + 1, Wire: scenario.Direct})
		if cause, failed := r.Cause(); failed && cause.Name == expectation {
			return r
		}
	}
	t.Fatalf("%s: none of %d seeds fails of %s", story, n, expectation)
	return report.Result{}
}

// stuck ends the process: a turn that never ends cannot be left.
func stuck(r report.Result) {
	fmt.Fprintf(os.Stderr, "--- FAIL: %s, seed %d\n", r.Scenario, r.Seed)
	for _, what := range r.Broken() {
		fmt.Fprintln(os.Stderr, "    "+what)
	}
	os.Exit(1)
}

func load(t testing.TB, words scenario.Vocabulary, story string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(story, words)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func play(s *scenario.Scenario, words scenario.Vocabulary, o run.Options) report.Result {
	one.Lock()
	defer one.Unlock()
	if o.Stuck == nil {
		o.Stuck = stuck
	}
	o.StallTimeout = stall
	return run.Run(s, words, o)
}

// demand fails with what is broken and how to see it again.
func demand(t testing.TB, r report.Result) {
	t.Helper()
	broken := r.Broken()
	if len(broken) == 0 {
		return
	}
	for _, what := range broken {
		t.Errorf("%s, seed %d: %s", r.Scenario, r.Seed, what)
	}
	t.Logf("replay: %s=%d go test -run '^%s$'", SeedEnv, r.Seed, t.Name())
	if r.Breakdown != nil {
		for _, frame := range r.Breakdown.Stack {
			t.Log("  " + frame)
		}
	}
}

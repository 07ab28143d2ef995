package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
)

const example = `name: monkey-lock-race
about: Forty pushes, five monkeys, a partition and two crashes - each job has exactly one outcome.
seed: 42
duration: 10m
settings: {patrick: {lease-duration: 5s, retry: {backoff: 2s}}}
network: {latency: 5ms..40ms, links: [{between: [core-*, monkey-*], latency: 80ms..120ms}]}
nodes:
  - {name: core,   count: 3, services: [auth, seer, tns, patrick, hoarder]}
  - {name: monkey, count: 5, services: [monkey]}
  - {name: late, services: [patrick], start-at: 1m, settings: {patrick: {attempts-max: 9, bytes-max: 64MiB}}}
timeline:
  - {at: 10s, every: 5s, times: 40, push: {project: hello, branch: main}}
  - {at: 60s, partition: [[core-1, monkey-1, monkey-2], ["*"]], for: 45s}
  - {at: 2m,  crash: {pick: {one-of: monkey-*}, restart-after: 20s}}
  - {at: 3m,  failpoint: {name: monkey/after-lock, on: monkey-3, do: crash, times: 1}}
expect:
  always:     [one-effective-outcome-per-job, no-lost-jobs]
  after-heal: {within: 60s, all: [replicas-converged, every-job-final]}
  report:     {jobs.succeeded: 40, retries: {max: 3}}
`

func parse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("test.yaml", []byte(text), testWords())
	require.NoError(t, err)
	return s
}

func TestParseExample(t *testing.T) {
	s := parse(t, example)
	require.Equal(t, "monkey-lock-race", s.Name)
	require.Equal(t, uint64(42), s.Seed)
	require.Len(t, s.Nodes, 9)
	var services []string
	for _, c := range s.Nodes[0].Services {
		services = append(services, c.Spec.Name)
	}
	require.Equal(t, []string{"seer", "tns", "patrick", "hoarder", "auth", "beacon"}, services)
	late := s.Nodes[8]
	require.Equal(t, "late", late.Name)
	require.Equal(t, time.Minute, late.StartAt)
	settings := late.Services[0].Settings.(*patrickSettings)
	require.Equal(t, 9, settings.AttemptsMax)
	require.Equal(t, 5*time.Second, settings.LeaseDuration)
	require.Equal(t, 2*time.Second, settings.Retry.Backoff)
	require.Equal(t, int64(64<<20), settings.BytesMax)
	require.Equal(t, fault.Shape{LatencyMin: 80 * time.Millisecond, LatencyMax: 120 * time.Millisecond}, s.Network.Shape("monkey-2", "core-1"))
	require.Equal(t, fault.Shape{LatencyMin: 5 * time.Millisecond, LatencyMax: 40 * time.Millisecond}, s.Network.Shape("core-2", "core-1"))
	require.Len(t, s.Expect.Always, 2)
	require.Len(t, s.Expect.AfterHeal, 2)
	require.Equal(t, 40.0, *s.Expect.Report[0].Min)
	require.Nil(t, s.Expect.Report[1].Min)
}

func planText(s *Scenario, seed uint64) string {
	var b strings.Builder
	for _, step := range s.Plan(seed) {
		what := ""
		if step.Fault != nil {
			what = step.Fault.String()
		} else {
			what = fmt.Sprintf("%s %+v #%d", step.Action.Name, step.Params, step.N)
		}
		fmt.Fprintf(&b, "%s %s for %s: %s\n", step.At, step.Key, step.For, what)
	}
	return b.String()
}

func TestPlanIsAFunctionOfTheSeed(t *testing.T) {
	s := parse(t, example)
	one := planText(s, 42)
	require.Equal(t, one, planText(parse(t, example), 42))
	require.Contains(t, one, "1m0s 1.0.0 for 45s: partition core-1 monkey-1 monkey-2 | core-2 core-3 monkey-3 monkey-4 monkey-5 late\n")
	require.Contains(t, one, "3m25s 0.39 for 0s: push")
	differs := false
	for seed := range uint64(20) {
		differs = differs || planText(s, seed) != one
	}
	require.True(t, differs, "the picked monkey should depend on the seed")
}

// TestBad compares the messages for bad files with what is recorded beside
// them. UPDATE=1 records anew.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			_, err = Parse(filepath.Base(file), data, testWords())
			require.Error(t, err)
			requirePositions(t, err)
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if os.Getenv("UPDATE") != "" {
				require.NoError(t, os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644))
			}
			want, readErr := os.ReadFile(golden)
			require.NoError(t, readErr)
			require.Equal(t, string(want), err.Error()+"\n")
		})
	}
}

func requirePositions(t *testing.T, err error) {
	t.Helper()
	var all Errors
	require.ErrorAs(t, err, &all)
	require.NotEmpty(t, all)
	for _, e := range all {
		require.Positive(t, e.Line, "%v", e)
		require.Positive(t, e.Col, "%v", e)
		require.NotEmpty(t, e.What)
	}
}

// TestFormatPageIsComplete keeps scenarios/FORMAT.md in step with the words of
// this package, and its example valid.
func TestFormatPageIsComplete(t *testing.T) {
	data, err := os.ReadFile("../../scenarios/FORMAT.md")
	require.NoError(t, err)
	page := string(data)
	for _, w := range Words(Vocabulary{}) {
		if w.Kind == "mark" || w.Kind == "failpoint" {
			continue // each program has its own: scenario words lists them
		}
		require.True(t, strings.Contains(page, "`"+w.Name+"`"), "scenarios/FORMAT.md does not describe %s %s", w.Kind, w.Name)
		if w.Kind == "fault" {
			for _, key := range w.Keys {
				require.True(t, strings.Contains(page, "`"+key.Name), "scenarios/FORMAT.md does not describe %s of %s", key.Name, w.Name)
			}
		}
	}
	_, after, _ := strings.Cut(page, "```yaml\n")
	text, _, found := strings.Cut(after, "```")
	require.True(t, found)
	parse(t, text)
}

// TestEveryVerbsExampleParses also plans it.
func TestEveryVerbsExampleParses(t *testing.T) {
	for _, w := range Words(Vocabulary{}) {
		if w.Kind != "fault" {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			s := parse(t, "duration: 10m\nnodes: [{name: core, count: 3, services: [], zone: east}, {name: monkey, count: 3, services: [monkey], zone: west}]\n"+
				"timeline: [{at: 1s, "+w.Example+"}]\n")
			require.NotEmpty(t, s.Plan(1))
		})
	}
}

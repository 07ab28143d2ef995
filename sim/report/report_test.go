package report

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sample() Result {
	r := Result{
		Scenario: "lock-race", About: "Two monkeys, one job.\n", Seed: 42, Wire: "mocknet", Digest: strings.Repeat("ab", 32),
		Events: 12345, VirtualMS: 72_500, WallMS: 250,
		Expectations: []Expectation{
			{Name: "no-unexpected-errors", When: "always", Held: true},
			{Name: "no-lost-jobs", When: "always", Detail: "at 12s: job 7 is lost\n\tby patrick-1\n\tand patrick-2", Means: "what was acknowledged stays"},
			{Name: "dedupe", When: "always", Held: true, Evaluated: 12, Excused: map[string]int{"asleep": 3, "gone": 1}, Means: "one push, one job"},
			{Name: "no-stale-publish", When: "always", Held: true, Unproven: "always excused", Excused: map[string]int{"gone": 7}},
			{Name: "jobs.succeeded", When: "report", Held: true, Detail: "40, expected 40"},
		},
		Exercised: Exercised{
			Actions:    []Action{{Name: "push", Done: 40, Failed: 2, Unfinished: 1}, {Name: "store", Done: 3}},
			Attacks:    []Attack{{Name: "attack", Times: 5}},
			Failpoints: map[string]int{"monkey/after-lock": 2},
		},
		Figures: map[string]float64{"jobs.succeeded": 40, "jobs.latency": 1.23456, "jobs.failed": 0, "retries": 0},
		Faults: []Fault{
			{AtMS: 1000, ForMS: 45_000, What: "partition a | b"},
			{AtMS: 60_050, What: "skew b by 1m0s", WithoutEffect: true},
		},
		Replay: "dreamland sim x.yaml --seed 42 --wire mocknet",
		Notes:  []string{"3 actions failed: push: timeout"},
	}
	r.Judge()
	return r
}

// golden compares with a recorded page. UPDATE=1 records anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name + ".txt"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestPage(t *testing.T) {
	r := sample()
	var out strings.Builder
	r.Write(&out)
	golden(t, "failed", out.String())

	r.Expectations = []Expectation{r.Expectations[0], r.Expectations[2], r.Expectations[3]}
	r.Faults, r.Notes = nil, nil
	for range 20 {
		r.Faults = append(r.Faults, Fault{AtMS: 1, What: "crash a"})
	}
	r.Judge()
	out.Reset()
	r.Write(&out)
	golden(t, "held", out.String())
	require.Equal(t, Held, r.Verdict)

	r.Strict = true
	r.Judge()
	require.Equal(t, Failed, r.Verdict)
	out.Reset()
	r.WriteFailures(&out)
	require.Equal(t, "seed 42 FAILED no-stale-publish: always excused\n  replay: "+r.Replay+"\n", out.String())
}

func TestSeeds(t *testing.T) {
	sum := NewSummary("", "")
	var out strings.Builder
	sum.Write(&out)
	require.Empty(t, out.String())
	for _, seed := range []uint64{2, 0, 3, 1} { // in whatever order they end

		r := sample()
		r.Seed = seed
		r.Figures = map[string]float64{"jobs.succeeded": float64(40 - seed), "retries": 0}
		if seed != 2 {
			r.Expectations = r.Expectations[:1]
		}
		if seed == 3 {
			r.Figures["only.here"] = 1
		}
		r.Judge()
		sum.Add(&r)
	}
	sum.Write(&out)
	golden(t, "seeds", out.String())
}

// TestCauses: runs that fail of one bug have one cause, whatever the seed made of
// ids, nodes and times; those of two bugs have two.
func TestCauses(t *testing.T) {
	lost := func(detail string) *Result {
		return &Result{Verdict: Failed, Expectations: []Expectation{
			{Name: "quiet", When: "always", Held: true},
			{Name: "later", When: "after-heal", NotAsked: true, Detail: "the run ended before"},
			{Name: "no-lost-jobs", When: "always", Detail: detail}}}
	}
	first, failed := lost("at 12.5s: job 4e04a1-0001-dbc2 of core-1, core-2 is lost by vNTKnv (patrick job-acked of core-1)").Cause()
	require.True(t, failed)
	require.Equal(t, Cause{"no-lost-jobs", "always", "at #: job # of # is lost by # (patrick job-acked of #)"}, first)
	second, _ := lost("at 1m2s: job ffff00-0002-aaaa of core-3 is lost by kWsYSP (patrick job-acked of core-2)").Cause()
	require.Equal(t, first, second)
	third, _ := lost("at 1m2s: job ffff00-0002-aaaa of core-3 is built twice").Cause()
	require.NotEqual(t, first, third)

	figure := func(detail string) Cause {
		c, _ := (&Result{Verdict: Failed, Expectations: []Expectation{{Name: "f", When: "report", Detail: detail}}}).Cause()
		return c
	}
	require.Equal(t, figure("3, expected at least 40"), figure("11.5, expected at least 40"))
	panics := lost("")
	panics.Expectations[0] = Expectation{Name: unexpected, Detail: "panic in \"a\" of b on c-1 at 3s: oh 7"}
	panics.Breakdown = &Breakdown{Kind: "panic", What: "oh 7", Stack: []string{"m/x.F /a/b.go:7"}}
	c, _ := panics.Cause()
	require.Equal(t, "panic: oh # in m/x.F", c.Text)
	_, failed = (&Result{Verdict: Held}).Cause()
	require.False(t, failed)
}

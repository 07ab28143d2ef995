package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// A toy cloud: nodes that greet each other and remember who greeted them.

type greeting struct{ From string }

var greet = transport.Method[greeting, greeting]{Name: "greeter/greet", Rule: transport.Member}

var beforeAnswer = fail.Register("greeter/before-answer", "was greeted, has not answered")

var starting = fail.Register("greeter/starting", "begins to start")

type greeterSettings struct {
	// Broken makes each start fail, Stuck makes it take no end, Deaf makes it
	// refuse for ever.
	Broken bool `yaml:"broken"`
	Stuck  bool `yaml:"stuck"`
	Deaf   bool `yaml:"deaf"`
}

type greeter struct {
	env      node.Env
	settings greeterSettings
	heard    map[string]time.Duration
}

// Ready implements node.Readier.
func (g *greeter) Ready() error {
	if g.settings.Deaf {
		return errors.New("is deaf")
	}
	return nil
}

func (g *greeter) Start(ctx context.Context) error {
	if err := starting.Hit(ctx, g.env); err != nil {
		return err
	}
	if g.settings.Stuck {
		_ = clock.Sleep(context.WithoutCancel(ctx), g.env.Loop, time.Hour)
	}
	if g.settings.Broken {
		return errors.New("broken")
	}
	greet.Serve(g.env.Wire, func(ctx context.Context, _ transport.Peer, m greeting) (greeting, error) {
		if err := beforeAnswer.Hit(ctx, g.env); err != nil {
			return greeting{}, err
		}
		g.heard[m.From] = g.env.Loop.Elapsed()
		g.env.Observe("greeted", node.F("by", m.From))
		return greeting{From: g.env.Node}, nil
	})
	g.env.Loop.Go("greet", func(ctx context.Context) {
		for clock.Sleep(ctx, g.env.Loop, time.Second) == nil {
			peers, _ := g.env.Wire.Directory().Lookup("greeter")
			for _, p := range peers {
				_, _ = greet.Call(ctx, g.env.Wire, p, greeting{From: g.env.Node})
			}
		}
	})
	return nil
}

func (g *greeter) Stop(context.Context) error { return nil }

// greetings counts, and is violated by a greeting of somebody called evil.
type greetings struct {
	check.Tally
	n float64
}

func (g *greetings) Name() string { return "nobody-is-evil" }
func (g *greetings) Fact(f check.Fact) error {
	if f.Name == "greeted" {
		g.n++
		g.Evaluated()
	}
	if strings.HasPrefix(f.Text("by"), "evil") {
		return errors.New("greeted by " + f.Text("by"))
	}
	return nil
}
func (g *greetings) Figures() map[string]float64 {
	return map[string]float64{"greetings": g.n, "greetings.none": math.NaN()}
}

// everybodyMet holds when each greeter has been greeted by all in the last 5 s.
type everybodyMet struct{}

func (everybodyMet) Name() string { return "everybody-met" }
func (everybodyMet) Settled(v check.View) error {
	for _, n := range v.Nodes() {
		g, _ := n.Service("greeter").(*greeter)
		if g == nil {
			return fmt.Errorf("%s is down", n.Name)
		}
		for _, other := range v.Nodes() {
			if at, met := g.heard[other.Name]; !met || g.env.Loop.Elapsed()-at > 5*time.Second {
				return fmt.Errorf("%s has not been greeted by %s", n.Name, other.Peer) // the report has its name
			}
		}
	}
	return nil
}

type sayParams struct {
	To    string `yaml:"to"`
	Error bool   `yaml:"error"`
}

func words() scenario.Vocabulary {
	return scenario.Vocabulary{
		Services: []node.Spec{{
			Name: "greeter", Settings: func() any { return &greeterSettings{} }, ReadyWithin: 20 * time.Second,
			New: func(env node.Env, settings any) (node.Service, error) {
				return &greeter{env: env, settings: *settings.(*greeterSettings), heard: map[string]time.Duration{}}, nil
			},
		}},
		Actions: []scenario.Action{{
			Name: "say", Params: func() any { return &sayParams{} },
			Run: func(ctx context.Context, env node.Env, params any, n int) error {
				if params.(*sayParams).Error {
					return errors.New("nothing to say")
				}
				peers, _ := env.Wire.Directory().Lookup("greeter")
				_, err := greet.Call(ctx, env.Wire, peers[n%len(peers)], greeting{From: "client"})
				return err
			},
		}},
		Series: []scenario.Series{
			{Name: "greeted", Unit: "greetings", Service: "greeter", New: scenario.CountFacts("greeter", "greeted")},
			{Name: "waits", Unit: "seconds", Spread: true, New: func() scenario.Sampler { return &waits{} }},
		},
		Qualities: []scenario.Quality{{Name: "greeted", Unit: "greetings", Service: "greeter", Words: []string{"busiest", "least-loaded"},
			New: func() scenario.Gauge { return greetedBy{} }}},
		Places: []scenario.Place{{Name: "greeted-last", Params: func() any { return &struct{}{} }, New: func() scenario.Finder { return &lastGreeted{} }}},
		Checks: []scenario.Check{
			{Name: "nobody-is-evil", New: func() check.Checker { return &greetings{} }},
			{Name: "everybody-met", New: func() check.Checker { return everybodyMet{} }},
		},
	}
}

// waits are the times from one greeting by the client to the next.
type waits struct{ last time.Duration }

func (w *waits) Sample(f check.Fact) (scenario.Sample, bool) {
	if f.Name != "greeted" || f.Text("by") != "client" {
		return scenario.Sample{}, false
	}
	last := w.last
	w.last = f.At
	return scenario.Sample{Node: f.Node, Object: "greeting of " + f.Node, Amount: (f.At - last).Round(time.Second).Seconds()}, last > 0
}

// greetedBy counts who was greeted by the client.
type greetedBy map[string]float64

func (g greetedBy) Hear(f check.Fact) {
	if f.Name == "greeted" && f.Text("by") == "client" {
		g[f.Node]++
	}
}

func (g greetedBy) Of(_ check.View, n check.NodeView) float64 { return g[n.Name] }

// lastGreeted is who was greeted last by the client.
type lastGreeted struct{ node string }

func (l *lastGreeted) Hear(f check.Fact) {
	if f.Name == "greeted" && f.Text("by") == "client" {
		l.node = f.Node
	}
}

func (l *lastGreeted) Find(check.View, any) []string { return []string{l.node} }

func play(t *testing.T, text string, options ...func(*run.Options)) report.Result {
	t.Helper()
	s, err := scenario.Parse("toy.yaml", []byte(text), words())
	require.NoError(t, err)
	o := run.Of(s)
	for _, f := range options {
		f(&o)
	}
	result := run.Run(s, words(), o)
	_, err = json.Marshal(result)
	require.NoError(t, err)
	return result
}

func expectation(t *testing.T, r report.Result, name string) report.Expectation {
	t.Helper()
	for _, e := range r.Expectations {
		if e.Name == name {
			return e
		}
	}
	require.Fail(t, "no such expectation", "%s in %+v", name, r.Expectations)
	return report.Expectation{}
}

const stormy = `
duration: 1m
nodes: [{name: a, count: 4, services: [greeter]}, {name: late, services: [greeter], start-at: 20s}]
timeline:
  - {at: 0s, every: 3s, times: 10, say: {to: a-1}}
  - {at: 5s, partition: [[a-1], ["*"]], for: 10s}
  - {at: 7s, partition: [[a-1, a-2], ["*"]], for: 20s}
  - {at: 10s, crash: {one-of: a-*, restart-after: 3s}}
  - {at: 12s, pause: a-3, for: 9s}
  - {at: 15s, skew: {on: a-2, by: 1m}}
  - {at: 20s, drift: {on: a-4, ppm: 300}}
  - {at: 22s, churn: {on: a-*, count: 2, up: 1s..5s, down: 1s..3s}, for: 20s}
  - {at: 30s, flaky-link: {on: a-1, every: 500ms..2s}, for: 10s}
  - {at: 33s, slow-link: {on: a-2, latency: 300ms..1s, bandwidth: 10kB/s}}
  - {at: 35s, disk: {on: a-*, slow: 10ms..90ms, errors: 1%}, for: 10s}
  - {at: 36s, hold: {from: a-1, to: a-2}, for: 5s}
  - {at: 40s, failpoint: {name: greeter/before-answer, on: a-4, do: crash, times: 1, restart-after: 2s}}
  - {at: 44s, rolling-restart: {on: "*", gap: 2s}}
  - {at: 58s, crash: a-1}
expect:
  always: [nobody-is-evil]
  after-heal: {within: 30s, all: [everybody-met]}
  report: {greetings: {min: 100}, failpoints.hit: 1}
`

func TestAStormIsSurvivedAndIsTheSameEveryTime(t *testing.T) {
	var trace bytes.Buffer
	first := play(t, stormy, func(o *run.Options) { o.Trace = &trace })
	require.Equal(t, report.Held, first.Verdict, "%+v", first.Expectations)
	require.NotEmpty(t, first.Faults)
	require.Contains(t, trace.String(), "partition a-1 | a-2 a-3 a-4 late")

	again := play(t, stormy)
	require.Equal(t, first.Digest, again.Digest)
	require.Equal(t, first.Faults, again.Faults)
	direct := play(t, stormy, func(o *run.Options) { o.Wire = scenario.Direct })
	require.Equal(t, first.Digest, direct.Digest)
	other := play(t, stormy, func(o *run.Options) { o.Wire, o.Seed = scenario.Direct, 2 })
	require.NotEqual(t, first.Digest, other.Digest)
}

func TestAViolationEndsTheRun(t *testing.T) {
	r := play(t, `
duration: 10m
nodes: [{name: good, count: 2, services: [greeter]}, {name: evil, services: [greeter], start-at: 10s}]
expect: {always: [nobody-is-evil], after-heal: [everybody-met], report: {greetings: {max: 1}, greetings.none: 3}}
`)
	require.Equal(t, report.Failed, r.Verdict)
	e := expectation(t, r, "nobody-is-evil")
	require.False(t, e.Held)
	require.Regexp(t, `^at 1[12]\.\d+s: greeted by evil \(greeter greeted of (good-1|good-2|evil)\)$`, e.Detail)
	require.Less(t, r.VirtualMS, int64(13_000))
	require.Equal(t, "the run ended before", expectation(t, r, "everybody-met").Detail)
	require.True(t, expectation(t, r, "everybody-met").NotAsked)
	require.True(t, expectation(t, r, "greetings.none").NotAsked)
	require.False(t, e.NotAsked)
	require.Contains(t, expectation(t, r, "greetings").Detail, "expected at most 1")
	require.Equal(t, "has no value in this run, expected 3, when the run ended", expectation(t, r, "greetings.none").Detail)
}

func TestWhatDoesNotRecoverFails(t *testing.T) {
	r := play(t, `
duration: 5s
nodes: [{name: a, services: [greeter]}, {name: b, services: []}]
expect: {after-heal: {within: 3s, all: [everybody-met]}}
`)
	require.Equal(t, report.Failed, r.Verdict)
	require.Equal(t, "not within 3s after healing: a has not been greeted by b", expectation(t, r, "everybody-met").Detail)
	require.Equal(t, int64(8_000), r.VirtualMS)
}

func TestActionsAreCountedNotJudged(t *testing.T) {
	r := play(t, `
duration: 10s
nodes: [{name: a, services: [greeter]}]
timeline:
  - {at: 0s, every: 1s, times: 5, say: {to: a}}
  - {at: 2s, every: 1s, times: 3, say: {error: true}}
expect: {always: [nobody-is-evil], report: {actions.done: 5, actions.failed: 3, actions.unfinished: 0}}
`)
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	require.Equal(t, []string{"3 actions failed: say: nothing to say"}, r.Notes)
}

func TestFailpointDecidesWhenItsVictimReturns(t *testing.T) {
	var trace bytes.Buffer
	play(t, `
duration: 30s
nodes: [{name: a, count: 2, services: [greeter]}]
timeline: [{at: 2s, failpoint: {name: greeter/before-answer, on: a-1, do: crash, times: 1, restart-after: 12s}}]
`, func(o *run.Options) { o.Trace = &trace })
	var times []float64
	for _, line := range strings.Split(trace.String(), "\n") {
		if strings.Contains(line, `"n":"a-1"`) && (strings.Contains(line, `"f":"crashed"`) || strings.Contains(line, `"f":"started"`)) {
			var e struct{ T float64 }
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			times = append(times, e.T/1e9)
		}
	}
	require.Len(t, times, 3)
	require.InDelta(t, 12, times[2]-times[1], 0.5)
}

func TestExpectationsAtAMoment(t *testing.T) {
	text := `
duration: 20s
nodes: [{name: a, count: 2, services: [greeter]}]
timeline:
  - {at: 2s, every: 1s, times: 3, say: {to: a}}
  - {at: 5s, partition: [[a-1], [a-2]], for: 8s}
  - {at: 4s, expect: [everybody-met]}
  - {at: %s, expect: {all: [everybody-met], report: {actions.done: {min: 2}}, within: %s}}
`
	r := play(t, fmt.Sprintf(text, "12s", "8s"))
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	require.Len(t, r.Expectations, 6)
	require.Equal(t, "at 4s", r.Expectations[3].When)
	require.Equal(t, "at 12s", r.Expectations[4].When)
	require.Equal(t, "actions.done", r.Expectations[5].Name)

	r = play(t, fmt.Sprintf(text, "12s", "0s"))
	require.Equal(t, report.Failed, r.Verdict)
	require.Regexp(t, "^at 12s: a-. has not been greeted by a-.$", r.Expectations[3].Detail, "%+v", r.Expectations)
	require.Less(t, r.VirtualMS, int64(13_000))

	r = play(t, fmt.Sprintf(text, "3s", "0s"))
	require.Equal(t, "at 3s: 1, expected at least 2", r.Expectations[3].Detail, "%+v", r.Expectations)
	require.Equal(t, "the run ended before", r.Expectations[4].Detail)
}

func TestAFigureMayHaveATime(t *testing.T) {
	text := `
duration: 5s
nodes: [{name: a, count: 2, services: [greeter]}]
expect: {report: {greetings: {min: %d, within: 10s}}}
`
	r := play(t, fmt.Sprintf(text, 30))
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	require.Greater(t, r.VirtualMS, int64(7_000), "it waits")
	r = play(t, fmt.Sprintf(text, 2000))
	require.Equal(t, report.Failed, r.Verdict)
	require.Regexp(t, "^[0-9]+, expected at least 2000 within 10s after healing$", expectation(t, r, "greetings").Detail)
}

func TestFiguresOfTheWorld(t *testing.T) {
	r := play(t, "{duration: 2s, nodes: [{name: a, services: [greeter]}], expect: {report: {disk.bytes: {min: 1}, heap.bytes: {min: 1000}}}}")
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	r = play(t, "{duration: 2s, nodes: [{name: a, services: [greeter]}]}")
	require.NotContains(t, r.Figures, "heap.bytes", "it would not be the same everywhere")
}

// TestNodesAreSelectedByTheirState: of three, the second is greeted most at first, and
// the first one later; what was selected is in the result, and replays without asking.
func TestNodesAreSelectedByTheirState(t *testing.T) {
	text := `
duration: 20s
nodes: [{name: a, count: 2, services: [greeter]}]
timeline:
  - {at: 1s, say: {}}
  - {at: 3s, pause: {busiest: a-*}, for: 1s}
  - {at: 5s, pause: {least-loaded: a-*}, for: 1s}
  - {at: 7s, every: 1s, times: 2, number: 1, say: {}}
  - {at: 7500ms, every: 1s, times: 2, number: 1, say: {}}
  - {at: 11s, every: 2s, times: 2, pause: {busiest: a-*}, for: 1s}
  - {at: 15s, pause: {greeted-last: {}}, for: 1s}
`
	r := play(t, text)
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	var what []string
	for _, f := range r.Faults {
		what = append(what, fmt.Sprint(f.AtMS, " ", f.What))
	}
	first, second := r.Chosen["1.0"][0][0], r.Chosen["2.0"][0][0]
	require.NotEqual(t, first, second)
	require.Equal(t, []string{"3000 pause " + first, "5000 pause " + second, "11000 pause " + first, "13000 pause " + first, "15000 pause " + first}, what)
	require.Equal(t, r.Digest, play(t, text, func(o *run.Options) { o.Wire = scenario.Direct }).Digest)

	s, err := scenario.Parse("toy.yaml", []byte(text), words())
	require.NoError(t, err)
	again := play(t, string(s.Fix(r.Seed, r.Wire, s.Duration, r.Chosen).Text()))
	require.Empty(t, again.Chosen)
	for i, f := range again.Faults {
		require.Equal(t, r.Faults[i].What, f.What)
		require.Equal(t, r.Faults[i].AtMS, f.AtMS)
	}
}

// TestWhatConcernsNobodyIsSaid: a run that shows nothing says so, and fails a strict one.
func TestWhatConcernsNobodyIsSaid(t *testing.T) {
	const text = `
duration: 20s
nodes: [{name: a, count: 2, services: [greeter]}, {name: b, services: []}]
timeline:
  - {at: 500ms, crash: b, for: 10s, label: down}
  - {at: 1s, every: 2s, times: 3, pause: {slowest: b, by: uptime}, for: 1s, label: deaf}
  - {at: 6s, crash: b, for: 1s, label: down-already}
  - {at: 8s, cut: {between: [a-1, {slowest: b, by: uptime}]}, for: 1s}
expect:
  report:
    greeted:
      - {during: deaf, max: 100}
      - {during: down-already, max: 100}
      - {during: down, min: 1}
`
	r := play(t, text)
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	unproven := map[string]string{}
	for _, e := range r.Expectations {
		if e.Unproven != "" {
			unproven[e.Name] = e.Unproven
		}
	}
	require.Equal(t, map[string]string{
		"every-entry-finds-somebody":  "pause in line 6 found nobody, 3 of 3 times; cut in line 8 found nobody, 1 of 1 times",
		"greeted during deaf":         "no fault with the label deaf has hit anything",
		"greeted during down-already": "no fault with the label down-already has hit anything",
	}, unproven)
	strict := play(t, text, func(o *run.Options) { o.Strict = true })
	require.Equal(t, report.Failed, strict.Verdict)
	require.Len(t, strict.Broken(), 3)
}

// TestFiguresOfWindows: two nodes greet each other and themselves once a second for a minute; one of
// them is cut off in the middle.
func TestFiguresOfWindows(t *testing.T) {
	text := `
duration: 1m
nodes: [{name: a, count: 2, services: [greeter]}]
timeline:
  - {at: 20s, isolate: a-1, for: 10s, label: alone}
  - {at: 40s, isolate: a-1, for: 5s, label: alone}
  - {at: 50s, every: 1s, times: 4, number: 3, say: {}}
expect:
  report:
    greeted:
      - {node: a-1, during: alone, max: %d}
      - {node: a-1, until: 20s, min: 30, max: 42}
      - {node: a-1, after: 31s, until: 38s, min: 10, max: 16}
      - {node: "a-*", after: 1s, until: 10s, min: 30, max: 40}
    waits.max: {max: 1}
    waits.p50: {after: 52s, min: 1}
`
	r := play(t, fmt.Sprintf(text, 1)) // what was on its way arrives
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	require.Less(t, r.Figures["greeted{node: a-1} during alone"], 2.0)
	require.Len(t, r.Longest, 3)
	require.Equal(t, "waits", r.Longest[0].Of)
	require.Equal(t, 1.0, r.Longest[0].Amount)
	require.Regexp(t, "^greeting of a-[12]$", r.Longest[0].Object)
	r = play(t, strings.ReplaceAll(fmt.Sprintf(text, 1), "isolate: a-1, for: 10s", "slow-link: {on: a-1, latency: 20ms}, for: 10s"))
	require.Equal(t, report.Failed, r.Verdict)
	require.Regexp(t, "^greeted{node: a-1} during alone: [0-9]+, expected at most 1", r.Broken()[0])
}

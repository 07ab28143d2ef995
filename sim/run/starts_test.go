package run_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
)

func TestACloudThatNeverBootsFails(t *testing.T) {
	r := play(t, `
duration: 30s
settings: {greeter: {broken: true}}
nodes: [{name: a, count: 3, services: [greeter]}]
`)
	require.Equal(t, report.Failed, r.Verdict)
	e := expectation(t, r, "every-node-starts")
	require.Regexp(t, `^at .*: a-[123] did not start: node a-[123]: start greeter: broken \(node start-failed of a-[123]\)$`, e.Detail)
}

func TestAStartIsExcusedByWhatHoldsItUp(t *testing.T) {
	r := play(t, `
duration: 1m
nodes: [{name: a, count: 3, services: [greeter]}, {name: late, services: [greeter], start-at: 10s}]
timeline:
  - {at: 5s, failpoint: {name: greeter/starting, on: late, do: error}, for: 20s}
  - {at: 5s, disk: {on: a-1, full: true}, for: 20s}
  - {at: 6s, crash: a-1, for: 1s}
expect: {after-heal: [everybody-met]}
`)
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	e := expectation(t, r, "every-node-starts")
	require.Greater(t, e.Evaluated, 4)
	require.Greater(t, e.Excused["a failpoint, a bad disk or a pause held up the start"], 20)
}

func TestANodeThatNeverComesBackFails(t *testing.T) {
	r := play(t, `
duration: 5m
nodes: [{name: a, services: [greeter]}, {name: b, services: [greeter], settings: {greeter: {stuck: true}}}]
timeline: [{at: 5s, pause: b, for: 20s}, {at: 30s, crash: b, for: 10s}]
`)
	require.Equal(t, report.Failed, r.Verdict)
	require.Equal(t, "at 1m41s: b should be up and is not, for 1m1s since nothing keeps it down", expectation(t, r, "every-node-starts").Detail)
}

func TestAServiceThatRefusesForEverFails(t *testing.T) {
	deaf := `
duration: 5s
nodes: [{name: a, services: [greeter]}, {name: b, services: [greeter], settings: {greeter: {deaf: true}}}]
expect: {after-heal: {within: 1m, all: [everybody-met]}}
`
	r := play(t, deaf)
	require.Equal(t, report.Failed, r.Verdict)
	require.Contains(t, expectation(t, r, "every-node-starts").Detail, "greeter on b does not serve: is deaf, for more than 20s after healing")
}

func TestAStoryInWhichNothingHappensFails(t *testing.T) {
	text := `
duration: 5s
nodes: [{name: a, services: [greeter]}]
timeline: [{at: 1s, say: {error: true}}, {at: 2s, say: {error: true}}]
`
	r := play(t, text)
	require.Equal(t, report.Failed, r.Verdict)
	require.Equal(t, "none of 2 did ([say]): nothing happened that could have gone wrong", expectation(t, r, "some-action-succeeds").Detail)

	r = play(t, text[:len(text)-2]+", {at: 3s, say: {to: a}}]\n")
	require.Equal(t, report.Held, r.Verdict, "%+v", r.Expectations)
	require.Equal(t, "1 of 3 did", expectation(t, r, "some-action-succeeds").Detail)
	require.Equal(t, []report.Action{{Name: "say", Done: 1, Failed: 2}}, r.Exercised.Actions)
}

func TestStrictDemandsJudgements(t *testing.T) {
	text := `
duration: 10s
nodes: [{name: a, services: []}]
timeline: [{at: 1s, cut: {between: [a, client]}}, {at: 2s, crash: a, for: 3s}, {at: 3s, crash: a, for: 1s}]
expect: {always: [nobody-is-evil]}
`
	r := play(t, text)
	require.Equal(t, report.Held, r.Verdict)
	require.Equal(t, "never evaluated", expectation(t, r, "nobody-is-evil").Unproven)
	require.Equal(t, 2, r.Exercised.WithoutEffect)
	require.True(t, r.Faults[0].WithoutEffect && !r.Faults[1].WithoutEffect && r.Faults[2].WithoutEffect, "%+v", r.Faults)

	r = play(t, text, func(o *run.Options) { o.Strict = true })
	require.Equal(t, report.Failed, r.Verdict)
	require.Contains(t, r.Replay, "--strict")
}

package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// TestVacuousScenariosFail: a story in which nothing can go wrong proves nothing.
// plain is the expectation that fails by default, strict one that only
// fails with --strict.
func TestVacuousScenariosFail(t *testing.T) {
	for name, one := range map[string]struct{ text, plain, strict string }{
		"a cloud that never boots": {`
duration: 40s
nodes: [{name: a, count: 2, services: [tns, patrick], start-at: 39999ms}]
timeline: [{at: 5s, push: {retry-for: 10s}}]
expect: {always: [no-lost-jobs, dedupe], after-heal: [every-job-final]}
`, "some-action-succeeds", "no-lost-jobs"},
		"disks that are full from the start": {`
duration: 30s
nodes: [{name: a, count: 2, services: [tns, patrick]}]
timeline: [{at: 0s, disk: {on: "*", full: true}}, {at: 5s, push: {retry-for: 10s}}]
expect: {always: [ack-is-durable], after-heal: [replicas-converged]}
`, "some-action-succeeds", "replicas-converged"},
		"no monkey to build": {`
duration: 30s
nodes: [{name: a, count: 2, services: [tns, patrick]}]
timeline: [{at: 5s, push: {}}]
expect: {always: [newest-success-is-live, cancelled-is-not-published]}
`, "", "newest-success-is-live"},
		"monkeys without work": {`
duration: 30s
nodes: [{name: a, count: 2, services: [tns, patrick]}, {name: monkey, services: [monkey]}]
timeline: [{at: 5s, publish: {}}]
expect: {always: [slots-are-kept, no-stale-publish]}
`, "", "slots-are-kept"},
		"hoarders that hold nothing": {`
duration: 30s
nodes: [{name: a, count: 3, services: [hoarder, seer]}]
expect: {always: [last-copy-kept], after-heal: [copies-restored, bounded-surplus, content-intact]}
`, "", "copies-restored"},
		"hoarders without room": {`
duration: 30s
settings: {hoarder: {capacity: 1MiB}}
nodes: [{name: a, count: 3, services: [hoarder, seer]}]
timeline: [{at: 5s, store: {count: 3, size: 8MiB}}]
expect: {always: [last-copy-kept]}
`, "some-action-succeeds", "last-copy-kept"},
		"one replica that converges with itself": {`
duration: 20s
nodes: [{name: a, services: [tns]}]
timeline: [{at: 5s, publish: {}}]
expect: {after-heal: [replicas-converged]}
`, "", "replicas-converged"},
		"a death that is too short to be noticed": {`
duration: 30s
nodes: [{name: a, count: 3, services: [seer]}]
timeline: [{at: 10s, crash: a-1, for: 2s}]
expect: {always: [dead-node-leaves]}
`, "", "dead-node-leaves"},
		"users who reach nobody": {`
duration: 40s
nodes: [{name: a, count: 2, services: [tns, patrick]}, {name: monkey, services: [monkey]}]
timeline: [{at: 0s, cut: {between: [client, "*"]}}, {at: 5s, push: {retry-for: 10s}}]
expect: {always: [no-lost-jobs, versions-are-true, answers-are-true]}
`, "some-action-succeeds", "versions-are-true"},
		"a run that ends before anything is done": {`
duration: 1s
nodes: [{name: a, count: 2, services: [tns, patrick]}, {name: monkey, services: [monkey]}]
timeline: [{at: 900ms, push: {build-time: 20s}}]
expect: {always: [artifacts-are-kept, no-stale-publish], after-heal: [one-effective-outcome-per-job]}
`, "", "no-stale-publish"},
		"nothing is ever wiped": {`
duration: 20s
nodes: [{name: a, count: 3, services: [tns]}]
timeline: [{at: 5s, publish: {}}, {at: 10s, crash: a-1, for: 1s}]
expect: {always: [caught-up-before-serving, no-stale-publish]}
`, "", "caught-up-before-serving"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenario.Parse("vacuous.yaml", []byte(one.text), words.Vocabulary())
			require.NoError(t, err)
			r := run.Run(s, words.Vocabulary(), run.Options{Seed: 1, Wire: scenario.Direct, Strict: true})
			require.Equal(t, report.Failed, r.Verdict)
			found := map[string]report.Expectation{}
			for _, e := range r.Expectations {
				found[e.Name] = e
			}
			if one.plain != "" {
				require.False(t, found[one.plain].Held, "%+v", found[one.plain])
			}
			require.NotEmpty(t, found[one.strict].Unproven, "%+v", found[one.strict])
		})
	}
}

// TestFiguresOfServicesThatDoNotRunAreLeftOut: they cannot be expected either.
func TestFiguresOfServicesThatDoNotRunAreLeftOut(t *testing.T) {
	const text = "duration: 5s\nnodes: [{name: a, count: 2, services: [seer]}]\n"
	s, err := scenario.Parse("figures.yaml", []byte(text), words.Vocabulary())
	require.NoError(t, err)
	r := run.Run(s, words.Vocabulary(), run.Options{Seed: 1, Wire: scenario.Direct})
	require.Equal(t, report.Held, r.Verdict)
	require.Contains(t, r.Figures, "seer.members-gone")
	for name := range r.Figures {
		require.NotRegexp(t, "^(jobs|items|copies|storage|tns.published)", name)
	}
	_, err = scenario.Parse("figures.yaml", []byte(text+"expect: {always: [no-lost-jobs], report: {tns.refused: 0, jobs.pushed: 0}}\n"), words.Vocabulary())
	require.EqualError(t, err, `figures.yaml:3:19: check "no-lost-jobs": no node runs patrick
    hint: add it to the services of a group, or remove the check
figures.yaml:3:43: tns.refused: no node runs tns
    hint: add it to the services of a group, or remove the figure
figures.yaml:3:59: jobs.pushed: no node runs patrick
    hint: add it to the services of a group, or remove the figure`)
}

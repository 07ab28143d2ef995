package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const cutStory = `duration: 2m
nodes: [{name: core, count: 3, services: [seer, tns, patrick, hoarder]}, {name: monkey, services: [monkey]}]
timeline:
  - {at: 10s, every: 5s, times: 10, push: {project: hello, branch: main}}
  - {at: 12s, expect: {report: {jobs.succeeded: {min: 1}}, within: 40s}}
expect:
  always: [no-lost-jobs]
  after-heal: [every-job-final, replicas-converged]
  report: {jobs.succeeded: 10, retries: {max: 3}}
`

// TestFailedLeavesWhatAPartOfTheTimelineCanMeet: of the expectations those of always stay and
// the one that failed; figures of the whole timeline are not missed by a part of it.
func TestFailedLeavesWhatAPartOfTheTimelineCanMeet(t *testing.T) {
	s := parse(t, cutStory)
	require.False(t, s.Fix(1, Direct, s.Duration, nil).Cut)
	written := func(failed *Expectation) *Scenario {
		fixed := s.Fix(1, Direct, 20*time.Second, nil)
		require.True(t, fixed.Cut)
		fixed.Failed = failed
		return parse(t, string(fixed.Text()))
	}
	names := func(list []Check) (out []string) {
		for _, c := range list {
			out = append(out, c.Name)
		}
		return out
	}
	all := written(nil)
	require.Len(t, all.Expect.Report, 2)
	require.Len(t, all.Moments(), 1)

	always := written(&Expectation{Name: "no-lost-jobs", When: "always"})
	require.Equal(t, []string{"no-lost-jobs"}, names(always.Expect.Always))
	require.Empty(t, always.Expect.AfterHeal)
	require.Empty(t, always.Expect.Report)
	require.Empty(t, always.Moments())

	figure := written(&Expectation{Name: "jobs.succeeded", When: "report"})
	require.Len(t, figure.Expect.Report, 1, "the figure itself is the failure")
	require.Equal(t, "jobs.succeeded", figure.Expect.Report[0].Figure)
	require.Len(t, figure.Expect.Always, 1)
	require.Empty(t, figure.Expect.AfterHeal)

	healed := written(&Expectation{Name: "every-job-final", When: "after-heal"})
	require.Equal(t, []string{"every-job-final"}, names(healed.Expect.AfterHeal))
	require.Empty(t, healed.Expect.Report)

	require.Len(t, written(&Expectation{Name: "jobs.succeeded", When: "at 12s"}).Moments(), 1)
}

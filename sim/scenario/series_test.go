package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/check"
)

func seriesWords() Vocabulary {
	v := testWords()
	v.Series = []Series{
		{Name: "jobs.started", Unit: "jobs", New: CountFacts("monkey", "started")},
		{Name: "jobs.time", Unit: "seconds", Spread: true, New: Between("started", "ended", "job")},
	}
	return v
}

const windowCloud = `duration: 10m
nodes: [{name: fast, count: 2, services: [monkey], zone: east}, {name: slow, services: [monkey]}]
timeline:
  - {at: 10s, isolate: fast, for: 20s, label: cut-off}
  - {at: 50s, every: 1m, times: 2, pause: slow, for: 5s, label: asleep}
  - {at: 55s, restart: slow}
expect:
  report: `

func TestWindows(t *testing.T) {
	s, err := Parse("test.yaml", []byte(windowCloud+`
    jobs.started:
      - 40
      - {node: slow, after: 30s, until: 2m, max: 0}
      - {node: {zone: east}, during: cut-off, max: 0}
    jobs.time.p90: {during: asleep, max: 3.5, within: 10s}
`), seriesWords())
	require.NoError(t, err)
	var labels []string
	for _, b := range s.Expect.Report {
		labels = append(labels, b.Label())
	}
	require.Equal(t, []string{"jobs.started", "jobs.started{node: slow} after 30s until 2m0s", "jobs.started{node: {zone: east}} during cut-off", "jobs.time.p90 during asleep"}, labels)
	require.True(t, s.Expect.Report[0].Window.Everything())
	require.Equal(t, []string{"fast-1", "fast-2"}, s.Expect.Report[2].Window.Nodes)
	require.Equal(t, 2*time.Minute, s.Expect.Report[1].Window.To)

	fixed := s.Fix(1, Direct, s.Duration, nil)
	fixed.Expect = &Expectation{Name: labels[1], When: "report"}
	again, err := Parse("test.yaml", fixed.Text(), seriesWords())
	require.NoError(t, err, "%s", fixed.Text())
	require.Len(t, again.Expect.Report, 1)
	require.Equal(t, labels[1], again.Expect.Report[0].Label())
	require.Equal(t, "asleep", again.Plan(9)[1].Label)
	require.Equal(t, "asleep", again.Plan(9)[3].Label, "written out, both have the label")
}

// TestLabelsOfWindowsSayHowNodesAreSelected: a zone may have the name of a group.
func TestLabelsOfWindowsSayHowNodesAreSelected(t *testing.T) {
	for node, want := range map[string]string{"slow": "slow", "{running: monkey}": "{running: monkey}", "[slow, fast]": "[slow, fast]", "{all-but: fast}": "{all-but: fast}"} {
		s, err := Parse("test.yaml", []byte(windowCloud+"{jobs.started: {node: "+node+", max: 9}}\n"), seriesWords())
		require.NoError(t, err, node)
		require.Equal(t, "jobs.started{node: "+want+"}", s.Expect.Report[0].Label())
	}
}

func TestBadWindows(t *testing.T) {
	for report, want := range map[string]string{
		"{jobs.startd: 1}":                                             "unknown figure \"jobs.startd\" in report\n    hint: did you mean \"jobs.started\"?",
		"{jobs.time: 1}":                                               "unknown figure \"jobs.time\" in report\n    hint: did you mean \"jobs.time.",
		"{jobs.succeeded: {node: slow, max: 0}}":                       "jobs.succeeded is not counted by node and moment\n    hint: figures that can: jobs.started, jobs.time.p50, jobs.time.p90, jobs.time.p99, jobs.time.max",
		"{jobs.started: {node: slwo, max: 0}}":                         "no node is called \"slwo\"\n    hint: did you mean \"slow\"?",
		"{jobs.started: {nod: slow, max: 0}}":                          "unknown key \"nod\" in jobs.started\n    hint: did you mean \"node\"?",
		"{jobs.started: {during: cutt-off, max: 0}}":                   "jobs.started: no entry of the timeline has the label \"cutt-off\"\n    hint: did you mean \"cut-off\"?",
		"{jobs.started: {node: {one-of: fast}, max: 0}}":               "node: the figure is of nodes that are known before the run",
		"{jobs.started: {node: {busiest: fast}, max: 0}}":              "node: the figure is of nodes that are known before the run",
		"{jobs.started: {after: 30s, until: 20s, max: 0}}":             "jobs.started: until is not after after",
		"{jobs.started: {after: 10m, max: 0}}":                         "jobs.started: after is not before the end of the scenario (10m0s)",
		"{jobs.started: [{node: slow, max: 0}, {node: slow, min: 1}]}": "figure \"jobs.started{node: slow}\" is given twice",
		"{jobs.started: {node: slow}}":                                 "jobs.started: expected a bound",
		"{jobs.startd: {node: slow, max: 0}}":                          "unknown figure \"jobs.startd\" in report\n    hint: did you mean \"jobs.started\"?",
		"{jobs.xyzzy: {during: cut-off, max: 0}}":                      "unknown figure",
	} {
		_, err := Parse("test.yaml", []byte(windowCloud+report+"\n"), seriesWords())
		require.ErrorContains(t, err, want, report)
		var all Errors
		require.ErrorAs(t, err, &all)
		require.Len(t, all, 1, "one mistake, one error: %v", err)
		requirePositions(t, err)
	}
	for entry, want := range map[string]string{
		"{at: 1s, restart: slow, label: x}":          "restart takes no label: it does not last",
		"{at: 1s, pause: slow, label: X y, for: 1s}": "label: \"X y\" is not a name",
	} {
		_, err := Parse("test.yaml", []byte("duration: 1m\nnodes: [{name: slow, services: [monkey]}]\ntimeline: ["+entry+"]\n"), seriesWords())
		require.ErrorContains(t, err, want, entry)
	}
}

func TestBetween(t *testing.T) {
	s := Between("began", "ended", "job")()
	_, happened := s.Sample(check.Fact{Name: "ended"})
	require.False(t, happened, "it has not begun")
	_, happened = s.Sample(check.Fact{Name: "began", At: time.Second})
	require.False(t, happened)
	_, _ = s.Sample(check.Fact{Name: "began", At: 2 * time.Second}) // it goes on already
	sample, happened := s.Sample(check.Fact{Name: "ended", Node: "a", At: 4 * time.Second})
	require.True(t, happened)
	require.Equal(t, Sample{Node: "a", Amount: 3}, sample)
	_, happened = s.Sample(check.Fact{Name: "ended"})
	require.False(t, happened, "it has ended")
}

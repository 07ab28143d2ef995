package scenario

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// stateWords have two loads, of monkeys and of patricks, and a place.
func stateWords() Vocabulary {
	v := testWords()
	none := Look(func(check.View, check.NodeView) float64 { return 0 })
	v.Qualities = []Quality{
		{Name: "jobs.running", Unit: "jobs", Service: "monkey", Words: []string{"busiest", "least-loaded"}, New: none},
		{Name: "pushes.accepted", Unit: "pushes", Service: "patrick", Words: []string{"busiest"}, New: none},
		{Name: "versions", Unit: "versions", Service: "tns", Words: []string{"busiest"}, New: none},
	}
	v.Places = []Place{{Name: "holder-of", Params: func() any { return &branchParams{Branch: "main"} }}}
	return v
}

type branchParams struct {
	Branch string `yaml:"branch" range:"1..100"`
}

// moment is a State for tests.
type moment struct {
	values map[string]float64
	places map[string][]string // by branch
}

func (m moment) Measure(quality, node string) float64 {
	if x, known := m.values[quality+" "+node]; known {
		return x
	}
	return math.NaN()
}

func (m moment) Connected(a, b string) bool {
	return m.values["cut "+a] == 0 && m.values["cut "+b] == 0
}

func (m moment) Find(_ string, params any) []string { return m.places[params.(*branchParams).Branch] }

const stateCloud = `duration: 10m
nodes:
  - {name: core, count: 2, services: [tns, patrick]}
  - {name: monkey, count: 3, services: [monkey]}
timeline:
`

// hits says what the first entry does at a moment.
func hits(t *testing.T, entry string, seed uint64, m moment) (faults []string, chosen [][]string) {
	t.Helper()
	s, err := Parse("test.yaml", []byte(stateCloud+"  - {at: 1s, "+entry+"}\n"), stateWords())
	require.NoError(t, err)
	step := s.Plan(seed)[0]
	require.NotNil(t, step.Late)
	steps, chosen := step.Late(m)
	for _, s := range steps {
		faults = append(faults, s.Fault.String())
	}
	return faults, chosen
}

func TestSelectorsByState(t *testing.T) {
	m := moment{values: map[string]float64{
		"jobs.running monkey-1": 1, "jobs.running monkey-2": 3, "jobs.running monkey-3": 2,
		"pushes.accepted core-1": 5, "pushes.accepted core-2": 9, "versions core-1": 4, "versions core-2": 1,
	}, places: map[string][]string{"main": {"monkey-3", "monkey-1"}}}
	for entry, want := range map[string]string{
		"crash: {busiest: monkey-*}":                                "crash monkey-2",
		"crash: {on: {busiest: monkey-*}, lose-disk: true}":         "crash monkey-2, losing the disk",
		"crash: {busiest: monkey-*, count: 2}":                      "crash monkey-2 monkey-3",
		"crash: {least-loaded: monkey}":                             "crash monkey-1",
		"crash: {busiest: core, by: versions}":                      "crash core-1",
		"crash: {busiest: {running: patrick}, by: pushes.accepted}": "crash core-2",
		"crash: {holder-of: {branch: main}}":                        "crash monkey-3",
		"crash: {holder-of: {branch: main}, count: 2}":              "crash monkey-3 monkey-1",
		"crash: {holder-of: {branch: other}}":                       "crash nobody",
		"crash: {one-of: {busiest: monkey-*, count: 1}}":            "crash monkey-2",
		"partition: [[{busiest: monkey-*}], [\"*\"]]":               "partition monkey-2 | core-1 core-2 monkey-1 monkey-3",
		"isolate: {all-but: {holder-of: {branch: main}}}":           "isolate core-1 core-2 monkey-1 monkey-2",
	} {
		faults, _ := hits(t, entry, 1, m)
		require.Equal(t, []string{want}, faults, entry)
	}
	faults, _ := hits(t, "failpoint: {name: monkey/after-lock, on: {holder-of: {branch: other}}, do: crash}", 1, m)
	require.Empty(t, faults, "nobody is not everybody")
	m.values["jobs.running monkey-2"] = math.NaN()
	faults, _ = hits(t, "crash: {busiest: monkey-*, count: 3}", 1, m)
	require.Equal(t, []string{"crash monkey-1 monkey-3"}, faults, "who has no value is not selected")
}

// TestTiesAreDrawn: by the seed, and each of those who are equal at some.
func TestTiesAreDrawn(t *testing.T) {
	m := moment{values: map[string]float64{"jobs.running monkey-1": 2, "jobs.running monkey-2": 2, "jobs.running monkey-3": 1}}
	seen := map[string]int{}
	for seed := range uint64(40) {
		faults, _ := hits(t, "crash: {busiest: monkey-*}", seed, m)
		again, _ := hits(t, "crash: {busiest: monkey-*}", seed, m)
		require.Equal(t, faults, again)
		seen[faults[0]]++
	}
	require.Len(t, seen, 2, "%v", seen)
	require.Zero(t, seen["crash monkey-3"])
}

// TestWhatWasSelectedIsWrittenOut: a plan that has happened needs no state again.
func TestWhatWasSelectedIsWrittenOut(t *testing.T) {
	text := stateCloud + "  - {at: 1s, every: 10s, times: 2, crash: {busiest: monkey-*}, for: 2s..5s}\n  - {at: 2s, partition: [[{busiest: monkey-*}], [{holder-of: {branch: main}}]]}\n"
	s, err := Parse("test.yaml", []byte(text), stateWords())
	require.NoError(t, err)
	m := moment{values: map[string]float64{"jobs.running monkey-1": 1}, places: map[string][]string{"main": {"monkey-3"}}}
	chosen, want := map[string][][]string{}, []Step{}
	for _, step := range s.Plan(4)[:2] { // the run ended before the third
		faults, picked := step.Late(m)
		chosen[step.Key] = picked
		want = append(want, faults...)
	}
	fixed := s.Fix(4, Direct, s.Duration, chosen)
	again, err := Parse("test.yaml", fixed.Text(), stateWords())
	require.NoError(t, err)
	steps := again.Plan(99)
	require.Len(t, steps, 2, "%s", fixed.Text())
	for i, step := range steps {
		require.Equal(t, want[i].Fault, step.Fault)
		require.Equal(t, want[i].For, step.For)
	}
	require.Equal(t, fault.Crash{Nodes: []string{"monkey-1"}}, steps[0].Fault)
}

func TestBadSelectorsByState(t *testing.T) {
	for entry, want := range map[string]string{
		"crash: {busiest: core}":                            "busiest: these nodes run several services, each with its own load\n    hint: add by, one of: pushes.accepted, versions",
		"crash: {busiest: \"*\"}":                           "busiest: these nodes have no quality that it means\n    hint: add by, one of: disk.bytes, uptime",
		"crash: {slowest: monkey}":                          "slowest: these nodes have no quality that it means\n    hint: add by, one of: disk.bytes, uptime, jobs.running",
		"crash: {busiest: monkey, by: job.running}":         "by: these nodes have no quality \"job.running\"\n    hint: did you mean \"jobs.running\"?",
		"crash: {busyest: monkey}":                          "unknown key \"busyest\" in crash\n    hint: did you mean \"busiest\"?",
		"crash: {on: {busyest: monkey}}":                    "unknown key \"busyest\" in a selection of nodes\n    hint: did you mean \"busiest\"?",
		"crash: {holder-of: {brunch: main}}":                "unknown key \"brunch\" in holder-of\n    hint: did you mean \"branch\"?",
		"crash: {one-of: monkey, by: jobs.running}":         "by without busiest, least-loaded or slowest\n    hint: write {busiest: monkey-*, by: ...}",
		"crash: {busiest: monkey, least-loaded: monkey}":    "\"least-loaded\" beside \"busiest\": two ways to select nodes\n    hint: keep one of them, or nest them",
		"crash: {busiest: monkey, by: jobs.running, of: 3}": "unknown key \"of\" in crash\n    hint: did you mean \"on\"?",
	} {
		_, err := Parse("test.yaml", []byte(stateCloud+"  - {at: 1s, "+entry+"}\n"), stateWords())
		require.ErrorContains(t, err, want, entry)
		requirePositions(t, err)
	}
	_, err := Parse("test.yaml", []byte("duration: 1m\nnodes: [{name: m, count: 2, services: [monkey]}]\nnetwork: {links: [{on: {busiest: m}, latency: 1ms}]}\n"), stateWords())
	require.ErrorContains(t, err, "test.yaml:3:25: busiest: there is no moment here at which it could be asked")
}

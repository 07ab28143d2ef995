package scenario

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// askedWords have an action that asks patricks.
func askedWords() Vocabulary {
	v := stateWords()
	v.Actions[0].Service = "patrick"
	v.Actions[0].Validate = nil
	return v
}

func askedStep(t *testing.T, entry string) (*Scenario, Step) {
	t.Helper()
	s, err := Parse("test.yaml", []byte(stateCloud+"  - {at: 1s, "+entry+"}\n"), askedWords())
	require.NoError(t, err)
	return s, s.Plan(1)[0]
}

// TestWhomAnActionAsks: some nodes, by lot and by state too, and it is written out.
func TestWhomAnActionAsks(t *testing.T) {
	_, step := askedStep(t, "push: {project: a}")
	require.Nil(t, step.To, "whom it likes")
	s, step := askedStep(t, "push: {project: a, to: core-2}")
	require.Equal(t, []string{"core-2"}, step.To)
	require.Contains(t, string(s.Fix(1, Direct, s.Duration, nil).Text()), "push: {to: [core-2], project: a}")
	_, step = askedStep(t, "push: {to: {one-of: core}}")
	require.Len(t, step.To, 1)

	m := moment{values: map[string]float64{"pushes.accepted core-1": 1, "pushes.accepted core-2": 7, "cut core-2": 1}}
	for entry, want := range map[string][]string{
		"push: {to: {busiest: core, by: pushes.accepted}}":  {"core-2"},
		"push: {to: {reachable: core}}":                     {"core-1"},
		"push: {to: {unreachable: core, from: client}}":     {"core-2"},
		"push: {to: {unreachable: core, from: core}}":       {"core-1", "core-2"}, // of itself apart
		"push: {to: {holder-of: {branch: main}}}":           {},
		"push: {to: {reachable: core, from: m*, count: 1}}": {"core-1"},
	} {
		s, step := askedStep(t, entry)
		require.NotNil(t, step.Late, entry)
		late, chosen := step.Late(m)
		require.Equal(t, want, late[0].To, entry)
		fixed := s.Fix(1, Direct, s.Duration, map[string][][]string{step.Key: chosen})
		again, err := Parse("test.yaml", fixed.Text(), askedWords())
		require.NoError(t, err, entry)
		if len(want) == 0 {
			require.Empty(t, again.Plan(9), "who asked nobody")
		} else {
			require.Equal(t, want, again.Plan(9)[0].To, entry)
		}
	}
}

func TestWhomAnActionCannotAsk(t *testing.T) {
	for entry, want := range map[string]string{
		"push: {to: monkey}": "test.yaml:6:25: push: no node here runs patrick\n    hint: nodes that do: core-1, core-2",
		"push: {to: core-3}": "no node is called \"core-3\"",
		"push: {to: []}":     "expected nodes, found an empty list",
		"push: {to: {reachable: core, from: {one-of: core}}}": "from: expected nodes that are known before the run",
		"push: {to: {one-of: core, from: client}}":            "from without reachable or unreachable",
		"push: {to: {unreachable: core, count: 3}}":           "picks 3 nodes of 2",
		"push: {too: core-1}":                                 "unknown key \"too\" in push",
	} {
		_, err := Parse("test.yaml", []byte(stateCloud+"  - {at: 1s, "+entry+"}\n"), askedWords())
		require.ErrorContains(t, err, want, entry)
	}
	_, err := Parse("test.yaml", []byte("duration: 1m\nnodes: [{name: a, services: [seer]}]\ntimeline: [{at: 1s, push: {}}]\n"), askedWords())
	require.ErrorContains(t, err, "test.yaml:3:21: push: no node runs patrick")
}

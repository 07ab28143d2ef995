package shrink

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/scenario"
)

var words = scenario.Vocabulary{
	Services: []node.Spec{{Name: "a", Settings: func() any { return nil }}},
	Actions: []scenario.Action{{Name: "do", Params: func() any {
		return &struct {
			What string `yaml:"what"`
		}{}
	}, Run: func(context.Context, node.Env, any, int) error { return nil }}},
}

// TestShrink: of two hundred faults, fifty actions and twenty nodes the ones are
// left that it takes, as short, early and round as it allows.
func TestShrink(t *testing.T) {
	s, err := scenario.Parse("many.yaml", []byte(`
duration: 10m
network: {latency: 1ms..30ms}
nodes: [{name: core, count: 5, services: [a]}, {name: edge, count: 15, services: [a]}]
timeline:
  - {at: 31s, every: 7s, times: 50, do: {what: "x-{n}"}}
  - {at: 30s..40s, every: 2s..3s, times: 100, crash: {some-of: edge-*, count: 3}, for: 8s..30s}
  - {at: 30s..40s, every: 2s..3s, times: 98, pause: {one-of: "*"}, for: 1s..3s}
  - {at: 200s, isolate: [core-2, core-3, core-4], for: 90s}
  - {at: 250s, partition: [[core-1, edge-1, edge-2], ["*"]]}
`), words)
	require.NoError(t, err)
	fixed := s.Fix(1, scenario.Direct, s.Duration, nil)
	runs, better := 0, 0
	// it fails if core-3 is isolated for 30 s or more and core-1 and core-3 are parted
	// after that, when one of the actions from 20 on has been done
	fails := func(f *scenario.Fixed) bool {
		runs++
		again, err := scenario.Parse("again.yaml", f.Text(), words)
		require.NoError(t, err, "%s", f.Text())
		var isolated, parted, acted bool
		for _, x := range again.Plan(1) {
			switch y := x.Fault.(type) {
			case fault.Isolate:
				isolated = isolated || slices.Contains(y.From, "core-3") && x.For >= 30*time.Second
			case fault.Partition:
				parted = parted || isolated && slices.ContainsFunc(y.Groups, func(g []string) bool { return slices.Contains(g, "core-1") && !slices.Contains(g, "core-3") })
			}
			acted = acted || x.Action != nil && x.N >= 20
		}
		return isolated && parted && acted
	}
	require.True(t, fails(fixed))
	shrinker := Shrinker{
		Failing: func(list []*scenario.Fixed) int { return slices.IndexFunc(list, fails) },
		Better: func(f *scenario.Fixed, _ string) {
			better++
			require.True(t, fails(f))
		},
	}
	got := shrinker.Shrink(fixed, nil, 255*time.Second, true)
	require.True(t, fails(got))
	faults, actions := got.Count()
	require.Equal(t, []int{2, 1}, []int{faults, actions}, "%s", got.Text())
	require.ElementsMatch(t, []string{"core-1", "core-3"}, slices.DeleteFunc(slices.Clone(got.Nodes), func(n string) bool { return strings.HasPrefix(n, "edge") }))
	require.LessOrEqual(t, len(got.Nodes), 3)
	require.Equal(t, "5ms", got.Latency)
	require.Less(t, got.Duration, 2*time.Minute)
	require.True(t, (&Shrinker{best: got}).isRound(), "%s", got.Text())
	require.Regexp(t, `for: (30|3\d|4\d)s, isolate: \[core-3\]`, string(got.Text()))
	require.Less(t, runs, 1000)
	require.Positive(t, better)
}

// TestNothingIsLeftOutThatItTakes: an oracle that only likes the whole gets it back.
func TestNothingIsLeftOutThatItTakes(t *testing.T) {
	s, err := scenario.Parse("few.yaml", []byte(`
duration: 1m
nodes: [{name: core, count: 2, services: [a]}]
timeline:
  - {at: 1s..2s, every: 3s, times: 4, crash: {one-of: "*"}, for: 1s..5s}
`), words)
	require.NoError(t, err)
	fixed := s.Fix(1, scenario.Direct, s.Duration, nil)
	text := string(fixed.Text())
	shrinker := Shrinker{
		Failing: func(list []*scenario.Fixed) int {
			return slices.IndexFunc(list, func(f *scenario.Fixed) bool { return string(f.Text()) == text })
		},
		Better: func(*scenario.Fixed, string) {},
	}
	require.Equal(t, text, string(shrinker.Shrink(fixed, nil, 0, false).Text()))
}

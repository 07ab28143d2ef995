package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/swarm"
	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// TestFixedStoriesAreTheSame: a story with its draws written out plans the same
// steps for the same nodes, whatever the story speaks of.
func TestFixedStoriesAreTheSame(t *testing.T) {
	stories := load(t)
	for n := range uint64(60) {
		s, err := scenario.Parse("swarm.yaml", []byte(swarm.Story(n)), words.Vocabulary())
		require.NoError(t, err)
		stories = append(stories, s)
	}
	for _, s := range stories {
		for seed := range uint64(2) {
			fixed := s.Fix(seed, scenario.Direct, s.Duration, nil)
			text := fixed.Text()
			if len(text) > scenario.FileLenMax {
				continue
			}
			again, err := scenario.Parse(s.Name+"-fixed.yaml", text, words.Vocabulary())
			require.NoError(t, err, "%s\n%s", s.File, text)
			require.Equal(t, seed, again.Seed)
			require.Equal(t, s.Duration, again.Duration)
			require.Len(t, again.Nodes, len(s.Nodes))
			for i, n := range s.Nodes {
				require.Equal(t, n.Name, again.Nodes[i].Name)
				require.Equal(t, n.Later, again.Nodes[i].Later)
				for k, c := range n.Services {
					require.Equal(t, c.Settings, again.Nodes[i].Services[k].Settings)
				}
			}
			require.Len(t, again.Expect.Always, len(s.Expect.Always))
			require.Len(t, again.Expect.Report, len(s.Expect.Report))
			steps := again.Plan(99) // no seed changes it
			require.Len(t, steps, len(fixed.Steps), s.File)
			for i, want := range fixed.Steps {
				got := steps[i]
				got.Key, got.Entry, want.Key, want.Entry = "", 0, "", 0
				require.Equal(t, want.Action == nil, got.Action == nil)
				require.Equal(t, want.Moment == nil, got.Moment == nil)
				if want.Action != nil {
					require.Equal(t, want.Action.Name, got.Action.Name)
					require.Equal(t, want.N, got.N)
				}
				if want.Fault != nil {
					require.Equal(t, want.Fault.String(), got.Fault.String())
					switch want.Fault.(type) {
					case fault.Mend, fault.Release: // those of the client are named once more
					default:
						require.Equal(t, want.Fault, got.Fault)
					}
				}
				require.Equal(t, want.At, got.At)
				require.Equal(t, want.For, got.For)
				require.EqualValues(t, want.Params, got.Params)
			}
		}
	}
}

// TestAFixedStoryIsTheSameRun: event for event.
func TestAFixedStoryIsTheSameRun(t *testing.T) {
	for _, s := range load(t) {
		if s.Name != "seer-one-way" && s.Name != "monkey-crashes" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			if !inWorker(t, newHits()) {
				return
			}
			first := run.Run(s, words.Vocabulary(), run.Options{Seed: 5, Wire: scenario.Direct})
			fixed, err := scenario.Parse("fixed.yaml", s.Fix(5, scenario.Direct, s.Duration, nil).Text(), words.Vocabulary())
			require.NoError(t, err)
			again := run.Run(fixed, words.Vocabulary(), run.Of(fixed))
			require.Equal(t, first.Digest, again.Digest)
		})
	}
}

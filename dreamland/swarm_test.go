package dreamland

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/sweep"
)

// toySwarm makes texts that say what was chosen.
type toySwarm struct{}

func (toySwarm) Kinds() []string { return []string{"a", "b", "c"} }

func (toySwarm) Story(n uint64, c sweep.Choice) (string, []string) {
	return fmt.Sprint(n, c), []string{toySwarm{}.Kinds()[n%3]}
}

// TestAGuidedSwarmFollowsFromItsResults: whichever runs end first, and whether it is
// gone on with after an interruption, the stories are the same.
func TestAGuidedSwarmFollowsFromItsResults(t *testing.T) {
	const stories = 3*sweep.Batch + 5
	reached := func(o uint64) []string { return []string{fmt.Sprint(o % 7), fmt.Sprint(o / 10)} }
	corpus := t.TempDir()
	made := func(jobs int, known uint64, draw *rand.Rand) (texts []string) {
		m := &maker{flags: &swarmFlags{guided: true, corpus: corpus}, swarm: toySwarm{}, first: 1, shard: sweep.Shard{Part: 1, Of: 1},
			guide: sweep.NewGuide(), stories: map[uint64]madeUp{}, reached: map[uint64][]string{}}
		for o := range known {
			m.reached[o] = reached(o)
		}
		var running []uint64
		for next := known; next < stories || len(running) > 0; {
			may, err := m.may(min(next, stories-1))
			require.NoError(t, err)
			if next < stories && len(running) < jobs && may {
				texts = append(texts, m.story(next).text)
				running = append(running, next)
				next++
				continue
			}
			require.NotEmpty(t, running, "it waits for nobody")
			i := draw.IntN(len(running))
			m.reached[running[i]] = reached(running[i])
			running = append(running[:i], running[i+1:]...)
		}
		return texts
	}
	want := made(1, 0, rand.New(rand.NewPCG(1, 1)))
	require.Len(t, want, stories)
	require.NotEqual(t, fmt.Sprint(sweep.Batch+1, sweep.Choice{}), want[sweep.Batch], "something was chosen")
	for seed := range uint64(20) {
		require.Equal(t, want, made(7, 0, rand.New(rand.NewPCG(seed, 2))))
	}
	require.Equal(t, want[50:], made(3, 50, rand.New(rand.NewPCG(9, 9))))
	files, err := filepath.Glob(filepath.Join(corpus, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	raw, err := os.ReadFile(filepath.Join(corpus, "swarm-1.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(raw), "# reached first: 0")
}

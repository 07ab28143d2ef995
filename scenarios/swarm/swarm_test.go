package swarm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/sweep"
)

// swarmDefault is how many scenarios nobody wrote are run by every test; `make
// swarm` runs others, as many as one likes.
const swarmDefault = 6

// TestSwarm runs scenarios that are made by chance (see Story): clouds of any
// layout, under any mixture of faults. SWARM=FIRST..LAST chooses which ones. A
// scenario that fails is kept as a file. With SWARM_FILES=DIR they are written
// there, and nothing runs.
func TestSwarm(t *testing.T) {
	first, last := 1, swarmDefault
	if chosen := os.Getenv("SWARM"); chosen != "" {
		from, to, _ := strings.Cut(chosen, "..")
		first, last = number(t, from), number(t, to)
	}
	for n := first; n <= last; n++ {
		text := Story(uint64(n))
		file := fmt.Sprintf("swarm-%d.yaml", n)
		if dir := os.Getenv("SWARM_FILES"); dir != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
			continue
		}
		s, err := scenario.Parse(file, []byte(text), words.Vocabulary())
		require.NoError(t, err, "%s", text)
		r := run.Run(s, words.Vocabulary(), run.Options{Seed: s.Seed, Wire: scenario.Direct})
		t.Logf("%s %s %d events", file, r.Verdict, r.Events)
		if n%3 == 0 {
			other := run.Run(s, words.Vocabulary(), run.Options{Seed: s.Seed, Wire: scenario.Mocknet, Perturb: uint64(n)})
			assert.Equal(t, r.Digest, other.Digest, "%s on the other wire, perturbed", file)
		}
		if r.Verdict == report.Held {
			continue
		}
		kept := filepath.Join(os.TempDir(), file)
		require.NoError(t, os.WriteFile(kept, []byte(text), 0o644))
		t.Errorf("%s\n  replay: dreamland sim %s --wire direct", strings.Join(r.Broken(), "\n"), kept)
	}
}

// TestEveryStoryIsOne: whatever is chosen, the text is a scenario, settings fit
// together, and what was turned off is not in it.
func TestEveryStoryIsOne(t *testing.T) {
	guide := sweep.NewGuide()
	knobs, based := 0, 0
	for n := uint64(1); n <= 300; n++ {
		c := sweep.Choice{Knobs: true}
		switch n % 4 {
		case 1:
			c.Weights = map[string]float64{"crash": 0, "partition": 9}
		case 2:
			c.Weights, c.Only, c.Rate = map[string]float64{"crash": 1, "pause": 2}, true, 2.5
		case 3:
			c = guide.Choose(n, Swarm{}.Kinds(), c)
		}
		text, kinds := Swarm{}.Story(n, c)
		again, _ := Swarm{}.Story(n, c)
		require.Equal(t, text, again)
		_, err := scenario.Parse("x.yaml", []byte(text), words.Vocabulary())
		require.NoError(t, err, "%s", text)
		switch n % 4 {
		case 1:
			require.NotContains(t, kinds, "crash")
		case 2:
			require.Subset(t, []string{"crash", "pause"}, kinds)
			require.NotContains(t, text, "partition:")
		}
		for _, k := range onlyKnobs {
			if strings.Contains(text, k) {
				knobs++
			}
		}
		if c.Base != 0 {
			based++
		}
		guide.Learn(n, kinds, []string{fmt.Sprint(n % 50)})
	}
	require.Greater(t, knobs, 100)
	require.Positive(t, based)
	require.Contains(t, Story(1), "name: swarm-1\n")
}

// onlyKnobs are settings that only knobs turn.
var onlyKnobs = []string{"race-window:", "transfers-max:", "replicate-timeout:", "exchange-interval:"}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "SWARM=FIRST..LAST")
	return n
}

package counter_test

import (
	"testing"

	"example.com/counter"
	"github.com/taucloud/tau/simtest"
)

func TestCounter(t *testing.T) {
	simtest.Run(t, counter.Vocabulary(), "counter.yaml")
	simtest.Seeds(t, counter.Vocabulary(), "counter.yaml", 5)
}

// TestAPlantedBugIsFound: a story that cannot fail says nothing.
func TestAPlantedBugIsFound(t *testing.T) {
	r := simtest.Find(t, counter.Vocabulary(), "planted.yaml", 100, "nothing-acknowledged-is-lost")
	t.Logf("seed %d: %s", r.Seed, r.Broken()[0])
}

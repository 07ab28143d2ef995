// Libraries draw from the global random numbers, which this makes the same in each process.
//go:debug randautoseed=0

package gossip_test

import (
	"testing"

	"example.com/gossip"
	"github.com/taucloud/tau/simtest"
)

// TestGossip, as the other one, makes a run twice, once disturbed: the digests are equal
// although the library has goroutines and timers of its own.
func TestGossip(t *testing.T) { simtest.Run(t, gossip.Vocabulary(), "gossip.yaml") }

func TestGossipUnderFaults(t *testing.T) {
	simtest.Run(t, gossip.Vocabulary(), "faults.yaml")
	simtest.Seeds(t, gossip.Vocabulary(), "faults.yaml", 5)
}

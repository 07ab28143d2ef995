package patrickapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRanksAreByTheAttempt: all that rank monkeys for an offer, of whatever version of the program, use the same key.
func TestRanksAreByTheAttempt(t *testing.T) {
	for attempt, want := range map[uint64]string{1: "j/1", 10: "j/10", 11: "j/11", 1<<64 - 1: "j/18446744073709551615"} {
		require.Equal(t, want, Offer{Job: "j", Attempt: attempt}.RankKey())
	}
}

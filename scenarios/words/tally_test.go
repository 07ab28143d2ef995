package words

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/sim/check"
)

// TestEveryExpectationSaysWhatItRestsOn: a verdict of which nobody knows how
// often something was judged for it may rest on nothing.
func TestEveryExpectationSaysWhatItRestsOn(t *testing.T) {
	for _, c := range Vocabulary().Checks {
		counts, ok := c.New().(check.Counts)
		require.True(t, ok, "%s has no tally", c.Name)
		require.Zero(t, counts.Counted(check.During).Evaluated+counts.Counted(check.AfterHeal).Evaluated, c.Name)
	}
}

package live

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/services/patrick"
)

// TestABuildEndsBeforeItsAttempt: what takes too long is told to its author at once. If the attempt ended first, that would look like
// a monkey that is slow, and others would try.
func TestABuildEndsBeforeItsAttempt(t *testing.T) {
	require.Less(t, sandbox.DefaultLimits.Within, patrick.DefaultSettings().BuildMax)
}

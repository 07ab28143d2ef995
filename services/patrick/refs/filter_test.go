package refs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAFilterStaysAsItWasMade, whatever becomes of the list of patterns that it was made of.
func TestAFilterStaysAsItWasMade(t *testing.T) {
	patterns := []string{"main", "release/*"}
	follow, err := Branches(patterns...)
	require.NoError(t, err)
	patterns[0], patterns[1] = "other", "["
	for ref, want := range map[string]bool{
		"refs/heads/main": true, "refs/heads/release/1": true, "refs/heads/release/1/2": false, "refs/heads/other": false, "refs/tags/main": false, "main": false,
	} {
		require.Equal(t, want, follow(ref), ref)
	}
}

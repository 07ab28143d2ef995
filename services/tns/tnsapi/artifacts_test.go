package tnsapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOwnersOfArtifacts name their job as it is called while there is room for that, and are short and different for all.
func TestOwnersOfArtifacts(t *testing.T) {
	seen := map[string]bool{}
	for n := range 200 {
		job := strings.Repeat("j", n)
		owner := ArtifactOwner(job)
		require.LessOrEqual(t, len(owner), 70)
		require.Equal(t, n <= 64, owner == "job/"+job, "%d bytes", n)
		require.Equal(t, owner, ArtifactOwner(job))
		require.False(t, seen[owner])
		seen[owner] = true
	}
}

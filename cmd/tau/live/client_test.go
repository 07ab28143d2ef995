package live

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
)

// TestASocketBelowALongRoot is reached all the same: its own path is longer than sockets may have.
func TestASocketBelowALongRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	paths := shape.PathsOf(root, "main")
	client := NewClient(paths.Socket)
	require.Error(t, client.Ask(t.Context(), "facts", nil, nil, new(any)))
	log := NewLog(os.Stderr, 0, true)
	s, err := listen(paths, &running{cfg: Config{Shape: shape.Defaults(), Log: log}})
	require.NoError(t, err)
	observer{log}.Observe("n", "s", "f", nil)
	var page FactsResponse
	require.NoError(t, client.Ask(t.Context(), "facts", nil, nil, &page))
	require.Len(t, page.Facts, 1)
	var f *Failure
	require.ErrorAs(t, client.Ask(t.Context(), "jobs", nil, JobsRequest{}, new(any)), &f)
	require.True(t, f.Starting)
	s.close()
	require.ErrorIs(t, client.Ask(t.Context(), "facts", nil, nil, &page), ErrNotRunning)
	require.NoError(t, os.RemoveAll(paths.Run))
	require.ErrorIs(t, client.Ask(t.Context(), "facts", nil, nil, &page), ErrNotRunning)
}

package live

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/storage/pebbledisk"
)

// TestKilledOnAnEmptyDisk: a node that may start on an empty disk, and is killed when it has made the new one and has not
// noted it, starts again.
func TestKilledOnAnEmptyDisk(t *testing.T) {
	paths := shape.PathsOf(t.TempDir(), "one")
	require.NoError(t, os.MkdirAll(paths.Keys, 0o700))
	require.NoError(t, os.WriteFile(paths.Disk, []byte("0123\n"), 0o600))
	require.ErrorContains(t, takeDisk(paths, false), "the disk of this node is gone")
	require.NoError(t, takeDisk(paths, true))
	d, err := pebbledisk.Open(paths.Data, pebbledisk.Options{})
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, takeDisk(paths, false), "it is this node's disk")

	require.NoError(t, os.WriteFile(paths.Disk, []byte("0123\n"), 0o600))
	require.ErrorContains(t, takeDisk(paths, true), "is not the one that this node has run with", "another one, which is not empty")
	require.FileExists(t, paths.Disk)
}

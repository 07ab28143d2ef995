package pebbledisk

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cut is a disk in a file system that loses what was not synced.
type cut struct {
	*Disk
	t  testing.TB
	fs *vfs.MemFS
}

// small makes memtables and levels so small that a test of moments writes them out and compacts them.
func small(o *pebble.Options) {
	o.MemTableSize = 64 << 10
	o.LBaseMaxBytes = 256 << 10
	o.L0CompactionThreshold = 2
}

// openCut opens the disk that lies in a file system, until the end of the test or the next power cut.
func openCut(t testing.TB, fs *vfs.MemFS) *cut {
	d, err := Open("disk", Options{FS: fs, tune: small})
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return &cut{d, t, fs}
}

// power cuts it, and opens what is left: what was synced, and percent of all other blocks of files and
// entries of directories, drawn from r.
func (c *cut) power(percent int, r *rand.Rand) *cut {
	left := c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
	require.NoError(c.t, c.Close())
	return openCut(c.t, left)
}

func TestDisk(t *testing.T) {
	storagetest.RunDisk(t, func(t *testing.T) (storage.Disk, func(*rand.Rand) storage.Disk) {
		c := openCut(t, vfs.NewCrashableMem())
		return c.Disk, func(r *rand.Rand) storage.Disk {
			c = c.power(r.IntN(3)*50, r)
			return c.Disk
		}
	})
}

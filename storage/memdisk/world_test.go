package memdisk_test

import (
	"math/rand/v2"
	"testing"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/storage/storagetest"
)

func TestDisk(t *testing.T) {
	storagetest.RunDisk(t, func(*testing.T) (storage.Disk, func(*rand.Rand) storage.Disk) {
		d := memdisk.New()
		return d, func(r *rand.Rand) storage.Disk {
			d = d.Crash(r.IntN(d.Unsynced()+1), true)
			return d
		}
	})
}

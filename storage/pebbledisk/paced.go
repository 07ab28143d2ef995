package pebbledisk

import (
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pauseWhenFull is how long pebble waits before it tries again to write out what did not fit. By itself
// it does not wait at all.
const pauseWhenFull = time.Second

// pacedFS makes that pause where nothing is locked: before a file is made that is written out in the background.
type pacedFS struct {
	vfs.FS
	room *room
}

// Create implements vfs.FS.
func (p pacedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob") {
		p.room.pause()
	}
	return p.FS.Create(name, c)
}

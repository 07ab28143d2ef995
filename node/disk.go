package node

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
)

// suspectDisk trusts a disk until a flush fails. Then it is unknown which writes since the last
// good flush are on the disk: many systems drop the dirty pages, so that the next flush succeeds
// although the writes are lost. So all later flushes fail, and the node ends as in a power cut: its
// next start uses only what is on the disk.
type suspectDisk struct {
	storage.Disk
	failed func(error)

	mu  sync.Mutex // a disk may report on any goroutine
	err error      // of the first flush that failed
}

// Flush implements storage.Disk.
func (d *suspectDisk) Flush(done func(error)) {
	d.Disk.Flush(func(err error) {
		before, first := d.trust(err)
		if first {
			d.failed(err)
		}
		done(cmp.Or(err, before))
	})
}

// trust returns the error of the first flush that failed before, and whether this
// is the first one.
func (d *suspectDisk) trust(err error) (before error, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before = d.err
	first = before == nil && err != nil && !errors.Is(err, clock.ErrStopped)
	if first {
		d.err = err
	}
	return before, first
}

// suspect wraps the disk of a world.
func suspect(w World, loop clock.Loop, name string) storage.Disk {
	return &suspectDisk{Disk: w.Disk, failed: func(err error) {
		w.Observer.Observe(name, "node", "disk-failed", []Field{F("error", err.Error())})
		loop.Go("crash", func(context.Context) { w.Crash() })
	}}
}

package pebbledisk

import (
	"context"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-datastore"
)

// flushes are those that were asked for and have not been reported: all of them share the next sync of
// the log, so that a thousand writers need no more syncs than one.
type flushes struct {
	mu      sync.Mutex
	waiting []func(error)
	under   bool // a goroutine syncs until nobody waits
}

// Flush implements storage.Disk.
func (d *Disk) Flush(done func(error)) {
	d.flushes.mu.Lock()
	d.flushes.waiting = append(d.flushes.waiting, done)
	begin := !d.flushes.under
	d.flushes.under = true
	d.flushes.mu.Unlock()
	if begin {
		go d.flushAll()
	}
}

func (d *Disk) flushAll() {
	for {
		d.flushes.mu.Lock()
		list := d.flushes.waiting
		d.flushes.waiting = nil
		d.flushes.under = len(list) > 0
		d.flushes.mu.Unlock()
		if len(list) == 0 {
			return
		}
		err := d.sync()
		for _, done := range list {
			done(err)
		}
	}
}

// sync makes what was written before durable: the log is one file after the other, each of which is synced
// before the next one begins.
func (d *Disk) sync() error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	if err := d.failed(); err != nil {
		return err
	}
	if err := d.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	return d.failed()
}

// Sync implements datastore.Write. Unlike Flush it waits: use that.
func (d *Disk) Sync(context.Context, datastore.Key) error { return d.sync() }

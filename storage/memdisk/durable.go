package memdisk

import (
	"slices"
	"strings"

	"github.com/taucloud/tau/storage/internal/ordered"
)

// Durable implements storage.Durable: what Crash(0, false) would leave. Faults of the disk are
// ignored.
func (d *Disk) Durable(key string) (value []byte, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.journal) > 0 {
		if u, unsynced := d.index().Get(key); unsynced {
			return u.value, u.was
		}
	}
	return d.entries.Get(key)
}

// index brings oldest up to date: the first write of a key since the last flush
// knows what it was before all of them.
func (d *Disk) index() *ordered.Map[undo] {
	if d.oldest == nil {
		d.oldest = ordered.New[undo](strings.Compare)
	}
	for ; d.indexed < len(d.journal); d.indexed++ {
		for _, u := range d.journal[d.indexed].undo {
			if _, known := d.oldest.Get(u.key); !known {
				d.oldest.Set(u.key, u)
			}
		}
	}
	return d.oldest
}

// unindex is called when the journal has lost some of what it had.
func (d *Disk) unindex() { d.oldest, d.indexed = nil, 0 }

// DurableBelow implements storage.Durable.
func (d *Disk) DurableBelow(prefix string, f func(key string, value []byte) bool) {
	for _, e := range d.durableBelow(prefix) {
		if !f(e.key, e.value) {
			return
		}
	}
}

func (d *Disk) durableBelow(prefix string) (list []undo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var unsynced *ordered.Map[undo]
	if len(d.journal) > 0 {
		unsynced = d.index()
		unsynced.From(prefix, func(key string, u undo) bool {
			below := strings.HasPrefix(key, prefix)
			if below && u.was {
				list = append(list, u)
			}
			return below
		})
	}
	was := len(list)
	d.entries.From(prefix, func(key string, value []byte) bool {
		below := strings.HasPrefix(key, prefix)
		if !below {
			return false
		}
		if unsynced != nil {
			if _, found := unsynced.Get(key); found {
				return true
			}
		}
		list = append(list, undo{key: key, value: value})
		return true
	})
	if was > 0 {
		slices.SortFunc(list, func(a, b undo) int { return strings.Compare(a.key, b.key) })
	}
	return list
}

// DurableClone returns an independent copy of what would survive a crash at this
// moment.
func (d *Disk) DurableClone() *Disk {
	c := New()
	d.DurableBelow("", func(key string, value []byte) bool {
		c.set(key, value)
		return true
	})
	return c
}

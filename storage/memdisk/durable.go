package memdisk

import (
	"slices"
	"strings"
)

// Durable implements storage.Durable: what Crash(0, false) would leave. Faults
// of the disk do not come into it.
func (d *Disk) Durable(key string) (value []byte, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.journal {
		for _, u := range c.undo {
			if u.key == key { // the oldest knows what it was before all of them
				return u.value, u.was
			}
		}
	}
	return d.entries.Get(key)
}

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
	unsynced := map[string]bool{}
	for _, c := range d.journal {
		for _, u := range c.undo {
			if !strings.HasPrefix(u.key, prefix) || unsynced[u.key] {
				continue
			}
			unsynced[u.key] = true
			if u.was {
				list = append(list, u)
			}
		}
	}
	was := len(list)
	d.entries.From(prefix, func(key string, value []byte) bool {
		below := strings.HasPrefix(key, prefix)
		if below && !unsynced[key] {
			list = append(list, undo{key: key, value: value})
		}
		return below
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

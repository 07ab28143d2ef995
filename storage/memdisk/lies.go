package memdisk

import (
	"maps"
	"slices"
	"strings"
)

// Fate is the true outcome of the write of a record that the disk has acknowledged.
type Fate uint8

// The fates of a record.
const (
	// Landed: it is written, as expected.
	Landed Fate = iota
	// Lost: the medium keeps the old value, without an error.
	Lost
	// Misdirected: another record of the medium is overwritten instead.
	Misdirected
)

// record is the value of a key on the medium, or its absence.
type record struct {
	value []byte
	was   bool
	// told: a failed flush has reported it.
	told bool
}

// lieUndo is what the medium had for a key before a write, and whether that was
// something else than the caches showed. lands: the write changed it.
type lieUndo struct {
	key         string
	medium      record
	lied, lands bool
}

// A disk that lies shows what was written from its caches until these are gone;
// lies holds what the medium has instead, for the keys where that differs, once
// everything that was written has reached it.

// medium is what the medium has for a key, and whether the caches show something
// else.
func (d *Disk) medium(key string) (r record, lied bool) {
	if r, lied = d.lies[key]; lied {
		return r, true
	}
	value, was := d.entries.Get(key)
	return record{value: value, was: was}, false
}

// decide draws the fate of a record before it is written, and records in c what the medium had. A
// deletion cannot be misdirected.
func (d *Disk) decide(c *change, key string, value []byte, put bool) {
	fate, draw := Landed, uint64(0)
	if d.faults.Record != nil {
		fate, draw = d.faults.Record(key)
	}
	before, lied := d.medium(key)
	c.lies = append(c.lies, lieUndo{key, before, lied, fate == Landed})
	if fate == Landed {
		delete(d.lies, key)
		return
	}
	d.lie(key, before)
	if victim := d.victim(key, draw); fate == Misdirected && put && victim != "" {
		before, lied := d.medium(victim)
		c.lies = append(c.lies, lieUndo{victim, before, lied, true})
		d.lie(victim, record{value: value, was: true})
	}
}

func (d *Disk) lie(key string, r record) {
	if d.lies == nil {
		d.lies = map[string]record{}
	}
	d.lies[key] = r
}

// victim chooses another key by a draw, "" if there is none.
func (d *Disk) victim(key string, draw uint64) (victim string) {
	if d.entries.Len() == 0 {
		return ""
	}
	n := draw % uint64(d.entries.Len())
	d.entries.From("", func(k string, _ []byte) bool {
		if k != key {
			victim = k
		}
		if n > 0 {
			n--
			return true
		}
		return victim == ""
	})
	return victim
}

// unlie undoes the effect of a write on the medium.
func (d *Disk) unlie(c change) {
	for _, u := range slices.Backward(c.lies) {
		if u.lied {
			d.lie(u.key, u.medium)
		} else {
			delete(d.lies, u.key)
		}
	}
}

// DropCaches makes what is really on the medium visible, as a restart of the
// machine does, and returns how many records are not what was acknowledged; those
// that were lost by a flush that failed do not count. Everything that was written
// counts as having reached the medium: call it after Crash or Flush.
func (d *Disk) DropCaches() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, key := range slices.Sorted(maps.Keys(d.lies)) {
		r := d.lies[key]
		if !r.told {
			n++
		}
		d.restore(undo{key, r.value, r.was})
	}
	d.lies, d.journal = nil, nil
	d.unindex()
	return n
}

// FailFlush is what a flush of the first n writes does that fails as that of many
// systems does: none of them reaches the medium, but the caches take them for
// written, so that the next flush succeeds and they are gone all the same.
func (d *Disk) FailFlush(n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	flushed := d.writes - uint64(len(d.journal))
	if n <= flushed {
		return
	}
	dropped, left := d.journal[:n-flushed], d.journal[n-flushed:]
	medium := map[string]record{} // before what was dropped, of the keys it changed
	var keys []string
	for _, c := range dropped {
		c.eachLie(func(u *lieUndo) bool {
			if _, known := medium[u.key]; !known && u.lands {
				u.medium.told = u.medium.told || !u.lied
				medium[u.key] = u.medium
				keys = append(keys, u.key)
			}
			return true
		})
	}
	slices.SortFunc(keys, strings.Compare)
	for _, key := range keys {
		if !remains(left, key, medium[key]) {
			d.lie(key, medium[key])
		}
	}
	d.journal = left
	d.unindex()
}

// remains tells the remaining writes what the medium has for a key before them, and reports whether
// one of them changes it.
func remains(left []change, key string, r record) (lands bool) {
	for i := range left {
		left[i].spell(key)
		left[i].eachLie(func(u *lieUndo) bool {
			if u.key == key {
				u.medium, u.lied = r, true
				lands = u.lands
			}
			return !lands
		})
		if lands {
			return true
		}
	}
	return false
}

// eachLie calls f for the effects of a write on the medium, in order, until it returns false.
// Without a recorded effect the write was normal.
func (c *change) eachLie(f func(u *lieUndo) bool) {
	if !c.lying {
		for _, u := range c.undo {
			if !f(&lieUndo{key: u.key, medium: record{value: u.value, was: u.was}, lands: true}) {
				return
			}
		}
		return
	}
	for i := range c.lies {
		if !f(&c.lies[i]) {
			return
		}
	}
}

// spell records the effect of a normal write on the medium, if it concerns a key.
func (c *change) spell(key string) {
	if c.lying || !slices.ContainsFunc(c.undo, func(u undo) bool { return u.key == key }) {
		return
	}
	for _, u := range c.undo {
		c.lies = append(c.lies, lieUndo{key: u.key, medium: record{value: u.value, was: u.was}, lands: true})
	}
	c.lying = true
}

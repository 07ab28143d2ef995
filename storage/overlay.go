package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// On the disk, below a replica's place.
const (
	diskKeys   = "/k" // a record for each key
	diskIndex  = "/c" // go-ds-crdt's other entries: heads and processed deltas
	diskDeltas = "/n" // the deltas themselves
)

// overlay stands between go-ds-crdt and the disk. It holds the whole index in
// memory (some 400 bytes and the value for each live key, 200 for each delta
// ever made), so reads and walks do not touch the disk, and it gathers the
// writes of one operation until commit makes them one batch of the disk: no
// crash leaves half an operation.
//
// Our replicas process every delta once and after all its ancestors, so neither
// a deleted element nor its tombstone is looked at again; the overlay drops
// both, and overwriting or deleting a key costs the same however often it was
// written before.
//
// The lock is for go-ds-crdt's own goroutines, of which one takes statistics
// now and then; otherwise only one goroutine at a time works on an overlay.
type overlay struct {
	disk Disk
	at   Key

	mu      sync.Mutex
	records *ordered.Map[*record] // by key
	rest    *ordered.Map[[]byte]  // by go-ds-crdt's key
	unsaved []diskWrite
	dirty   []string // keys of records to be saved
	changed map[Key]bool
	damaged map[Key]bool // keys of which load found a record that is corrupt
}

// diskWrite is one write to come, with its place below the overlay's.
type diskWrite struct {
	key    string
	value  []byte
	delete bool
}

var _ datastore.Batching = (*overlay)(nil)

func newOverlay(disk Disk, at Key) *overlay {
	return &overlay{
		disk:    disk,
		at:      at,
		records: ordered.New[*record](compareKeys),
		rest:    ordered.New[[]byte](strings.Compare),
		changed: map[Key]bool{},
		damaged: map[Key]bool{},
	}
}

// load reads the index from the disk. It fails with ErrCorrupt after it has read
// what is sound of it.
func (o *overlay) load() error {
	err := o.loadSealed(diskKeys, func(key string, value []byte) error {
		r, err := decodeRecord(value)
		if err == nil {
			o.records.Set(key, r)
		}
		return err
	})
	return errors.Join(err, o.loadSealed(diskIndex, func(key string, value []byte) error {
		o.rest.Set(key, value)
		return nil
	}))
}

// present returns the records of all keys that have a value, not copies of them.
func (o *overlay) present() map[Key]*record {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[Key]*record{}
	o.records.From("", func(key string, r *record) bool {
		if r.value != nil {
			all[Key(key)] = r
		}
		return true
	})
	return all
}

func (o *overlay) loadSealed(below Key, f func(key string, value []byte) error) error {
	var corrupt error
	err := scanDisk(o.disk, o.at+below, func(k Key, sealed []byte) error {
		value, err := unseal(string(k), sealed)
		if err != nil {
			err = readSound(o.disk, k, func(sealed []byte) (err error) {
				value, err = unseal(string(k), sealed)
				return err
			})
		}
		if err == nil {
			err = f(string(k[len(o.at)+len(below):]), value)
		}
		if errors.Is(err, ErrCorrupt) {
			corrupt, err = err, nil
			if below == diskKeys {
				o.damaged[k[len(o.at)+len(below):]] = true
			}
		}
		return err
	})
	return errors.Join(err, corrupt)
}

// markChanged has takeChanged return these keys too.
func (o *overlay) markChanged(keys iter.Seq[Key]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range keys {
		o.changed[k] = true
	}
}

// saveDelta adds a delta to the operation.
func (o *overlay) saveDelta(id string, raw []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsaved = append(o.unsaved, diskWrite{key: diskDeltas + id, value: raw})
}

// commit writes the operation to the disk. What the disk refuses stays for the
// next commit: memory runs ahead, and still no state of the disk is half done.
func (o *overlay) commit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.saveRecords()
	if len(o.unsaved) == 0 {
		return nil
	}
	ctx := context.Background()
	batch, err := o.disk.Batch(ctx)
	if err != nil {
		return fmt.Errorf("storage: save replica: %w", err)
	}
	for _, w := range o.unsaved {
		key := datastore.RawKey(string(o.at) + w.key)
		if w.delete {
			err = batch.Delete(ctx, key)
		} else {
			err = batch.Put(ctx, key, w.value)
		}
		if err != nil {
			return fmt.Errorf("storage: save replica: %w", err)
		}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("storage: save replica: %w", err)
	}
	clear(o.unsaved)
	o.unsaved = o.unsaved[:0]
	return nil
}

// saveRecords turns the records that changed into writes, each once.
func (o *overlay) saveRecords() {
	for _, key := range o.dirty {
		r, found := o.records.Get(key)
		switch {
		case !found:
			o.unsaved = append(o.unsaved, diskWrite{key: diskKeys + key, delete: true})
		case r.dirty:
			r.dirty = false
			o.save(diskKeys+key, r.encode())
		}
	}
	o.dirty = o.dirty[:0]
}

func (o *overlay) save(key string, value []byte) {
	value = seal(string(o.at)+key, value)
	o.unsaved = append(o.unsaved, diskWrite{key: key, value: value})
}

// takeChanged returns the user's keys that were written since it was last
// called.
func (o *overlay) takeChanged() map[Key]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	changed := o.changed
	if len(changed) > 0 {
		o.changed = map[Key]bool{}
	}
	return changed
}

// value returns the value of a key.
func (o *overlay) value(k Key) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r, found := o.records.Get(string(k)); found && r.value != nil {
		return r.value, true
	}
	return nil, false
}

// list calls f for the keys below prefix that have a value, in order. f must
// not call the overlay.
func (o *overlay) list(prefix Key, f func(k Key, value []byte)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if prefix == "/" {
		prefix = ""
	}
	o.records.From(string(prefix), func(key string, r *record) bool {
		if !Key(key).Has(prefix) {
			return false
		}
		if r.value != nil {
			f(Key(key), r.value)
		}
		return true
	})
}

// processed reports whether the delta of a block is part of the state.
func (o *overlay) processed(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, found := o.rest.Get(crdtProcessed + id)
	return found
}

// Package storage is what survives, as services see it: a local key-value store ([Local]), a
// replicated one ([Replicated]) and content-addressed blocks ([Blocks]), over the port to a node's
// disk ([Disk]). It holds the contracts and the little that all of them share; packages localkv,
// replicated and blocks implement them.
//
// Functions without a context are atomic (they do not give up the turn): reads
// and writes hit memory or the page cache. Sync takes a context: it waits for
// the disk, and only what was synced survives a crash.
//
// Last-writer-wins has rules, and Replicated does not enforce them: one key per entry and never a
// contended key; never a collection as a value; conflicts become two entries and are resolved by
// readers; reading before writing is an optimisation and excludes nothing; numbers in keys are
// zero-padded.
package storage

import (
	"context"
	"errors"

	"github.com/ipfs/go-datastore"
)

var (
	// ErrNotFound is returned when a key has no value or a block is not here.
	ErrNotFound = errors.New("storage: not found")
	// ErrCorrupt is returned when the disk gave back other bytes than were
	// written.
	ErrCorrupt = errors.New("storage: corrupt value")
	// ErrFull is returned by a write for which the disk has no room. It had no effect; reads are served,
	// and writes again when there is room.
	ErrFull = errors.New("storage: the disk is full")
	// ErrTooLarge is returned when a bound of this package is exceeded.
	ErrTooLarge = errors.New("storage: too large")
)

// Entry is a key and its value.
type Entry struct {
	Key   Key
	Value []byte
}

// Compare orders entries by their keys.
func (e Entry) Compare(other Entry) int { return e.Key.Compare(other.Key) }

// Disk is the port to one node's disk. Reads and writes do not wait. A Batch is
// atomic. After a crash, a prefix of what was written since the last Flush may
// be there, and the last write of it, if it was no batch, may be torn.
type Disk interface {
	datastore.Batching
	// Flush makes everything that was written before the call survive a crash
	// and reports once, on any goroutine.
	Flush(done func(error))
}

// Store is what a local and a replicated store have in common.
type Store interface {
	// Get returns ErrNotFound if there is no value. The caller owns the result.
	Get(k Key) ([]byte, error)
	// List returns the entries below prefix, in key order.
	List(prefix Key) ([]Entry, error)
	// Apply makes all writes of the batch or none, also across a crash.
	Apply(b *Batch) error
	// Sync waits until everything written before survives a crash.
	Sync(ctx context.Context) error
}

// Batch collects writes that belong together. The zero value is ready.
type Batch struct {
	writes []Write
}

// Write puts a value, or deletes the one that there is.
type Write struct {
	Key    Key
	Value  []byte
	Delete bool
}

// Put adds a write. The batch owns value from now on.
func (b *Batch) Put(k Key, value []byte) *Batch {
	b.writes = append(b.writes, Write{Key: k, Value: value})
	return b
}

// Delete adds a deletion.
func (b *Batch) Delete(k Key) *Batch {
	b.writes = append(b.writes, Write{Key: k, Delete: true})
	return b
}

// Writes are the writes in the order in which they were added, lent.
func (b *Batch) Writes() []Write { return b.writes }

// Len is the number of writes.
func (b *Batch) Len() int { return len(b.writes) }

// Put is Apply of a single write.
func Put(s Store, k Key, value []byte) error { return s.Apply(new(Batch).Put(k, value)) }

// Delete is Apply of a single deletion.
func Delete(s Store, k Key) error { return s.Apply(new(Batch).Delete(k)) }

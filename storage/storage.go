// Package storage is what survives: a local key-value store over go-datastore,
// a replicated one over go-ds-crdt, and content-addressed blocks over boxo.
//
// Functions without a context are atomic (they do not give up the turn): reads
// and writes hit memory or the page cache. Sync takes a context: it waits for
// the disk, and only what was synced survives a crash.
package storage

import (
	"context"
	"errors"
	"strings"

	"github.com/ipfs/go-datastore"
)

// ErrNotFound is returned when a key has no value or a block is not here.
var ErrNotFound = errors.New("storage: not found")

// Key is a slash-separated path such as "/jobs/0001/claim". Build it with K.
type Key string

// K joins parts to a Key; each part is escaped, so that a part may hold any
// text, also a slash, and still be one path element. Order of keys is order of
// the escaped bytes, with the separator before everything else.
func K(parts ...string) Key {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(escapePart(p))
	}
	return Key(b.String())
}

// Parts is the inverse of K.
func (k Key) Parts() []string { panic("not built yet") }

// Has reports whether k is prefix or lies below it: "/a/b" has "/a", not "/a/bc".
func (k Key) Has(prefix Key) bool { panic("not built yet") }

func escapePart(string) string { panic("not built yet") }

// Entry is a key and its value.
type Entry struct {
	Key   Key
	Value []byte
}

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
	writes []write
}

type write struct {
	key    Key
	value  []byte
	delete bool
}

// Put adds a write. The batch owns value from now on.
func (b *Batch) Put(k Key, value []byte) *Batch {
	b.writes = append(b.writes, write{key: k, value: value})
	return b
}

// Delete adds a deletion.
func (b *Batch) Delete(k Key) *Batch {
	b.writes = append(b.writes, write{key: k, delete: true})
	return b
}

// Len is the number of writes.
func (b *Batch) Len() int { return len(b.writes) }

// Put is Apply of a single write.
func Put(s Store, k Key, value []byte) error { return s.Apply(new(Batch).Put(k, value)) }

// Delete is Apply of a single deletion.
func Delete(s Store, k Key) error { return s.Apply(new(Batch).Delete(k)) }

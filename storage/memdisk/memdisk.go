// Package memdisk is a disk in memory that knows what was flushed, so that it can lose the rest:
// for tests and for the simulated world, which decides when a flush ends, what survives a crash and
// which operation fails.
package memdisk

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// ErrCrashed is returned by a disk after Crash.
var ErrCrashed = errors.New("memdisk: crashed")

// Op is a kind of operation, for Faults.
type Op string

// The operations.
const (
	OpGet   Op = "get" // also Has and GetSize
	OpQuery Op = "query"
	OpWrite Op = "write" // a put, a delete or the commit of a batch
	OpFlush Op = "flush"
)

// Faults are hooks into a disk; each may be nil. They are called with the disk
// locked, so they must not call it.
type Faults struct {
	// Fail returns the error of an operation, nil if it shall succeed. key is
	// the key, the prefix of a query or the first key of a batch.
	Fail func(op Op, key string) error
	// Read returns what a reading of value gives; it must not change value.
	Read func(key string, value []byte) []byte
	// Record decides what becomes of one record of a write, which the disk
	// acknowledges in any case. draw chooses where a misdirected one lands.
	Record func(key string) (fate Fate, draw uint64)
}

// Disk is one node's disk in memory. Keys are in byte order. It takes ownership
// of what is written and lends what is read: neither may be changed. It may be
// used by several goroutines.
type Disk struct {
	mu      sync.Mutex
	faults  Faults
	entries *ordered.Map[[]byte]
	bytes   int
	writes  uint64   // since New, never reset
	journal []change // undoes what was written since the last flush
	// oldest is, of the keys that the first indexed of the journal wrote, what they
	// were before: what is durable of them.
	oldest  *ordered.Map[undo]
	indexed int
	lies    map[string]record
	crashed bool
}

// change is one write that was not flushed.
type change struct {
	undo []undo // in the order of writing
	// single is a put outside of a batch, which a crash can tear.
	single bool
	// lying: lies has what the write did to the medium, which may be something
	// else than was acknowledged. Otherwise it did what it should.
	lying bool
	lies  []lieUndo
}

type undo struct {
	key   string
	value []byte
	was   bool
}

// New returns an empty disk.
func New() *Disk { return &Disk{entries: ordered.New[[]byte](strings.Compare)} }

// SetFaults replaces the hooks.
func (d *Disk) SetFaults(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// Flush makes everything written so far survive and calls done at once.
func (d *Disk) Flush(done func(error)) { done(d.FlushUpTo(d.Writes())) }

// Writes counts the writes since New; a batch is one.
func (d *Disk) Writes() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// FlushUpTo makes the first n writes since New survive, as a flush does that began when Writes was
// n.
func (d *Disk) FlushUpTo(n uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(OpFlush, ""); err != nil {
		return err
	}
	flushed := d.writes - uint64(len(d.journal))
	if n > flushed {
		d.journal = append([]change(nil), d.journal[n-flushed:]...) // nil if none is left
		d.unindex()
	}
	return nil
}

// Unsynced is the number of writes that a crash may lose.
func (d *Disk) Unsynced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.journal)
}

// Bytes is the size of all keys and values.
func (d *Disk) Bytes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bytes
}

// Crash ends this disk and returns the one that the node finds after it: with
// what was flushed and the first keep of the writes since. If torn, the last of
// these, unless it is a batch or a deletion, has lost its second half.
func (d *Disk) Crash(keep int, torn bool) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	keep = min(keep, len(d.journal))
	for i := len(d.journal) - 1; i >= keep; i-- {
		undos := d.journal[i].undo
		for j := len(undos) - 1; j >= 0; j-- {
			d.restore(undos[j])
		}
		d.unlie(d.journal[i])
	}
	if torn && keep > 0 && d.journal[keep-1].single {
		key := d.journal[keep-1].undo[0].key
		if value, found := d.entries.Get(key); found {
			d.set(key, value[:len(value)/2])
		}
	}
	next := &Disk{faults: d.faults, entries: d.entries, bytes: d.bytes, lies: d.lies}
	d.crashed, d.entries, d.journal, d.lies = true, nil, nil, nil
	d.unindex()
	return next
}

// Wipe ends this disk and returns an empty one.
func (d *Disk) Wipe() *Disk {
	d.Crash(0, false)
	next := New()
	next.SetFaults(d.faults)
	return next
}

// Clone returns an independent copy, with everything in it flushed.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New()
	d.entries.From("", func(key string, value []byte) bool {
		c.set(key, value)
		return true
	})
	return c
}

func (d *Disk) restore(u undo) {
	if u.was {
		d.set(u.key, u.value)
	} else {
		d.remove(u.key)
	}
}

func (d *Disk) set(key string, value []byte) undo {
	old, was := d.entries.Get(key)
	d.entries.Set(key, value)
	d.bytes += len(value) - len(old)
	if !was {
		d.bytes += len(key)
	}
	return undo{key, old, was}
}

func (d *Disk) remove(key string) undo {
	old, was := d.entries.Get(key)
	if was {
		d.entries.Delete(key)
		d.bytes -= len(key) + len(old)
	}
	return undo{key, old, was}
}

// begin begins a write of n records.
func (d *Disk) begin(n int) change {
	return change{undo: make([]undo, 0, n), lying: d.faults.Record != nil || len(d.lies) > 0}
}

// write puts or deletes one record of a write.
func (d *Disk) write(c *change, key string, value []byte, put bool) {
	if c.lying {
		d.decide(c, key, value, put)
	}
	if put {
		c.undo = append(c.undo, d.set(key, value))
	} else {
		c.undo = append(c.undo, d.remove(key))
	}
}

func (d *Disk) check(op Op, key string) error {
	if d.crashed {
		return ErrCrashed
	}
	if d.faults.Fail != nil {
		return d.faults.Fail(op, key)
	}
	return nil
}

func (d *Disk) record(c change) {
	d.journal = append(d.journal, c)
	d.writes++
}

// Get implements datastore.Read.
func (d *Disk) Get(_ context.Context, key datastore.Key) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(OpGet, key.String()); err != nil {
		return nil, err
	}
	value, found := d.entries.Get(key.String())
	if !found {
		return nil, datastore.ErrNotFound
	}
	return d.read(key.String(), value), nil
}

func (d *Disk) read(key string, value []byte) []byte {
	if d.faults.Read != nil {
		return d.faults.Read(key, value)
	}
	return value
}

// Has implements datastore.Read.
func (d *Disk) Has(ctx context.Context, key datastore.Key) (bool, error) {
	return datastore.GetBackedHas(ctx, d, key)
}

// GetSize implements datastore.Read.
func (d *Disk) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	return datastore.GetBackedSize(ctx, d, key)
}

// Query implements datastore.Read: a snapshot, in byte order of keys.
func (d *Disk) Query(_ context.Context, q query.Query) (query.Results, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(OpQuery, q.Prefix); err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(datastore.NewKey(q.Prefix).String(), "/") + "/"
	var entries []query.Entry
	d.entries.From(prefix, func(key string, value []byte) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		e := query.Entry{Key: key, Size: len(value)}
		if !q.KeysOnly {
			e.Value = d.read(key, value)
		}
		entries = append(entries, e)
		return true
	})
	q.Prefix = ""
	return query.NaiveQueryApply(q, query.ResultsWithEntries(q, entries)), nil
}

// Put implements datastore.Write.
func (d *Disk) Put(_ context.Context, key datastore.Key, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(OpWrite, key.String()); err != nil {
		return err
	}
	c := d.begin(1)
	c.single = true
	d.write(&c, key.String(), value, true)
	d.record(c)
	return nil
}

// Delete implements datastore.Write.
func (d *Disk) Delete(_ context.Context, key datastore.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(OpWrite, key.String()); err != nil {
		return err
	}
	c := d.begin(1)
	d.write(&c, key.String(), nil, false)
	d.record(c)
	return nil
}

// Sync implements datastore.Datastore.
func (d *Disk) Sync(context.Context, datastore.Key) error {
	return d.FlushUpTo(d.Writes())
}

// Close implements datastore.Datastore.
func (d *Disk) Close() error { return nil }

// Batch implements datastore.Batching.
func (d *Disk) Batch(context.Context) (datastore.Batch, error) { return &batch{disk: d}, nil }

type batch struct {
	disk *Disk
	puts []undo // was means: put, otherwise delete
}

func (b *batch) Put(_ context.Context, key datastore.Key, value []byte) error {
	b.puts = append(b.puts, undo{key.String(), value, true})
	return nil
}

func (b *batch) Delete(_ context.Context, key datastore.Key) error {
	b.puts = append(b.puts, undo{key: key.String()})
	return nil
}

// Commit is one write, all or nothing. The batch may be committed once.
func (b *batch) Commit(context.Context) error {
	d := b.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(b.puts) == 0 {
		return nil
	}
	if err := d.check(OpWrite, b.puts[0].key); err != nil {
		return err
	}
	c := d.begin(len(b.puts))
	for _, w := range b.puts {
		d.write(&c, w.key, w.value, w.was)
	}
	d.record(c)
	b.puts = nil
	return nil
}

// Package pebbledisk is a node's disk in a directory: a storage.Disk on pebble, a
// log-structured store. It knows nothing of what lies on it.
//
// One process at a time has a directory (LOCK), and a file says in which format it is
// (FORMAT). Syncs that are asked for while one is under way share the next one. Values of
// 4 KiB and more go to files beside the tree, which are not written again when that is
// compacted. When room ends writes are refused until there is room again, and reads are
// served: see room.go.
package pebbledisk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-datastore"
)

// ErrClosed is returned by whatever is asked of a disk that was closed.
var ErrClosed = errors.New("storage: the disk is closed")

// Options change how a disk is opened. The zero value is ready.
type Options struct {
	// Reserve is how many bytes of the file system stay free: below that, writes are refused. Zero
	// is DefaultReserve.
	Reserve uint64
	// Log is told when room ends and returns, and what pebble complains of; nil: nobody is.
	Log *slog.Logger
	// FS is where the directory is, for tests; nil is the machine's.
	FS vfs.FS

	tune func(*pebble.Options) // for tests
}

// What pebble may use. A memtable is written out when it is full; writers would wait, within a turn,
// only while memTablesMax of them are waiting for that, which is 64 MiB. All of it is memory of Go's, of which a node keeps
// half as much again for garbage, so it is small: whoever reads more than the cache holds reads what the system caches of files.
const (
	memTableSize = 4 << 20
	memTablesMax = 16
	cacheSize    = 8 << 20
	openFilesMax = 512
	// separateMin is the size from which a value lies in a file beside the tree. Blocks have up to 256
	// KiB, all else has mostly less than 1 KiB.
	separateMin = 4 << 10
	// blobsMax is to how many of those files one of the tree may point, where they overlap, before they are
	// written anew: a block is read by itself, so it does not matter which lie together.
	blobsMax = 256
	// garbageMax is the part of those files that may be deleted values before they are written anew.
	garbageMax = 0.3
)

// Disk is a storage.Disk. It may be used on any goroutine.
type Disk struct {
	db     *pebble.DB
	room   *room
	unlock func() error
	log    *slog.Logger

	// mu is held for reading by whoever is within pebble, and for writing while the disk is closed:
	// pebble panics when it is used afterwards.
	mu     sync.RWMutex
	closed bool

	queriesMu sync.Mutex
	queries   map[*rows]bool // that have not ended

	flushes flushes
	failure atomic.Pointer[error] // after which nothing is written any more
	told    atomic.Bool           // that something is damaged
}

// Open opens the disk in a directory, which it makes if there is none. ErrLocked: another process has
// it. ErrFormat: another release has written it. ErrDamaged: files are missing, or not what was written.
// storage.ErrFull: there is no room to open it; try again when there is.
func Open(dir string, o Options) (*Disk, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := prepare(o.FS, dir)
	if err != nil {
		return nil, err
	}
	d := &Disk{queries: map[*rows]bool{}, unlock: lock.Close, log: o.Log}
	d.room = newRoom(o, dir)
	d.room.fail = func(err error) { (&logger{disk: d, log: o.Log}).Fatalf("the log cannot be written: %v", err) }
	clean, err := checkClean(o.FS, dir)
	if err = errors.Join(err, d.room.open()); err == nil && clean { // a start that ends here leaves what tells damage
		err = setCleanAside(o.FS, dir)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.db, err = pebble.Open(dir, d.options(o, lock))
	if err == nil {
		err = d.failed()
	}
	if err != nil {
		if d.db != nil {
			_ = d.db.Close()
		}
		if clean {
			keepClean(o.FS, dir)
		}
		return nil, errors.Join(explain(dir, err), lock.Close())
	}
	if clean {
		_ = o.FS.Remove(o.FS.PathJoin(dir, cleanName+asideSuffix))
	}
	d.room.start()
	return d, nil
}

func (d *Disk) options(o Options, lock *pebble.Lock) *pebble.Options {
	opts := &pebble.Options{
		FS:                          pacedFS{vfs.OnDiskFull(o.FS, d.room.exhausted), d.room},
		Lock:                        lock,
		Logger:                      &logger{disk: d, log: o.Log},
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   cacheSize,
		MaxOpenFiles:                openFilesMax,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTablesMax,
		L0StopWritesThreshold:       1 << 10, // a reader merges more, but no writer waits
	}
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: separateMin, MaxBlobReferenceDepth: blobsMax,
			RewriteMinimumAge: 5 * time.Minute, TargetGarbageRatio: garbageMax,
		}
	}
	if o.tune != nil {
		o.tune(opts)
	}
	return opts
}

// enter is called before pebble is used, and d.mu.RUnlock afterwards if there was no error.
func (d *Disk) enter() error {
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return ErrClosed
	}
	return nil
}

// failed is the error after which nothing is written any more, if there was one.
func (d *Disk) failed() error {
	if err := d.failure.Load(); err != nil {
		return fmt.Errorf("storage: the disk has failed: %w", *err)
	}
	return nil
}

// Get implements datastore.Read.
func (d *Disk) Get(_ context.Context, key datastore.Key) ([]byte, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	value, closer, err := d.db.Get(key.Bytes())
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, datastore.ErrNotFound
	}
	if err != nil {
		d.damaged(err)
		return nil, fmt.Errorf("storage: get %s: %w", key, err)
	}
	value = append([]byte{}, value...)
	if err := closer.Close(); err != nil { // what is wrong with a value beside the tree, pebble says only here
		d.damaged(err)
		return nil, fmt.Errorf("storage: get %s: %w", key, err)
	}
	return value, nil
}

// Has implements datastore.Read.
func (d *Disk) Has(ctx context.Context, key datastore.Key) (bool, error) {
	_, err := d.GetSize(ctx, key)
	if errors.Is(err, datastore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// GetSize implements datastore.Read. It does not read the value.
func (d *Disk) GetSize(_ context.Context, key datastore.Key) (int, error) {
	if err := d.enter(); err != nil {
		return -1, err
	}
	defer d.mu.RUnlock()
	k := key.Bytes()
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: k, UpperBound: append(k[:len(k):len(k)], 0)})
	if err != nil {
		return -1, fmt.Errorf("storage: size of %s: %w", key, err)
	}
	size := -1
	if it.First() {
		lazy := it.LazyValue()
		size = lazy.Len()
	}
	if err := it.Close(); err != nil {
		return -1, fmt.Errorf("storage: size of %s: %w", key, err)
	}
	if size < 0 {
		return -1, datastore.ErrNotFound
	}
	return size, nil
}

// Put implements datastore.Write.
func (d *Disk) Put(_ context.Context, key datastore.Key, value []byte) error {
	return d.write(len(key.String())+len(value), true, func() error { return d.db.Set(key.Bytes(), value, pebble.NoSync) })
}

// Delete implements datastore.Write.
func (d *Disk) Delete(_ context.Context, key datastore.Key) error {
	return d.write(len(key.String()), false, func() error { return d.db.Delete(key.Bytes(), pebble.NoSync) })
}

// write does f, which writes so many bytes, if there is room: what only deletes may use the reserve.
func (d *Disk) write(size int, puts bool, f func() error) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	if err := d.failed(); err != nil {
		return err
	}
	if err := d.room.admit(size, puts); err != nil {
		return err
	}
	if err := f(); err != nil {
		return fmt.Errorf("storage: write: %w", err)
	}
	return d.failed() // pebble says nothing more after it has told its logger
}

// Close implements io.Closer: it waits for what is under way, and makes what was written durable, which is an error if there
// is no room for it. Whatever
// is asked of the disk later, queries that have not ended included, fails with ErrClosed.
func (d *Disk) Close() error {
	d.room.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	errs := []error{d.failed()}
	for r := range d.queries {
		errs = append(errs, r.it.Close())
	}
	clear(d.queries)
	if errs[0] == nil {
		errs = append(errs, d.db.LogData(nil, pebble.Sync), d.failed())
	}
	errs = append(errs, d.db.Close())
	if errors.Join(errs...) == nil {
		errs = append(errs, writeClean(d.room.fs, d.room.dir))
	}
	return errors.Join(append(errs, d.unlock())...)
}

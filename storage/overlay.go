package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// The key space of go-ds-crdt, which the overlay knows:
//
//	/s/k/<key>/v    the value of a key that is present
//	/s/k/<key>/p    its priority
//	/s/s/<key>/<id> an element: the delta <id> set the key
//	/s/t/<key>/<id> a tombstone: the deletion of an element
//	/h/<id>         a head, /b/<id> a processed block
const (
	crdtKeys     = "/s/k/"
	crdtElements = "/s/s/"
	crdtTombs    = "/s/t/"
	crdtBlocks   = "/b"
	valueSuffix  = "/v"
)

// On the disk: the above below /c, the blocks of the DAG below /n.
const (
	diskIndex  = "/c"
	diskBlocks = "/n"
)

// overlay stands between go-ds-crdt and the disk. It holds the whole index in
// memory (some 400 bytes for each live key and 150 for each delta ever made),
// so reads and walks do not touch the disk, and it gathers the writes of one
// operation until commit makes them one batch of the disk: no crash leaves half
// an operation.
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
	values  *ordered.Map[[]byte] // by the user's key, in the user's order
	rest    *ordered.Map[[]byte] // by go-ds-crdt's key
	unsaved []diskWrite
	changed map[Key]bool
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
		values:  ordered.New[[]byte](compareKeys),
		rest:    ordered.New[[]byte](strings.Compare),
		changed: map[Key]bool{},
	}
}

// load reads the index from the disk, or fails with ErrCorrupt.
func (o *overlay) load() error {
	return scanDisk(o.disk, o.at+diskIndex, func(k Key, sealed []byte) error {
		value, err := unseal(string(k), sealed)
		if err != nil {
			err = readSound(o.disk, k, func(sealed []byte) (err error) {
				value, err = unseal(string(k), sealed)
				return err
			})
		}
		if err != nil {
			return err
		}
		o.set(string(k[len(o.at)+len(diskIndex):]), value)
		return nil
	})
}

// userKey returns <key> for /s/k/<key>/v.
func userKey(crdtKey string) (string, bool) {
	if !strings.HasPrefix(crdtKey, crdtKeys) || !strings.HasSuffix(crdtKey, valueSuffix) {
		return "", false
	}
	return crdtKey[len(crdtKeys)-1 : len(crdtKey)-len(valueSuffix)], true
}

func (o *overlay) get(key string) ([]byte, bool) {
	if user, ok := userKey(key); ok {
		return o.values.Get(user)
	}
	return o.rest.Get(key)
}

func (o *overlay) set(key string, value []byte) {
	if user, ok := userKey(key); ok {
		o.values.Set(user, value)
		o.changed[Key(user)] = true
	} else {
		o.rest.Set(key, value)
	}
}

func (o *overlay) remove(key string) bool {
	if user, ok := userKey(key); ok {
		o.changed[Key(user)] = true
		return o.values.Delete(user)
	}
	return o.rest.Delete(key)
}

func (o *overlay) save(key string, value []byte) {
	value = seal(string(o.at)+key, value)
	o.unsaved = append(o.unsaved, diskWrite{key: key, value: value})
}

// saveBlock adds a block of the DAG to the operation.
func (o *overlay) saveBlock(id string, raw []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsaved = append(o.unsaved, diskWrite{key: diskBlocks + id, value: raw})
}

// commit writes the operation to the disk. What the disk refuses stays for the
// next commit: memory runs ahead, and still no state of the disk is half done.
func (o *overlay) commit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
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

// value returns the value of a user's key.
func (o *overlay) value(k Key) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.values.Get(string(k))
}

// list calls f for the user's keys below prefix, in order. f must not call the
// overlay.
func (o *overlay) list(prefix Key, f func(k Key, value []byte)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if prefix == "/" {
		prefix = ""
	}
	o.values.From(string(prefix), func(key string, value []byte) bool {
		if !Key(key).Has(prefix) {
			return false
		}
		f(Key(key), value)
		return true
	})
}

// processed reports whether the delta of a block is part of the state.
func (o *overlay) processed(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, found := o.rest.Get(crdtBlocks + id)
	return found
}

// Get implements datastore.Read, for go-ds-crdt.
func (o *overlay) Get(_ context.Context, key datastore.Key) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if value, found := o.get(key.String()); found {
		return value, nil
	}
	return nil, datastore.ErrNotFound
}

// Has implements datastore.Read.
func (o *overlay) Has(_ context.Context, key datastore.Key) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, found := o.get(key.String())
	return found, nil
}

// GetSize implements datastore.Read.
func (o *overlay) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	return datastore.GetBackedSize(ctx, o, key)
}

// Put implements datastore.Write.
func (o *overlay) Put(_ context.Context, key datastore.Key, value []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := key.String()
	if tomb, ok := strings.CutPrefix(k, crdtTombs); ok {
		o.drop(crdtElements + tomb)
		return nil
	}
	o.set(k, value)
	o.save(diskIndex+k, value)
	return nil
}

// Delete implements datastore.Write.
func (o *overlay) Delete(_ context.Context, key datastore.Key) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(key.String())
	return nil
}

func (o *overlay) drop(key string) {
	if o.remove(key) {
		o.unsaved = append(o.unsaved, diskWrite{key: diskIndex + key, delete: true})
	}
}

// Batch implements datastore.Batching. Its writes are seen at once; commit
// decides what is one batch.
func (o *overlay) Batch(context.Context) (datastore.Batch, error) { return overlayBatch{o}, nil }

type overlayBatch struct{ *overlay }

func (overlayBatch) Commit(context.Context) error { return nil }

// Sync implements datastore.Datastore; it is Disk.Flush that syncs.
func (o *overlay) Sync(context.Context, datastore.Key) error { return nil }

// Close implements datastore.Datastore.
func (o *overlay) Close() error { return nil }

var errUnsupportedQuery = errors.New("storage: overlay: unsupported query")

// Query implements datastore.Read as far as go-ds-crdt needs it: all that is
// strictly below a prefix, in order.
func (o *overlay) Query(_ context.Context, q query.Query) (query.Results, error) {
	if len(q.Filters)+len(q.Orders)+q.Limit+q.Offset > 0 || strings.HasPrefix(q.Prefix, "/s/k") {
		return nil, errUnsupportedQuery
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	prefix := strings.TrimSuffix(q.Prefix, "/") + "/"
	var entries []query.Entry
	o.rest.From(prefix, func(key string, value []byte) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		entries = append(entries, query.Entry{Key: key, Value: value, Size: len(value)})
		return true
	})
	return newEntries(q, entries), nil
}

// entries is a query.Results that needs no goroutine.
type entries struct {
	query query.Query
	list  []query.Entry
	next  chan query.Result
	done  chan struct{}
}

func newEntries(q query.Query, list []query.Entry) *entries {
	r := &entries{query: q, list: list, next: make(chan query.Result, len(list)), done: make(chan struct{})}
	for _, e := range list {
		r.next <- query.Result{Entry: e}
	}
	close(r.next)
	close(r.done)
	return r
}

func (r *entries) Query() query.Query           { return r.query }
func (r *entries) Next() <-chan query.Result    { return r.next }
func (r *entries) Rest() ([]query.Entry, error) { return r.list, nil }
func (r *entries) Close() error                 { return nil }
func (r *entries) Done() <-chan struct{}        { return r.done }

func (r *entries) NextSync() (query.Result, bool) {
	result, ok := <-r.next
	return result, ok
}

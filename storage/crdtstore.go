package storage

import (
	"context"
	"errors"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// The key space of go-ds-crdt:
//
//	/s/k/<key>/v    the value of a key that is present
//	/s/k/<key>/p    its priority
//	/s/s/<key>/<id> an element: the delta <id> set the key
//	/s/t/<key>/<id> a tombstone: the deletion of an element
//	/h/<id>         a head, /b/<id> a processed delta
const (
	crdtKeys      = "/s/k"
	crdtElements  = "/s/s"
	crdtTombs     = "/s/t"
	crdtProcessed = "/b"
)

// part is what of a record an entry is.
type part int

const (
	partNone part = iota // it is not of a record
	partValue
	partPriority
	partElement
	partTomb
)

// entry is a key of go-ds-crdt, taken apart.
type entry struct {
	part part
	key  string
	id   string
}

func parseEntry(k string) entry {
	if len(k) < len(crdtKeys) || k[:len("/s/")] != "/s/" {
		return entry{}
	}
	body := k[len(crdtKeys):]
	slash := strings.LastIndexByte(body, '/')
	if slash < 0 {
		return entry{}
	}
	e := entry{key: body[:slash], id: body[slash:]}
	switch k[:len(crdtKeys)] {
	case crdtElements:
		e.part = partElement
	case crdtTombs:
		e.part = partTomb
	case crdtKeys:
		e.part = partValue
		if e.id == "/p" {
			e.part = partPriority
		}
	}
	return e
}

func (o *overlay) get(k string) ([]byte, bool) {
	e := parseEntry(k)
	if e.part == partNone {
		return o.rest.Get(k)
	}
	if r, found := o.records.Get(e.key); found {
		return r.get(e)
	}
	return nil, false
}

// Get implements datastore.Read.
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
	switch e := parseEntry(k); e.part {
	case partNone:
		o.rest.Set(k, value)
		o.save(diskIndex+k, value)
	case partTomb:
		o.change(e, func(r *record) { r.remove(e) })
	default:
		o.change(e, func(r *record) { r.set(e, value) })
	}
	return nil
}

// Delete implements datastore.Write.
func (o *overlay) Delete(_ context.Context, key datastore.Key) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := key.String()
	if e := parseEntry(k); e.part != partNone {
		o.change(e, func(r *record) { r.remove(e) })
	} else if o.rest.Delete(k) {
		o.unsaved = append(o.unsaved, diskWrite{key: diskIndex + k, delete: true})
	}
	return nil
}

// change changes the record of a key.
func (o *overlay) change(e entry, f func(r *record)) {
	r, found := o.records.Get(e.key)
	if !found {
		r = &record{}
		o.records.Set(strings.Clone(e.key), r)
	}
	f(r)
	if e.part == partValue {
		o.changed[Key(e.key)] = true
	}
	if !r.dirty {
		r.dirty = true
		o.dirty = append(o.dirty, e.key)
	}
	if r.isEmpty() {
		o.records.Delete(e.key)
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

// Query implements datastore.Read as far as go-ds-crdt needs it: the heads, the
// elements of a key, and the tombstones, which there are none.
func (o *overlay) Query(_ context.Context, q query.Query) (query.Results, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(q.Filters)+len(q.Orders)+q.Limit+q.Offset > 0 {
		return nil, errUnsupportedQuery
	}
	var list []query.Entry
	switch {
	case strings.HasPrefix(q.Prefix, crdtElements+"/"):
		r, found := o.records.Get(q.Prefix[len(crdtElements):])
		if !found {
			break
		}
		for _, id := range r.elements {
			list = append(list, query.Entry{Key: q.Prefix + id})
		}
	case strings.HasPrefix(q.Prefix, crdtTombs):
	case strings.HasPrefix(q.Prefix, "/s"):
		return nil, errUnsupportedQuery
	default:
		prefix := strings.TrimSuffix(q.Prefix, "/") + "/"
		o.rest.From(prefix, func(key string, value []byte) bool {
			below := strings.HasPrefix(key, prefix)
			if below {
				list = append(list, query.Entry{Key: key, Value: value, Size: len(value)})
			}
			return below
		})
	}
	return newEntries(q, list), nil
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

package replicated

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
	crdtHeads     = "/h"
	crdtVersion   = "/crdt_version"
)

// part is the kind of an entry of a key.
type part int

const (
	partNone part = iota // not an entry of a key
	partValue
	partPriority
	partElement
	partTomb
)

// entry is a parsed key of go-ds-crdt.
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

func (o *stagedIndex) get(k string) ([]byte, bool) {
	if e := parseEntry(k); e.part != partNone {
		if e.key == dotKey {
			return nil, false
		}
		return o.cell(e.key).get(e)
	}
	if id, ok := cutPart(k, crdtProcessed); ok {
		return nil, o.op != nil && (o.op.processed[id] || o.op.known[id])
	}
	value, found := o.rest[k]
	return value, found
}

// cutPart returns what is below a part of the key space, with its slash.
func cutPart(k, part string) (id string, ok bool) {
	if len(k) <= len(part) || k[:len(part)] != part || k[len(part)] != '/' {
		return "", false
	}
	return k[len(part):], true
}

// Get implements datastore.Read.
func (o *stagedIndex) Get(_ context.Context, key datastore.Key) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if value, found := o.get(key.String()); found {
		return value, nil
	}
	return nil, datastore.ErrNotFound
}

// Has implements datastore.Read.
func (o *stagedIndex) Has(_ context.Context, key datastore.Key) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, found := o.get(key.String())
	return found, nil
}

// GetSize implements datastore.Read.
func (o *stagedIndex) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	return datastore.GetBackedSize(ctx, o, key)
}

// Put implements datastore.Write.
func (o *stagedIndex) Put(_ context.Context, key datastore.Key, value []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := key.String()
	e := parseEntry(k)
	switch {
	case e.part == partNone:
		return o.putRest(k, value)
	case e.key == dotKey:
		return nil
	case o.op == nil:
		return fmt.Errorf("storage: staged index: %s is written outside of an operation", k)
	}
	c := o.cell(e.key)
	switch e.part {
	case partTomb:
		c.remove(e.id)
	case partElement:
		d := o.op.byID[e.id]
		if d == nil || d.element(e.key) == nil {
			return fmt.Errorf("storage: staged index: element %s of no delta", k)
		}
		c.insert(d.element(e.key))
	case partValue:
		c.value = value
	case partPriority:
		c.priority = value
	}
	return nil
}

// putRest stores entries that do not belong to a key.
func (o *stagedIndex) putRest(k string, value []byte) error {
	if id, ok := cutPart(k, crdtProcessed); ok && o.op != nil {
		o.op.processed[id] = true
		return nil
	}
	if id, ok := cutPart(k, crdtHeads); ok && o.op != nil {
		d := o.op.byID[id]
		if d == nil {
			return fmt.Errorf("storage: staged index: head %s of no delta", id)
		}
		o.op.heads[id] = d.head
		return nil
	}
	o.rest[k] = value
	return nil
}

// Delete implements datastore.Write.
func (o *stagedIndex) Delete(_ context.Context, key datastore.Key) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := key.String()
	e := parseEntry(k)
	if id, ok := cutPart(k, crdtHeads); ok && o.op != nil {
		o.op.heads[id] = nil
		return nil
	}
	switch {
	case e.part == partNone:
		delete(o.rest, k)
	case e.key == dotKey:
	case o.op == nil:
		return fmt.Errorf("storage: staged index: %s is deleted outside of an operation", k)
	case e.part == partValue:
		o.cell(e.key).value = nil
	case e.part == partPriority:
		o.cell(e.key).priority = nil
	}
	return nil
}

// Batch implements datastore.Batching. Its writes are seen at once; finish
// decides what is one batch.
func (o *stagedIndex) Batch(context.Context) (datastore.Batch, error) { return stagedBatch{o}, nil }

type stagedBatch struct{ *stagedIndex }

func (stagedBatch) Commit(context.Context) error { return nil }

// Sync implements datastore.Datastore; it is Disk.Flush that syncs.
func (o *stagedIndex) Sync(context.Context, datastore.Key) error { return nil }

// Close implements datastore.Datastore.
func (o *stagedIndex) Close() error { return nil }

var errUnsupportedQuery = errors.New("storage: staged index: unsupported query")

// Query implements datastore.Read as far as go-ds-crdt needs it: the heads, the
// elements of a key, and the tombstones, which there are none.
func (o *stagedIndex) Query(_ context.Context, q query.Query) (query.Results, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(q.Filters)+len(q.Orders)+q.Limit+q.Offset > 0 {
		return nil, errUnsupportedQuery
	}
	var list []query.Entry
	switch {
	case strings.HasPrefix(q.Prefix, crdtElements+"/"):
		key := q.Prefix[len(crdtElements):]
		for _, e := range o.cell(key).list {
			list = append(list, query.Entry{Key: q.Prefix + e.id})
		}
		if o.op != nil {
			o.op.comparing = key
		}
	case q.Prefix == crdtHeads:
		for id, h := range o.heads {
			height := binary.AppendUvarint(nil, h.height)
			list = append(list, query.Entry{Key: crdtHeads + id, Value: height, Size: len(height)})
		}
	case strings.HasPrefix(q.Prefix, crdtTombs):
	default:
		return nil, errUnsupportedQuery
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

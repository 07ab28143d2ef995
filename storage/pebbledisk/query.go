package pebbledisk

import (
	"context"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// Query implements datastore.Read: what is strictly below the prefix, as it is now, in byte order of keys.
// Sizes are always known, without the values being read. It holds files open until it is closed.
func (d *Disk) Query(_ context.Context, q query.Query) (query.Results, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	below := strings.TrimSuffix(datastore.NewKey(q.Prefix).String(), "/")
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte(below + "/"), UpperBound: []byte(below + string('/'+1))})
	if err != nil {
		return nil, fmt.Errorf("storage: query %s: %w", q.Prefix, err)
	}
	r := &rows{disk: d, it: it, keysOnly: q.KeysOnly}
	d.queriesMu.Lock()
	d.queries[r] = true
	d.queriesMu.Unlock()
	rest := q
	rest.Prefix = "" // is done, and so is the order
	if len(q.Orders) == 1 {
		if _, byKey := q.Orders[0].(query.OrderByKey); byKey {
			rest.Orders = nil
		}
	}
	return query.NaiveQueryApply(rest, query.ResultsFromIterator(q, query.Iterator{Next: r.next, Close: r.close})), nil
}

// rows are the results of one query, for one goroutine.
type rows struct {
	disk     *Disk
	it       *pebble.Iterator
	keysOnly bool
	started  bool
	ended    bool
}

func (r *rows) next() (query.Result, bool) {
	if r.ended {
		return query.Result{}, false
	}
	if err := r.disk.enter(); err != nil {
		r.ended = true
		return query.Result{Error: err}, true
	}
	defer r.disk.mu.RUnlock()
	found := false
	if r.started {
		found = r.it.Next()
	} else {
		found, r.started = r.it.First(), true
	}
	if !found {
		r.ended = true
		err := r.it.Error()
		r.disk.damaged(err)
		return query.Result{Error: err}, err != nil
	}
	lazy := r.it.LazyValue()
	e := query.Entry{Key: string(r.it.Key()), Size: lazy.Len()}
	if !r.keysOnly {
		value, err := r.it.ValueAndErr()
		if err != nil {
			r.ended = true
			r.disk.damaged(err)
			return query.Result{Error: fmt.Errorf("storage: read %s: %w", e.Key, err)}, true
		}
		e.Value = append([]byte{}, value...)
	}
	return query.Result{Entry: e}, true
}

// close is called when the results are.
func (r *rows) close() error {
	if err := r.disk.enter(); err != nil {
		return nil // Disk.Close has done it
	}
	defer r.disk.mu.RUnlock()
	r.disk.queriesMu.Lock()
	defer r.disk.queriesMu.Unlock()
	if !r.disk.queries[r] {
		return nil
	}
	delete(r.disk.queries, r)
	return r.it.Close()
}

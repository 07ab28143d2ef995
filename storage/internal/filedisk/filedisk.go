// Package filedisk is a throw-away disk whose values lie in a file: for tests and
// benchmarks of what must not be in memory. It survives nothing.
package filedisk

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"
)

// Disk appends each value to its file and remembers where it lies. It may be used
// by several goroutines.
type Disk struct {
	file *os.File

	mu     sync.Mutex
	end    int64
	places map[string]place
}

type place struct {
	at   int64
	size int
}

// New returns an empty disk, which is removed at the end of the test.
func New(t testing.TB) *Disk {
	file, err := os.CreateTemp(t.TempDir(), "disk")
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return &Disk{file: file, places: map[string]place{}}
}

// Get implements datastore.Read. The caller owns the result.
func (d *Disk) Get(_ context.Context, key datastore.Key) ([]byte, error) {
	d.mu.Lock()
	p, found := d.places[key.String()]
	d.mu.Unlock()
	if !found {
		return nil, datastore.ErrNotFound
	}
	value := make([]byte, p.size)
	_, err := d.file.ReadAt(value, p.at)
	return value, err
}

// Has implements datastore.Read.
func (d *Disk) Has(_ context.Context, key datastore.Key) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, found := d.places[key.String()]
	return found, nil
}

// GetSize implements datastore.Read.
func (d *Disk) GetSize(_ context.Context, key datastore.Key) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, found := d.places[key.String()]
	if !found {
		return -1, datastore.ErrNotFound
	}
	return p.size, nil
}

// Query implements datastore.Read, for a prefix.
func (d *Disk) Query(ctx context.Context, q query.Query) (query.Results, error) {
	d.mu.Lock()
	var entries []query.Entry
	for k, p := range d.places {
		if strings.HasPrefix(k, q.Prefix+"/") {
			entries = append(entries, query.Entry{Key: k, Size: p.size})
		}
	}
	d.mu.Unlock()
	slices.SortFunc(entries, func(a, b query.Entry) int { return strings.Compare(a.Key, b.Key) })
	for i := range entries {
		if !q.KeysOnly {
			value, err := d.Get(ctx, datastore.RawKey(entries[i].Key))
			if err != nil {
				return nil, err
			}
			entries[i].Value = value
		}
	}
	return query.ResultsWithEntries(q, entries), nil
}

// Put implements datastore.Write.
func (d *Disk) Put(_ context.Context, key datastore.Key, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.file.WriteAt(value, d.end); err != nil {
		return err
	}
	d.places[key.String()] = place{d.end, len(value)}
	d.end += int64(len(value))
	return nil
}

// Delete implements datastore.Write.
func (d *Disk) Delete(_ context.Context, key datastore.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.places, key.String())
	return nil
}

// Batch implements datastore.Batching. Its writes are made one by one.
func (d *Disk) Batch(context.Context) (datastore.Batch, error) {
	return datastore.NewBasicBatch(d), nil
}

// Sync implements datastore.Write.
func (d *Disk) Sync(context.Context, datastore.Key) error { return nil }

// Flush implements storage.Disk: it promises nothing.
func (d *Disk) Flush(done func(error)) { done(nil) }

// Close implements io.Closer.
func (d *Disk) Close() error { return nil }

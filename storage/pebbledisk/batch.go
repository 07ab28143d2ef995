package pebbledisk

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-datastore"
)

// Batch implements datastore.Batching. What is in it is written together or not at all.
func (d *Disk) Batch(context.Context) (datastore.Batch, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	return &batch{disk: d}, nil
}

// batch copies what it is given. It is empty again after a commit.
type batch struct {
	disk   *Disk
	writes *pebble.Batch // nil: none
	puts   bool
}

func (b *batch) fill() *pebble.Batch {
	if b.writes == nil {
		b.writes = b.disk.db.NewBatch()
	}
	return b.writes
}

// Put implements datastore.Write.
func (b *batch) Put(_ context.Context, key datastore.Key, value []byte) error {
	b.puts = true
	return b.fill().Set(key.Bytes(), value, nil)
}

// Delete implements datastore.Write.
func (b *batch) Delete(_ context.Context, key datastore.Key) error {
	return b.fill().Delete(key.Bytes(), nil)
}

// Commit implements datastore.Batch. After an error nothing was written, and the batch is as it was.
func (b *batch) Commit(context.Context) error {
	if b.writes == nil {
		return nil
	}
	err := b.disk.write(b.writes.Len(), b.puts, func() error { return b.writes.Commit(pebble.NoSync) })
	if err != nil {
		return err
	}
	err = b.writes.Close()
	b.writes, b.puts = nil, false
	return err
}

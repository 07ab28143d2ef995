package storage

import (
	"context"
	"errors"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/taucloud/tau/storage/memdisk"
)

// brittleDisk fails at some of its operations, which are counted from 0: the
// beginning, each record and the commit of a batch, each result of a query.
type brittleDisk struct {
	*memdisk.Disk
	count  int
	failAt int
	times  int    // how many operations fail from there on
	failed string // the first that did
}

var errBroken = errors.New("the disk is broken")

func (d *brittleDisk) next(op string) error {
	n := d.count
	d.count++
	if n < d.failAt || n >= d.failAt+d.times {
		return nil
	}
	if d.failed == "" {
		d.failed = op
	}
	return errBroken
}

// Get implements datastore.Read.
func (d *brittleDisk) Get(ctx context.Context, key datastore.Key) ([]byte, error) {
	if err := d.next("get"); err != nil {
		return nil, err
	}
	return d.Disk.Get(ctx, key)
}

// Query implements datastore.Read.
func (d *brittleDisk) Query(ctx context.Context, q query.Query) (query.Results, error) {
	if err := d.next("query"); err != nil {
		return nil, err
	}
	results, err := d.Disk.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	return query.ResultsFromIterator(q, query.Iterator{Next: func() (query.Result, bool) {
		if err := d.next("result"); err != nil {
			return query.Result{Error: err}, true
		}
		return results.NextSync()
	}}), nil
}

// Put implements datastore.Write.
func (d *brittleDisk) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if err := d.next("put"); err != nil {
		return err
	}
	return d.Disk.Put(ctx, key, value)
}

// Delete implements datastore.Write.
func (d *brittleDisk) Delete(ctx context.Context, key datastore.Key) error {
	if err := d.next("delete"); err != nil {
		return err
	}
	return d.Disk.Delete(ctx, key)
}

// Batch implements datastore.Batching.
func (d *brittleDisk) Batch(ctx context.Context) (datastore.Batch, error) {
	if err := d.next("batch"); err != nil {
		return nil, err
	}
	b, err := d.Disk.Batch(ctx)
	return &brittleBatch{b, d}, err
}

// Flush implements Disk.
func (d *brittleDisk) Flush(done func(error)) {
	if err := d.next("flush"); err != nil {
		done(err)
		return
	}
	d.Disk.Flush(done)
}

type brittleBatch struct {
	datastore.Batch
	disk *brittleDisk
}

func (b *brittleBatch) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if err := b.disk.next("batch"); err != nil {
		return err
	}
	return b.Batch.Put(ctx, key, value)
}

func (b *brittleBatch) Delete(ctx context.Context, key datastore.Key) error {
	if err := b.disk.next("batch"); err != nil {
		return err
	}
	return b.Batch.Delete(ctx, key)
}

func (b *brittleBatch) Commit(ctx context.Context) error {
	if err := b.disk.next("batch"); err != nil {
		return err
	}
	return b.Batch.Commit(ctx)
}

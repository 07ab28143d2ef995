// Package brittledisk is a disk for tests that fails where it is told to.
package brittledisk

import (
	"context"
	"errors"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/taucloud/tau/storage/memdisk"
)

// brittleDisk fails at some of its operations, which are counted from 0: the
// beginning, each record and the commit of a batch, each result of a query.
type Disk struct {
	*memdisk.Disk
	Count  int
	FailAt int
	Times  int    // how many operations fail from there on
	Failed string // the first that did
}

var ErrBroken = errors.New("the disk is broken")

func (d *Disk) next(op string) error {
	n := d.Count
	d.Count++
	if n < d.FailAt || n >= d.FailAt+d.Times {
		return nil
	}
	if d.Failed == "" {
		d.Failed = op
	}
	return ErrBroken
}

// Get implements datastore.Read.
func (d *Disk) Get(ctx context.Context, key datastore.Key) ([]byte, error) {
	if err := d.next("get"); err != nil {
		return nil, err
	}
	return d.Disk.Get(ctx, key)
}

// Query implements datastore.Read.
func (d *Disk) Query(ctx context.Context, q query.Query) (query.Results, error) {
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
func (d *Disk) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if err := d.next("put"); err != nil {
		return err
	}
	return d.Disk.Put(ctx, key, value)
}

// Delete implements datastore.Write.
func (d *Disk) Delete(ctx context.Context, key datastore.Key) error {
	if err := d.next("delete"); err != nil {
		return err
	}
	return d.Disk.Delete(ctx, key)
}

// Batch implements datastore.Batching.
func (d *Disk) Batch(ctx context.Context) (datastore.Batch, error) {
	if err := d.next("batch"); err != nil {
		return nil, err
	}
	b, err := d.Disk.Batch(ctx)
	return &batch{b, d}, err
}

// Flush implements Disk.
func (d *Disk) Flush(done func(error)) {
	if err := d.next("flush"); err != nil {
		done(err)
		return
	}
	d.Disk.Flush(done)
}

type batch struct {
	datastore.Batch
	disk *Disk
}

func (b *batch) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if err := b.disk.next("batch"); err != nil {
		return err
	}
	return b.Batch.Put(ctx, key, value)
}

func (b *batch) Delete(ctx context.Context, key datastore.Key) error {
	if err := b.disk.next("batch"); err != nil {
		return err
	}
	return b.Batch.Delete(ctx, key)
}

func (b *batch) Commit(ctx context.Context) error {
	if err := b.disk.next("batch"); err != nil {
		return err
	}
	return b.Batch.Commit(ctx)
}

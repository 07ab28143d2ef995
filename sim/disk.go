package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/storage/memdisk"
)

// A healthy disk takes between syncMin and syncMax to flush.
const (
	syncMin = 200 * time.Microsecond
	syncMax = 2 * time.Millisecond
)

// Errors of a faulty disk.
var (
	errDiskFull = errors.New("sim: disk full")
	errDiskIO   = errors.New("sim: disk i/o error")
)

// diskFaults is the condition of a node's disk; it outlives incarnations.
type diskFaults struct {
	condition fault.Condition
	ops       uint64 // numbers the draws
}

// disk is the storage.Disk of one incarnation: the node's memdisk behind the
// world's decisions. It is dead when the incarnation is.
type disk struct {
	life    *incarnation
	under   *memdisk.Disk
	flushes uint64
}

func newDisk(life *incarnation) *disk {
	n := life.node
	n.setDiskFaults()
	if lied := n.disk.DropCaches(); lied > 0 {
		n.w.observe(n.name, "node", "disk-rotted", node.F("values", lied))
	}
	return &disk{life: life, under: n.disk}
}

// setDiskFaults installs the hooks for the present condition.
func (n *Node) setDiskFaults() {
	f := memdisk.Faults{Fail: n.faults.fail(n), Read: n.faults.read(n)}
	if c := n.faults.condition; c.LossProbability > 0 || c.MisdirectProbability > 0 {
		f.Record = n.faults.record(n)
	}
	n.disk.SetFaults(f)
}

// record decides the fates of the records of a write.
func (f *diskFaults) record(n *Node) func(string) (memdisk.Fate, uint64) {
	return func(string) (memdisk.Fate, uint64) {
		f.ops++
		d := n.w.draw(drawDiskFault, uint64(n.index), f.ops)
		switch {
		case chance(d, f.condition.LossProbability):
			n.effects.Lost++
			return memdisk.Lost, 0
		case chance(mix(d), f.condition.MisdirectProbability):
			n.effects.Misdirected++
			return memdisk.Misdirected, mix(mix(d))
		}
		return memdisk.Landed, 0
	}
}

// fail decides which operations fail.
func (f *diskFaults) fail(n *Node) func(memdisk.Op, string) error {
	return func(op memdisk.Op, _ string) error {
		c := &f.condition
		if op != memdisk.OpWrite && op != memdisk.OpFlush {
			return nil
		}
		if c.Full && op == memdisk.OpWrite {
			n.effects.Refused++
			return errDiskFull
		}
		if c.ErrorProbability > 0 {
			f.ops++
			if chance(n.w.draw(drawDiskFault, uint64(n.index), f.ops), c.ErrorProbability) {
				n.effects.Failed++
				return errDiskIO
			}
		}
		return nil
	}
}

// read decides which reads are corrupted.
func (f *diskFaults) read(n *Node) func(string, []byte) []byte {
	return func(_ string, value []byte) []byte {
		if f.condition.CorruptProbability <= 0 || len(value) == 0 {
			return value
		}
		f.ops++
		d := n.w.draw(drawDiskFault, uint64(n.index), f.ops)
		if !chance(d, f.condition.CorruptProbability) {
			return value
		}
		n.effects.CorruptReads++
		return flipBit(value, mix(d))
	}
}

// flipBit returns a copy with one drawn bit changed.
func flipBit(value []byte, draw uint64) []byte {
	value = slices.Clone(value)
	value[draw%uint64(len(value))] ^= 1 << (draw >> 32 % 8)
	return value
}

// Flush implements storage.Disk.
func (d *disk) Flush(done func(error)) {
	n := d.life.node
	if d.life.ended() {
		done(clock.ErrStopped)
		return
	}
	upTo := d.under.Writes()
	d.flushes++
	c := n.faults.condition
	if c.SyncMax > 0 {
		n.effects.SlowSyncs++
	}
	at := n.w.draw(drawDisk, uint64(n.index), uint64(n.lives), d.flushes)
	wait := within(at, int64(syncMin), int64(syncMax)) + within(mix(at), int64(c.SyncMin), int64(c.SyncMax))
	n.w.register(&event{
		at: n.w.nowNS() + wait, node: n, life: d.life, kind: kindFlush,
		a: uint64(n.index)<<32 | uint64(n.lives), b: d.flushes,
		fire: func() { done(d.flush(upTo)) },
	})
}

// flush is the end of a flush.
func (d *disk) flush(upTo uint64) error {
	n := d.life.node
	if p := n.faults.condition.SyncLossProbability; p > 0 {
		n.faults.ops++
		if chance(n.w.draw(drawDiskFault, uint64(n.index), n.faults.ops), p) {
			n.effects.LostSyncs++
			d.under.FailFlush(upTo)
			return errDiskIO
		}
	}
	return d.under.FlushUpTo(upTo)
}

// corrupt flips a bit in each of count stored values, or of all if there are
// fewer, and returns how many.
func (n *Node) corrupt(count int) (int, error) {
	d := n.disk
	d.SetFaults(memdisk.Faults{}) // rot needs no working disk
	defer n.setDiskFaults()
	results, err := d.Query(context.Background(), query.Query{})
	if err != nil {
		return 0, fmt.Errorf("sim: corrupt the disk of %s: %w", n.name, err)
	}
	entries, err := results.Rest()
	if err != nil {
		return 0, fmt.Errorf("sim: corrupt the disk of %s: %w", n.name, err)
	}
	entries = slices.DeleteFunc(entries, func(e query.Entry) bool { return len(e.Value) == 0 })
	done := min(count, len(entries))
	for range done {
		n.faults.ops++
		draw := n.w.draw(drawDiskFault, uint64(n.index), n.faults.ops)
		i := int(draw % uint64(len(entries)))
		if err := d.Put(context.Background(), datastore.RawKey(entries[i].Key), flipBit(entries[i].Value, mix(draw))); err != nil {
			return 0, fmt.Errorf("sim: corrupt the disk of %s: %w", n.name, err)
		}
		entries = slices.Delete(entries, i, i+1)
	}
	n.w.observe(n.name, "node", "disk-rotted", node.F("values", count))
	return done, nil
}

func (d *disk) alive() error {
	d.life.node.w.disturb()
	if d.life.ended() {
		return clock.ErrStopped
	}
	return nil
}

// Get implements datastore.Datastore.
func (d *disk) Get(ctx context.Context, key datastore.Key) ([]byte, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	return d.under.Get(ctx, key)
}

// Has implements datastore.Datastore.
func (d *disk) Has(ctx context.Context, key datastore.Key) (bool, error) {
	if err := d.alive(); err != nil {
		return false, err
	}
	return d.under.Has(ctx, key)
}

// GetSize implements datastore.Datastore.
func (d *disk) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	if err := d.alive(); err != nil {
		return -1, err
	}
	return d.under.GetSize(ctx, key)
}

// Query implements datastore.Datastore; results are in key order.
func (d *disk) Query(ctx context.Context, q query.Query) (query.Results, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	return d.under.Query(ctx, q)
}

// Put implements datastore.Datastore.
func (d *disk) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.under.Put(ctx, key, value)
}

// Delete implements datastore.Datastore.
func (d *disk) Delete(ctx context.Context, key datastore.Key) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.under.Delete(ctx, key)
}

// Sync implements datastore.Datastore. It cannot wait; durability is up to Flush.
func (d *disk) Sync(context.Context, datastore.Key) error { return d.alive() }

// Batch implements datastore.Batching.
func (d *disk) Batch(ctx context.Context) (datastore.Batch, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	b, err := d.under.Batch(ctx)
	return &batch{Batch: b, disk: d}, err
}

type batch struct {
	datastore.Batch
	disk *disk
}

// Commit implements datastore.Batch.
func (b *batch) Commit(ctx context.Context) error {
	if err := b.disk.alive(); err != nil {
		return err
	}
	return b.Batch.Commit(ctx)
}

// Close implements datastore.Datastore.
func (d *disk) Close() error { return nil }

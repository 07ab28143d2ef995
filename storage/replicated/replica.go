package replicated

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs/go-datastore"
	crdt "github.com/ipfs/go-ds-crdt"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
)

// year turns off go-ds-crdt's own rebroadcasts, which cannot be disabled; we compare heads
// ourselves, on our clock.
const year = 365 * 24 * time.Hour

var (
	// errMissing says that deltas build on others that are not here.
	errMissing = errors.New("storage: missing ancestors")
	// errBadHeight says that a delta does not stand above what it builds on.
	errBadHeight = errors.New("storage: delta: wrong height")
)

// replica is the state of one replica: a go-ds-crdt that is given whole operations only, each one
// batch of the disk. It does not use the network and does not park; go-ds-crdt's own goroutines
// work in memory.
type replica struct {
	index *stagedIndex
	// newWriter draws the name of an opening; writer is what it drew, 0 as long
	// as this one has not written.
	newWriter func() uint64
	writer    uint64
	// recovered is the intact contents of a damaged disk, by key, until they are written again.
	recovered [][]*element

	history storage.History // bounds the tail

	// crdt is nil while nothing is to be merged: it knows the heads of when it was
	// started.
	feed   *feed
	crdt   *crdt.Datastore
	closed bool
}

// openReplica opens the replica on the disk below at. If part of it is damaged the replica is
// empty: its context would be wrong, so it starts as a new one, with the intact contents in
// recovered. pause is called now and then.
func openReplica(disk storage.Disk, at storage.Key, newWriter func() uint64, pause yield) (*replica, error) {
	r := &replica{newWriter: newWriter, history: storage.DefaultHistory()}
	r.index = newStagedIndex(disk, at)
	f, err := readReplica(disk, at, pause)
	if err != nil {
		return nil, err
	}
	if !f.damaged && !f.empty {
		if err = r.index.load(f, pause); errors.Is(err, storage.ErrCorrupt) {
			f.damaged = true
			r.index = newStagedIndex(disk, at)
		} else if err != nil {
			return nil, err
		}
	}
	if f.damaged {
		err = r.beginRecovery(f, pause)
	} else {
		r.recovered = f.recovered
		err = r.index.sweep(f.stale(), pause)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// start starts a go-ds-crdt on the index, if none is running.
func (r *replica) start() error {
	if r.closed {
		return clock.ErrStopped
	}
	if r.crdt != nil {
		return nil
	}
	r.feed = newFeed()
	store, err := crdt.New(r.index, datastore.RawKey("/"), &dag{r.index}, r.feed, &crdt.Options{
		Logger:              quiet{},
		RebroadcastInterval: year,
		NumWorkers:          1,
		DAGSyncerTimeout:    0, // the dag never waits
		MaxBatchDeltaSize:   1 << 30,
		RepairInterval:      0,
	})
	if err != nil {
		return fmt.Errorf("storage: open replica: %w", err)
	}
	r.crdt = store
	return nil
}

// stop ends go-ds-crdt, if it was started; the next merge starts another one. A running one reads
// the heads only once, so it misses changes made without it; and it remembers every delta that it
// was ever told of.
func (r *replica) stop() {
	if r.crdt != nil {
		r.feed.close()
		r.crdt.Close()
		r.crdt, r.feed = nil, nil
	}
}

// close ends the replica.
func (r *replica) close() {
	if !r.closed {
		r.closed = true
		r.stop()
	}
}

// has reports whether a delta is part of the state.
func (r *replica) has(d dot) bool { return r.index.vector.has(d) }

// isEmpty reports whether the replica knows of no write at all.
func (r *replica) isEmpty() bool { return len(r.index.vector.last) == 0 }

// ingest merges deltas of other replicas into the state, all or none: it returns errMissing if an
// ancestor of one is neither here nor among them. A failure to save them is no error yet: they are
// saved with the next operation.
func (r *replica) ingest(raws [][]byte) error {
	var fresh []*delta
	for _, raw := range raws {
		d, err := decodeDelta(raw)
		if err != nil {
			return err
		}
		if !r.has(d.dot) {
			fresh = append(fresh, d)
		}
	}
	slices.SortFunc(fresh, compareDeltas)
	fresh = slices.CompactFunc(fresh, func(a, b *delta) bool { return a.cid == b.cid })
	if err := r.check(fresh); err != nil || len(fresh) == 0 {
		return err
	}
	return r.process(fresh)
}

// check verifies that sorted deltas can be processed in their order, and that the vector will
// include exactly them.
func (r *replica) check(sorted []*delta) error {
	var among map[dot]*stub // nil will do for one
	var last map[uint64]*stub
	if len(sorted) > 1 {
		among, last = make(map[dot]*stub, len(sorted)), make(map[uint64]*stub, 1)
	}
	writers := len(r.index.vector.last)
	for _, d := range sorted {
		before := dot{d.dot.writer, d.dot.seq - 1}
		previous := last[before.writer]
		if previous == nil && before.seq > 0 {
			previous = r.index.tail.get(before)
		}
		if previous == nil && !r.has(before) || previous != nil && previous.dot != before {
			return errMissing
		}
		if previous != nil && previous.height >= d.height {
			return errBadHeight
		}
		if err := r.checkHeight(d, among); err != nil {
			return err
		}
		if among != nil {
			among[d.dot], last[before.writer] = d.stub, d.stub
		}
		if before.seq == 0 { // the first of a writer, which is not here yet
			writers++
		}
	}
	if writers > writersMax {
		return fmt.Errorf("%w: over %d writers", storage.ErrTooLarge, writersMax)
	}
	return nil
}

// lacks is a missing parent of a delta, or the zero dot, which all have, if there is none.
func (r *replica) lacks(raw []byte) dot {
	d, err := decodeDelta(raw)
	if err != nil {
		return dot{}
	}
	for _, dep := range append([]dot{{d.dot.writer, d.dot.seq - 1}}, d.deps...) {
		if !r.has(dep) {
			return dep
		}
	}
	return dot{}
}

// checkHeight compares a delta with what it links to. It stands one above the
// highest of them; if one of them is known by its dot only, it may be higher.
func (r *replica) checkHeight(d *delta, among map[dot]*stub) error {
	var below uint64
	exact := true
	for i, l := range d.links {
		parent := among[d.deps[i]]
		if parent == nil {
			parent = r.parent(d.deps[i], d.linkIDs[i])
		}
		switch {
		case parent != nil && parent.cid != l:
			return errBadDelta
		case parent != nil:
			below = max(below, parent.height)
		case !r.has(d.deps[i]):
			return errMissing
		default:
			exact = false // its height is not known any more
		}
	}
	if d.height <= below || exact && d.height != below+1 {
		return errBadHeight
	}
	return nil
}

// parent is the stub of a delta, nil if only its dot is known.
func (r *replica) parent(d dot, id string) *stub {
	if s := r.index.tail.get(d); s != nil {
		return s
	}
	if h := r.index.heads[id]; h != nil && h.dot == d {
		return &stub{cid: h.cid, id: h.id, dot: h.dot, height: h.height}
	}
	return nil
}

// process merges sorted deltas and saves the operation.
func (r *replica) process(sorted []*delta) error {
	if r.closed {
		return clock.ErrStopped
	}
	if len(sorted) == 1 && r.index.recallAlone(sorted[0]) {
		r.stop()     // the running go-ds-crdt does not know the new heads
		_ = r.save() // as finish
		return nil
	}
	if len(sorted) > 1 {
		r.index.begin()
		if r.index.recall(sorted) {
			r.stop()
			return r.finish(nil)
		}
	}
	r.index.begin()
	if err := r.merge(sorted); err != nil {
		return r.fail(err)
	}
	if len(sorted) == 1 {
		return r.finish(sorted[0])
	}
	return r.finish(nil)
}

// finish ends an operation; merged is the delta that go-ds-crdt has merged in it,
// if it is one alone.
func (r *replica) finish(merged *delta) error {
	op := r.index.op
	if err := r.index.finish(); err != nil {
		return r.fail(err)
	}
	if merged != nil {
		merged.remember(op)
	}
	_ = r.save() // kept, and tried again
	return nil
}

// merge gives sorted deltas to go-ds-crdt.
func (r *replica) merge(sorted []*delta) error {
	if err := r.start(); err != nil {
		return err
	}
	cids := make([]storage.CID, len(sorted))
	for i, d := range sorted {
		r.index.bring(d)
		cids[i] = d.cid
	}
	if len(r.index.heads) == 0 {
		// Without heads go-ds-crdt takes every delta that it is told of for a head.
		if !r.feed.process(cids[:1]) {
			return clock.ErrStopped
		}
		cids = cids[1:]
	}
	if len(cids) > 0 && !r.feed.process(cids) {
		return clock.ErrStopped
	}
	return nil
}

// commit makes writes one delta and returns it, nil if there is nothing to do.
// On an error nothing has changed.
func (r *replica) commit(writes map[storage.Key]storage.Write) (*delta, error) {
	if r.writer == 0 {
		if len(r.index.vector.last) >= writersMax {
			return nil, fmt.Errorf("%w: %d writers", storage.ErrTooLarge, writersMax)
		}
		r.writer = max(1, r.newWriter())
	}
	if err := r.start(); err != nil {
		return nil, err
	}
	r.index.begin()
	if err := r.write(writes); err != nil {
		return nil, r.fail(err)
	}
	d := r.index.op.made
	if d == nil {
		r.index.abort()
		return nil, nil
	}
	if err := r.finish(d); err != nil {
		return nil, err
	}
	return d, nil
}

// fail aborts an operation that go-ds-crdt did not do as it should. The index is unchanged;
// go-ds-crdt may have half of the operation in its own memory.
func (r *replica) fail(cause error) error {
	r.index.abort()
	r.stop()
	return cause
}

// save writes all unsaved changes to the disk, as one batch, and cuts the tail when it has grown
// too long.
func (r *replica) save() error {
	if r.index.tail.exceeds(r.history) {
		if r.index.prune(r.history.Deltas, r.history.Bytes) {
			r.stop()
		}
	}
	return r.index.commit()
}

// valueTag is the first byte of every value within go-ds-crdt, which treats an empty value as absent.
const valueTag = "\x01"

// write overwrites as deletion and addition: a later write then supersedes the
// elements that it has seen, instead of only outranking them.
func (r *replica) write(writes map[storage.Key]storage.Write) error {
	ctx := context.Background()
	batch, err := r.crdt.Batch(ctx)
	if err != nil {
		return fmt.Errorf("storage: write delta: %w", err)
	}
	something := false
	for _, k := range slices.SortedFunc(maps.Keys(writes), storage.Key.Compare) {
		w, key := writes[k], datastore.RawKey(string(k))
		if r.index.present(k) {
			something = true
			if err := batch.Delete(ctx, key); err != nil {
				return fmt.Errorf("storage: write delta: %w", err)
			}
		}
		if w.Delete {
			continue
		}
		something = true
		value := append([]byte(valueTag), w.Value...)
		if err := batch.Put(ctx, key, value); err != nil {
			return fmt.Errorf("storage: write delta: %w", err)
		}
	}
	if !something {
		return nil
	}
	if err := batch.Put(ctx, datastore.RawKey(dotKey), r.dots()); err != nil {
		return fmt.Errorf("storage: write delta: %w", err)
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("storage: write delta: %w", err)
	}
	return nil
}

// dots are the dots stored in a new delta: its own, and those of its links.
func (r *replica) dots() []byte {
	raw := appendDot(nil, dot{r.writer, r.index.vector.last[r.writer] + 1})
	for _, h := range r.index.headList() {
		raw = appendDot(raw, h.dot)
	}
	return raw
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	crdt "github.com/ipfs/go-ds-crdt"
	"github.com/taucloud/tau/clock"
)

// year is as good as never for go-ds-crdt's own rebroadcasts; we compare heads
// ourselves, on our clock.
const year = 365 * 24 * time.Hour

// errMissing says that deltas link to others that are not here.
var errMissing = errors.New("storage: missing ancestors")

// errBadHeight says that a delta's height is not one above its links'.
var errBadHeight = errors.New("storage: delta: wrong height")

// replica is the state of one replica: a go-ds-crdt that is given whole
// operations only, each one batch of the disk. It knows no network and nothing
// waits in it, except for go-ds-crdt's own goroutines, which work in memory.
type replica struct {
	disk    Disk
	at      Key
	overlay *overlay
	dag     *dag
	salvage *salvage // until it is restored

	feed   *feed
	crdt   *crdt.Datastore
	closed bool
}

// openReplica opens what is on the disk below at. If part of it is corrupt, the
// index is built again from those deltas that are not; restoreSalvage then adds
// what the index knew beside, once other replicas have supplied what they can.
func openReplica(disk Disk, at Key) (*replica, error) {
	r := &replica{disk: disk, at: at}
	err := r.start(true)
	if errors.Is(err, ErrCorrupt) {
		r.salvage = &salvage{records: r.overlay.present(), damaged: r.overlay.damaged}
		err = r.rebuild()
	}
	return r, err
}

// start makes everything in memory anew, with the index from the disk or empty.
func (r *replica) start(load bool) error {
	if r.closed {
		return clock.ErrStopped
	}
	r.overlay = newOverlay(r.disk, r.at)
	r.dag = newDAG(r.overlay)
	if load {
		if err := r.overlay.load(); err != nil {
			return fmt.Errorf("storage: open replica: %w", err)
		}
		r.overlay.takeChanged()
	}
	r.feed = newFeed()
	store, err := crdt.New(r.overlay, datastore.RawKey("/"), r.dag, r.feed, &crdt.Options{
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

// rebuild drops the index and processes all sound deltas again. Those that are
// lost come back from other replicas, if these have them. All keys that there
// were count as changed.
func (r *replica) rebuild() error {
	before := r.overlay.present()
	r.stop()
	r.crdt = nil
	sound, err := r.soundDeltas()
	if err != nil {
		return fmt.Errorf("storage: rebuild replica: %w", err)
	}
	stale, err := r.indexKeys()
	if err != nil {
		return fmt.Errorf("storage: rebuild replica: %w", err)
	}
	if err := r.start(false); err != nil {
		return err
	}
	r.overlay.markChanged(maps.Keys(before))
	// The deletions stand before all else that the next commit writes.
	written := r.overlay.unsaved
	r.overlay.unsaved = nil
	for _, key := range stale {
		r.overlay.unsaved = append(r.overlay.unsaved, diskWrite{key: key, delete: true})
	}
	r.overlay.unsaved = append(r.overlay.unsaved, written...)
	slices.SortFunc(sound, compareDeltas)
	connected := r.connected(sound)
	if r.salvage != nil {
		r.salvage.keep(sound, connected)
	}
	return r.process(connected)
}

// indexKeys are the places of the whole index.
func (r *replica) indexKeys() (keys []string, err error) {
	for _, below := range []Key{diskKeys, diskIndex} {
		err = errors.Join(err, scanDisk(r.disk, r.at+below, func(k Key, _ []byte) error {
			keys = append(keys, string(k[len(r.at):]))
			return nil
		}))
	}
	return keys, err
}

// soundDeltas reads all deltas on the disk that are what their name says.
func (r *replica) soundDeltas() (sound []*delta, err error) {
	at := r.at + diskDeltas
	err = scanDisk(r.disk, at, func(k Key, raw []byte) error {
		c, err := dshelp.DsKeyToCidV1(datastore.RawKey(string(k[len(at):])), cid.DagProtobuf)
		if err != nil {
			return nil // not a delta
		}
		d, err := decodeDelta(raw)
		if err != nil || d.cid != c {
			d, err = readDelta(r.disk, k, c)
		}
		if err == nil {
			sound = append(sound, d)
		}
		return nil
	})
	return sound, err
}

// connected returns those of the sorted deltas whose ancestors are all here or
// among them.
func (r *replica) connected(sorted []*delta) []*delta {
	held := map[CID]bool{}
	return slices.DeleteFunc(slices.Clone(sorted), func(d *delta) bool {
		for _, l := range d.links {
			if !held[l] && !r.has(l) {
				return true
			}
		}
		held[d.cid] = true
		return false
	})
}

// stop ends go-ds-crdt's goroutines, if they were started.
func (r *replica) stop() {
	if r.crdt != nil {
		r.feed.close()
		r.crdt.Close()
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
func (r *replica) has(c CID) bool { return r.overlay.processed(deltaID(c)) }

// heads are the deltas that no other links to, in order.
func (r *replica) heads() []CID { return r.crdt.InternalStats(context.Background()).Heads }

// ingest makes deltas of other replicas part of the state, all or none: it
// returns errMissing if one links to what is neither here nor among them. A
// failure to save them is no error yet: they are saved with the next operation.
func (r *replica) ingest(raws [][]byte) error {
	var fresh []*delta
	for _, raw := range raws {
		d, err := decodeDelta(raw)
		if err != nil {
			return err
		}
		if !r.overlay.processed(d.id) {
			fresh = append(fresh, d)
		}
	}
	slices.SortFunc(fresh, compareDeltas)
	fresh = slices.CompactFunc(fresh, func(a, b *delta) bool { return a.cid == b.cid })
	if err := r.checkHeights(fresh); err != nil {
		return err
	}
	return r.process(fresh)
}

// checkHeights makes sure that sorted deltas can be processed in their order.
func (r *replica) checkHeights(sorted []*delta) error {
	heights := make(map[CID]uint64, len(sorted))
	for _, d := range sorted {
		var below uint64
		for _, l := range d.links {
			height, among := heights[l]
			if !among {
				if !r.has(l) {
					return errMissing
				}
				known, err := r.dag.get(l)
				if err != nil {
					return r.heal(fmt.Errorf("%w: %w", ErrCorrupt, err))
				}
				height = known.height
			}
			below = max(below, height)
		}
		if d.height != below+1 {
			return errBadHeight
		}
		heights[d.cid] = d.height
	}
	return nil
}

// process gives sorted deltas to go-ds-crdt and saves the operation.
func (r *replica) process(sorted []*delta) error {
	if len(sorted) == 0 {
		return nil
	}
	cids := make([]CID, len(sorted))
	for i, d := range sorted {
		r.dag.put(d)
		cids[i] = d.cid
	}
	if len(r.heads()) == 0 {
		// Without heads go-ds-crdt takes all that it is told of for heads.
		if !r.feed.process(cids[:1]) {
			return clock.ErrStopped
		}
		cids = cids[1:]
	}
	if len(cids) > 0 && !r.feed.process(cids) {
		return clock.ErrStopped
	}
	for _, d := range sorted {
		if !r.overlay.processed(d.id) {
			return r.reset(fmt.Errorf("storage: delta %s was not processed", d.cid))
		}
	}
	_ = r.save() // kept, and tried again
	return nil
}

// commit makes writes one delta and returns it, nil if there is nothing to do.
// On an error nothing has changed.
func (r *replica) commit(writes map[Key]write) (*delta, error) {
	if err := r.write(writes); err != nil {
		return nil, r.reset(err)
	}
	added := r.dag.takeAdded()
	if len(added) == 0 {
		return nil, nil
	}
	if len(added) > 1 {
		panic(fmt.Sprintf("storage: %d deltas of one batch", len(added)))
	}
	_ = r.save() // kept, and tried again
	return added[0], nil
}

// save writes to the disk what is not on it, as one batch.
func (r *replica) save() error {
	err := r.overlay.commit()
	if err == nil {
		r.dag.saved()
	}
	return err
}

// valueTag begins every value within go-ds-crdt, to which an empty one is none.
const valueTag = "\x01"

// write overwrites as deletion and addition: a later write then supersedes the
// elements that it has seen, instead of only outranking them.
func (r *replica) write(writes map[Key]write) error {
	ctx := context.Background()
	batch, err := r.crdt.Batch(ctx)
	if err != nil {
		return fmt.Errorf("storage: write delta: %w", err)
	}
	for _, k := range slices.SortedFunc(maps.Keys(writes), Key.Compare) {
		w, key := writes[k], datastore.RawKey(string(k))
		if _, found := r.overlay.value(k); found {
			if err := batch.Delete(ctx, key); err != nil {
				return fmt.Errorf("storage: write delta: %w", err)
			}
		}
		if w.delete {
			continue
		}
		value := append([]byte(valueTag), w.value...)
		if err := batch.Put(ctx, key, value); err != nil {
			return fmt.Errorf("storage: write delta: %w", err)
		}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("storage: write delta: %w", err)
	}
	return nil
}

// reset goes back to the last operation that was saved, after go-ds-crdt failed
// within one: it has read something corrupt from the disk.
func (r *replica) reset(cause error) error {
	if r.closed {
		return clock.ErrStopped
	}
	if err := r.rebuild(); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// Package replicated is the replicated key-value store: a storage.Replicated over go-ds-crdt,
// exchange of deltas and states with the other replicas, and recovery from damaged disks. It serves
// one namespace of one service, and does not interpret the entries.
package replicated

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/transport"
)

const (
	// deltaSizeMax bounds what one turn may write, in bytes of keys and values
	// and writeOverhead for each write.
	deltaSizeMax  = 1 << 20
	writeOverhead = 64
)

// Config is what a replica needs.
type Config struct {
	Loop     clock.Loop
	Endpoint *transport.Endpoint
	Disk     storage.Disk
	Rand     *rand.Rand
	// Service names the audience: every node that offers it has a replica.
	Service string
	// Namespace tells the stores of one service apart, "main".
	Namespace string
	// Observe, if it is set, is called with facts: a name, then names and values alternately.
	Observe func(fact string, pairs ...any)
	// History is how many deltas are kept; what is 0 in it is the default.
	History storage.History
	// AntiEntropyInterval is how often a replica compares heads with a peer of
	// its choice; 0 means 5 s.
	AntiEntropyInterval time.Duration
}

// Store is a storage.Replicated by go-ds-crdt.
//
// The whole index is in memory. Deltas are kept for replicas that lag behind, see storage.History;
// those that lag further are given the whole state. Superseded and deleted entries are removed
// completely; some 10 bytes stay for ever for each opening of a replica that wrote.
type Store struct {
	replicated
}

type replicated struct {
	cfg     Config
	ctx     context.Context // ends with the replica
	cancel  context.CancelCauseFunc
	letGo   func() // wakes the task that keep started
	replica *replica
	state   storage.ReplicaState

	pending     map[storage.Key]storage.Write // of this turn
	pendingSize int
	committing  bool // a commit is scheduled

	watchers  []*watcher
	changed   []storage.Key // not yet reported to watchers
	notifying bool

	exchange
}

// Open opens the replica from what is on the disk and begins to
// exchange with the others. It stops with its loop; a service that stops in
// order calls Close.
//
// A replica that has nothing, or whose disk is damaged, catches up with the others before Open
// returns, however long that takes, see State; Open fails after 5 minutes without progress although
// some member has contents. A replica with contents returns after one attempt to catch up, of up to
// 2 s.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.AntiEntropyInterval <= 0 {
		cfg.AntiEntropyInterval = 5 * time.Second
	}
	r := &Store{replicated{
		cfg:     cfg,
		pending: map[storage.Key]storage.Write{},
	}}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	if err := r.keep(ctx); err != nil {
		r.stop()
		return nil, err
	}
	if err := r.open(ctx); err != nil {
		r.stop()
		return nil, err
	}
	r.startAntiEntropy()
	return r, nil
}

func (r *Store) open(ctx context.Context) (err error) {
	r.replica, err = openReplica(r.cfg.Disk, storage.K("kv", r.cfg.Service, r.cfg.Namespace), r.cfg.Rand.Uint64, r.pause)
	if err != nil {
		return err
	}
	r.replica.history = r.cfg.History.OrDefault()
	if r.ctx.Err() != nil { // the loop has stopped meanwhile
		return clock.ErrStopped
	}
	if len(r.replica.recovered) > 0 {
		r.observe("replica-damaged", "keys", len(r.replica.recovered))
	}
	r.state = storage.ReplicaReady
	if r.replica.isEmpty() {
		r.setState(storage.ReplicaEmpty)
	}
	r.serve()
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	r.replica.index.takeChanged()
	return nil
}

func (r *Store) observe(fact string, pairs ...any) {
	if r.cfg.Observe != nil {
		r.cfg.Observe(fact, pairs...)
	}
}

// keep starts the task that ends the replica with its loop: it waits for the loop's end, so that
// the replica ends in a turn, ordered among all others by the loop. keep returns once the task
// waits: only then go-ds-crdt's goroutines may start.
func (r *Store) keep(ctx context.Context) error {
	return r.cfg.Loop.Park(ctx, func(started func()) {
		r.cfg.Loop.Go("replica", func(loopCtx context.Context) {
			defer r.end() // also when the node crashes
			if r.ctx.Err() != nil {
				return // the caller of Open has given up
			}
			started()
			_ = r.cfg.Loop.Park(loopCtx, func(wake func()) { r.letGo = wake })
		})
	})
}

// end ends the replica, in a turn.
func (r *Store) end() {
	r.cancel(clock.ErrStopped)
	if r.replica != nil {
		r.replica.close()
	}
}

// stop ends the replica and the task that waits for it to end.
func (r *Store) stop() {
	r.end()
	if r.letGo != nil {
		r.letGo()
	}
}

// Get implements Store. Writes of this turn are seen.
func (r *Store) Get(k storage.Key) ([]byte, error) {
	storage.MustBeKey(k)
	if w, found := r.pending[k]; found {
		if w.Delete {
			return nil, storage.ErrNotFound
		}
		return bytes.Clone(w.Value), nil
	}
	value, found := r.replica.index.value(k)
	if !found {
		return nil, storage.ErrNotFound
	}
	return bytes.Clone(value[len(valueTag):]), nil
}

// List implements storage.Store.
func (r *Store) List(prefix storage.Key) ([]storage.Entry, error) { return r.Entries(prefix), nil }

// Entries implements storage.Replicated.
func (r *Store) Entries(prefix storage.Key) (list []storage.Entry) {
	r.replica.index.list(prefix, func(k storage.Key, value []byte) {
		if _, found := r.pending[k]; !found {
			list = append(list, storage.Entry{Key: k, Value: bytes.Clone(value[len(valueTag):])})
		}
	})
	committed := len(list)
	for k, w := range r.pending {
		if k.Has(prefix) && !w.Delete {
			list = append(list, storage.Entry{Key: k, Value: bytes.Clone(w.Value)})
		}
	}
	if len(list) > committed {
		slices.SortFunc(list, storage.Entry.Compare)
	}
	return list
}

// Apply implements Store. It fails with ErrTooLarge for a batch of over 1 MiB,
// each write counting 64 bytes beside its key and value,
// and while the disk refuses what was applied before.
func (r *Store) Apply(b *storage.Batch) error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	size := 0
	for _, w := range b.Writes() {
		storage.MustBeKey(w.Key)
		size += len(w.Key) + len(w.Value) + writeOverhead
	}
	if size > deltaSizeMax {
		return fmt.Errorf("%w: a batch of %d bytes", storage.ErrTooLarge, size)
	}
	if err := r.replica.save(); err != nil {
		return err
	}
	if r.pendingSize+size > deltaSizeMax {
		if err := r.commit(); err != nil {
			return err
		}
	}
	for _, w := range b.Writes() {
		w.Value = r.cfg.Endpoint.Written(w.Value)
		r.pending[w.Key] = w
	}
	r.pendingSize += size
	if !r.committing && len(r.pending) > 0 {
		r.committing = true
		r.cfg.Loop.AfterFunc(0, func() {
			r.committing = false
			_ = r.commit() // what fails stays pending: Sync reports it
		})
	}
	return nil
}

// commit makes the writes of this turn one delta and publishes it.
func (r *Store) commit() error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	if len(r.pending) == 0 {
		return nil
	}
	d, err := r.replica.commit(r.pending)
	if err != nil {
		return err
	}
	clear(r.pending)
	r.pendingSize = 0
	r.notify()
	if d != nil {
		r.publish(d)
	}
	return nil
}

// Sync implements Store: durable on this node. After a failed flush the disk must not be used any
// more: earlier writes may be lost even if the next flush succeeds. Package node ensures that.
func (r *Store) Sync(ctx context.Context) error {
	if err := r.commit(); err != nil {
		return err
	}
	if err := r.replica.save(); err != nil {
		return err
	}
	return ondisk.Flush(ctx, r.cfg.Loop, r.cfg.Disk)
}

// Heads names the newest deltas that the replica knows: replicas with equal heads have equal
// contents, apart from the writes of this turn. For checks and status.
func (r *Store) Heads() []string {
	var list []string
	for _, h := range r.replica.index.headList() {
		list = append(list, h.cid.String())
	}
	return list
}

// Stats is for checks, figures and status.
func (r *Store) Stats() storage.ReplicaStats {
	o := r.replica.index
	return storage.ReplicaStats{
		Entries:    o.elements.Len(),
		Deltas:     o.tail.len,
		DeltaBytes: o.tail.bytes,
		Writers:    len(o.vector.last),
		Contents:   o.sum,
	}
}

// Close flushes nothing and ends the replica.
func (r *Store) Close() error {
	r.stop()
	return nil
}

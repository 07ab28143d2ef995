package storage

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// deltaSizeMax bounds what one turn may write, in bytes of keys and values.
const deltaSizeMax = 1 << 20

// ReplicatedConfig is what a replica needs.
type ReplicatedConfig struct {
	Loop     clock.Loop
	Endpoint *transport.Endpoint
	Disk     Disk
	Rand     *rand.Rand
	// Service names the audience: every node that offers it has a replica.
	Service string
	// Namespace tells the stores of one service apart, "main".
	Namespace string
	// AntiEntropyInterval is how often a replica compares heads with a peer of
	// its choice; 0 means 5 s.
	AntiEntropyInterval time.Duration
}

// Replicated is a Store of which every node that offers a service holds a
// replica, by go-ds-crdt. Writes are visible here at once and elsewhere soon;
// there is no mutual exclusion: of concurrent writes of one key one wins, the
// same everywhere. Key rules: one key per entry, never a contended key.
//
// All writes of one turn travel as one delta. Apply is atomic also at the
// other replicas.
//
// A write supersedes all that its replica knew of. Of concurrent writes of a
// key the one that stands higher in the history wins, whatever the time: a
// replica that lags behind loses. A concurrent write survives a deletion.
//
// The whole index is in memory, and deltas are kept for ever: this is for
// thousands of entries that matter, not for bulk data.
type Replicated struct {
	replicated
}

type replicated struct {
	cfg     ReplicatedConfig
	ctx     context.Context // ends with the replica
	cancel  context.CancelCauseFunc
	letGo   func() // wakes the task that keep started
	replica *replica

	pending     map[Key]write // of this turn
	pendingSize int
	committing  bool // a commit is scheduled

	watchers  []*watcher
	changed   map[Key]bool
	notifying bool

	exchange
}

// OpenReplicated opens the replica from what is on the disk and begins to
// exchange with the others. It stops with its loop; a service that stops in
// order calls Close.
//
// It first takes what another replica has, if one answers within 2 s: a replica
// that lost its disk would otherwise write on top of nothing, and lose.
func OpenReplicated(ctx context.Context, cfg ReplicatedConfig) (*Replicated, error) {
	if cfg.AntiEntropyInterval <= 0 {
		cfg.AntiEntropyInterval = 5 * time.Second
	}
	r := &Replicated{replicated{
		cfg:     cfg,
		pending: map[Key]write{},
		changed: map[Key]bool{},
	}}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	if err := r.keep(ctx); err != nil {
		r.stop()
		return nil, err
	}
	replica, err := openReplica(cfg.Disk, K("kv", cfg.Service, cfg.Namespace))
	if err != nil {
		r.stop()
		return nil, err
	}
	r.replica = replica
	if r.ctx.Err() != nil { // the loop has stopped meanwhile
		r.stop()
		return nil, clock.ErrStopped
	}
	r.serve()
	r.catchUp(ctx)
	if err := r.replica.restoreSalvage(); err != nil {
		r.stop()
		return nil, err
	}
	r.startAntiEntropy()
	return r, nil
}

// keep starts the task that ends the replica with its loop: it waits for the
// loop's end, so that the replica ends in a turn, whose place among all others
// is the loop's to decide. keep returns once the task waits: only then
// go-ds-crdt's goroutines may start.
func (r *Replicated) keep(ctx context.Context) error {
	return r.cfg.Loop.Park(ctx, func(started func()) {
		r.cfg.Loop.Go("replica", func(loopCtx context.Context) {
			defer r.end() // also when the node crashes
			if r.ctx.Err() != nil {
				return // whoever opened it has given up
			}
			started()
			_ = r.cfg.Loop.Park(loopCtx, func(wake func()) { r.letGo = wake })
		})
	})
}

// end ends the replica, in a turn.
func (r *Replicated) end() {
	r.cancel(clock.ErrStopped)
	if r.replica != nil {
		r.replica.close()
	}
}

// stop ends the replica and the task that waits for it to end.
func (r *Replicated) stop() {
	r.end()
	if r.letGo != nil {
		r.letGo()
	}
}

// Get implements Store. Writes of this turn are seen.
func (r *Replicated) Get(k Key) ([]byte, error) {
	mustBeKey(k)
	if w, found := r.pending[k]; found {
		if w.delete {
			return nil, ErrNotFound
		}
		return bytes.Clone(w.value), nil
	}
	value, found := r.replica.overlay.value(k)
	if !found {
		return nil, ErrNotFound
	}
	return bytes.Clone(value[len(valueTag):]), nil
}

// List implements Store. Writes of this turn are seen.
func (r *Replicated) List(prefix Key) ([]Entry, error) {
	var list []Entry
	r.replica.overlay.list(prefix, func(k Key, value []byte) {
		if _, found := r.pending[k]; !found {
			list = append(list, Entry{Key: k, Value: bytes.Clone(value[len(valueTag):])})
		}
	})
	committed := len(list)
	for k, w := range r.pending {
		if k.Has(prefix) && !w.delete {
			list = append(list, Entry{Key: k, Value: bytes.Clone(w.value)})
		}
	}
	if len(list) > committed {
		slices.SortFunc(list, compareEntries)
	}
	return list, nil
}

// Apply implements Store. It fails with ErrTooLarge for a batch of over 1 MiB,
// and while the disk refuses what was applied before.
func (r *Replicated) Apply(b *Batch) error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	size := 0
	for _, w := range b.writes {
		mustBeKey(w.key)
		size += len(w.key) + len(w.value)
	}
	if size > deltaSizeMax {
		return fmt.Errorf("%w: a batch of %d bytes", ErrTooLarge, size)
	}
	if err := r.replica.save(); err != nil {
		return err
	}
	if r.pendingSize+size > deltaSizeMax {
		if err := r.commit(); err != nil {
			return err
		}
	}
	for _, w := range b.writes {
		r.pending[w.key] = w
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
func (r *Replicated) commit() error {
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

// Sync implements Store: durable on this node.
func (r *Replicated) Sync(ctx context.Context) error {
	if err := r.commit(); err != nil {
		return err
	}
	if err := r.replica.save(); err != nil {
		return err
	}
	return flush(ctx, r.cfg.Loop, r.cfg.Disk)
}

// Heads is a digest of the replica's state: replicas with equal heads have
// equal contents. For checks and status.
func (r *Replicated) Heads() []string {
	var list []string
	for _, c := range r.replica.heads() {
		list = append(list, c.String())
	}
	return list
}

// Close flushes nothing and ends the replica.
func (r *Replicated) Close() error {
	r.stop()
	return nil
}

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

const (
	// deltaSizeMax bounds what one turn may write, in bytes of keys and values
	// and writeOverhead for each write.
	deltaSizeMax  = 1 << 20
	writeOverhead = 64
)

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
	// Observe, if it is set, is told facts: a name, and names and values in turn.
	Observe func(fact string, pairs ...any)
	// History is how many deltas are kept; what is 0 in it is the default.
	History History
	// AntiEntropyInterval is how often a replica compares heads with a peer of
	// its choice; 0 means 5 s.
	AntiEntropyInterval time.Duration
}

// History bounds the deltas that a replica keeps for those that lag behind, and
// so its memory and disk beside what lives: there may be a quarter more before
// the lowest are cut. Whoever lags further is given the whole state. Replicas
// need not agree on it.
type History struct {
	// Deltas is how many are kept.
	Deltas int `yaml:"deltas" range:"1..65536"`
	// Bytes is how long all of them are.
	Bytes int `yaml:"bytes" range:"1..256MiB"`
}

// DefaultHistory is the history that suits a few writes a minute for days.
func DefaultHistory() History { return History{Deltas: 4096, Bytes: 8 << 20} }

// orDefault fills in what is not given.
func (h History) orDefault() History {
	d := DefaultHistory()
	if h.Deltas <= 0 {
		h.Deltas = d.Deltas
	}
	if h.Bytes <= 0 {
		h.Bytes = d.Bytes
	}
	return h
}

// exceeded reports whether deltas are to be cut.
func (h History) exceeded(t *tail) bool {
	return t.len > h.Deltas+h.Deltas/4 || t.bytes > h.Bytes+h.Bytes/4
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
// The whole index is in memory: this is for up to some 100,000 entries that
// matter, not for bulk data. Deltas are kept for those that lag behind, see
// History; whoever lags further is given the whole state. What was superseded or deleted leaves nothing behind; what stays
// for ever is some 10 bytes for each opening of a replica that wrote.
type Replicated struct {
	replicated
}

type replicated struct {
	cfg     ReplicatedConfig
	ctx     context.Context // ends with the replica
	cancel  context.CancelCauseFunc
	letGo   func() // wakes the task that keep started
	replica *replica
	state   ReplicaState

	pending     map[Key]write // of this turn
	pendingSize int
	committing  bool // a commit is scheduled

	watchers  []*watcher
	changed   []Key // that watchers are still to be told of
	notifying bool

	exchange
}

// OpenReplicated opens the replica from what is on the disk and begins to
// exchange with the others. It stops with its loop; a service that stops in
// order calls Close.
//
// A replica that has nothing, or whose disk is damaged, takes what the others
// have before it returns, however long that takes, see State; it fails when
// nothing comes for 5 minutes although there is something. One that has something
// returns after one attempt to catch up, of up to 2 s.
func OpenReplicated(ctx context.Context, cfg ReplicatedConfig) (*Replicated, error) {
	if cfg.AntiEntropyInterval <= 0 {
		cfg.AntiEntropyInterval = 5 * time.Second
	}
	r := &Replicated{replicated{
		cfg:     cfg,
		pending: map[Key]write{},
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

func (r *Replicated) open(ctx context.Context) (err error) {
	r.replica, err = openReplica(r.cfg.Disk, K("kv", r.cfg.Service, r.cfg.Namespace), r.cfg.Rand.Uint64, r.pause)
	if err != nil {
		return err
	}
	r.replica.history = r.cfg.History.orDefault()
	if r.ctx.Err() != nil { // the loop has stopped meanwhile
		return clock.ErrStopped
	}
	if len(r.replica.rescue) > 0 {
		r.observe("replica-damaged", "keys", len(r.replica.rescue))
	}
	r.state = ReplicaReady
	if r.replica.isEmpty() {
		r.setState(ReplicaEmpty)
	}
	r.serve()
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	r.replica.overlay.takeChanged()
	return nil
}

func (r *Replicated) observe(fact string, pairs ...any) {
	if r.cfg.Observe != nil {
		r.cfg.Observe(fact, pairs...)
	}
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

// List implements Store.
func (r *Replicated) List(prefix Key) ([]Entry, error) { return r.Entries(prefix), nil }

// Entries is List of what cannot fail: a replica reads from memory. Writes of
// this turn are seen.
func (r *Replicated) Entries(prefix Key) (list []Entry) {
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
	return list
}

// Apply implements Store. It fails with ErrTooLarge for a batch of over 1 MiB,
// each write counting 64 bytes beside its key and value,
// and while the disk refuses what was applied before.
func (r *Replicated) Apply(b *Batch) error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	size := 0
	for _, w := range b.writes {
		mustBeKey(w.key)
		size += len(w.key) + len(w.value) + writeOverhead
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
		w.value = r.cfg.Endpoint.Written(w.value)
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

// Sync implements Store: durable on this node. After a flush that failed the disk
// must not be used any more: what it had taken before may be gone even if its
// next flush succeeds. Package node sees to that.
func (r *Replicated) Sync(ctx context.Context) error {
	if err := r.commit(); err != nil {
		return err
	}
	if err := r.replica.save(); err != nil {
		return err
	}
	return flush(ctx, r.cfg.Loop, r.cfg.Disk)
}

// Heads names the newest deltas that the replica knows: replicas of equal heads
// have equal contents, but for what this turn has written. For checks and status.
func (r *Replicated) Heads() []string {
	var list []string
	for _, h := range r.replica.overlay.headList() {
		list = append(list, h.cid.String())
	}
	return list
}

// ReplicaStats is what a replica holds.
type ReplicaStats struct {
	Entries    int // values; of a key with conflicting writes more than one
	Deltas     int // kept for those that lag behind
	DeltaBytes int
	Writers    int // openings that ever wrote
	// Contents is a digest: equal for equal entries, whatever their history.
	Contents uint64
}

// Stats is for checks, figures and status.
func (r *Replicated) Stats() ReplicaStats {
	o := r.replica.overlay
	return ReplicaStats{
		Entries:    o.elements.Len(),
		Deltas:     o.tail.len,
		DeltaBytes: o.tail.bytes,
		Writers:    len(o.vector.last),
		Contents:   o.sum,
	}
}

// Close flushes nothing and ends the replica.
func (r *Replicated) Close() error {
	r.stop()
	return nil
}

package storage

import "context"

// Replicated is a Store of which every node that offers a service holds a
// replica. Writes are visible here at once and elsewhere soon; there is no mutual
// exclusion: of concurrent writes of one key one wins, the same everywhere. Key
// rules: one key per entry, never a contended key.
//
// All writes of one turn travel as one delta, of up to 1 MiB. Apply is atomic also
// at the other replicas.
//
// A write supersedes all that its replica knew of. Of concurrent writes of a key the one that is
// higher in the history wins, whatever the time: a replica that lags behind loses. A concurrent
// write survives a deletion.
//
// The whole index is in memory: this is for up to some 100,000 entries, not for bulk data.
type Replicated interface {
	Store
	// Entries is List without an error: a replica reads from memory. Writes of this turn are seen.
	Entries(prefix Key) []Entry
	// Replicate makes all that this replica has now durable here and, by asking up
	// to as many reachable peers as needed, on copies-1 other nodes. It returns how
	// many copies, this one included, are known to be durable: fewer than asked for
	// when ctx ends or no more peers answer. An error means that not even this node
	// has a durable copy.
	Replicate(ctx context.Context, copies int) (int, error)
	// Watch calls f in a turn of its own, once per changed key below prefix, after
	// the key was written or deleted here or elsewhere, with keys in order. Changes
	// of one key may be coalesced: read the current value. stop ends it.
	Watch(prefix Key, f func(k Key)) (stop func())
	// State is the state of the replica.
	State() ReplicaState
	// Heads names the newest deltas that the replica knows: replicas of equal heads
	// have equal contents, but for what this turn has written. For checks and status.
	Heads() []string
	// Stats is for checks, figures and status.
	Stats() ReplicaStats
	// Close flushes nothing and ends the replica.
	Close() error
}

// History bounds the deltas that a replica keeps for those that lag behind, and so its memory and
// disk beside what lives: there may be a quarter more before the lowest are cut. Replicas that lag
// further are given the whole state. Replicas need not agree on it.
type History struct {
	// Deltas is how many are kept.
	Deltas int `yaml:"deltas" range:"1..65536"`
	// Bytes is how long all of them are.
	Bytes int `yaml:"bytes" range:"1..256MiB"`
}

// DefaultHistory suits a few writes a minute for days.
func DefaultHistory() History { return History{Deltas: 4096, Bytes: 8 << 20} }

// OrDefault replaces zero fields by the defaults.
func (h History) OrDefault() History {
	d := DefaultHistory()
	if h.Deltas <= 0 {
		h.Deltas = d.Deltas
	}
	if h.Bytes <= 0 {
		h.Bytes = d.Bytes
	}
	return h
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

// ReplicaState is the state of a replica.
type ReplicaState string

const (
	// ReplicaEmpty has nothing, and does not know yet whether others have.
	ReplicaEmpty ReplicaState = "empty"
	// ReplicaCatchingUp fetches the others' contents.
	ReplicaCatchingUp ReplicaState = "catching-up"
	// ReplicaReady serves and writes.
	ReplicaReady ReplicaState = "ready"
)

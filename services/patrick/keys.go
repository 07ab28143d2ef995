package patrick

import (
	"fmt"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A record is one decision or report about a job. Records are only added, each under a key of its
// own, so that concurrent ones never overwrite each other; a job's state is resolved from its
// records on read.
type record interface {
	// key is where the record of a job is stored, below jobKey.
	key(job string) storage.Key
	// into adds the record to a job's history. Order and repetition do not matter.
	into(h *history)
}

// spec says what the job is. There is one per patrick that accepted it.
type spec struct {
	Project    string
	Repository string
	Branch     string
	Commit     string
	Source     string // CID of the tree, or of the origin
	Forge      bool   `cbor:",omitempty"`
	TreeSize   int64
	Order      uint64
	NewestWins bool
	Event      string
	// At is when it was accepted, as the clock of that patrick says, in
	// nanoseconds since 1970: for people, and to tell which jobs are forgotten
	// first.
	At int64
	By transport.Peer
}

// grant records that a monkey has the job for one attempt.
type grant struct {
	Token       fencing.Token
	Incarnation uint64 // of the holder
	By          transport.Peer
}

// loss records that a grant has ended without a result.
type loss struct {
	Token  fencing.Token
	Reason string
	By     transport.Peer
}

// result is what the holder of a grant reported.
type result struct {
	Token     fencing.Token
	Success   bool
	Published bool
	Permanent bool
	Artifact  string
	Log       string
	Error     string
}

// rebuild begins the job anew after it has ended without success: earlier decisions, failures and
// losses no longer count.
type rebuild struct {
	N int // 1 for the first
	// After is the last attempt before the rebuild.
	After uint64
	By    transport.Peer
}

// cancel asks that no further attempt be made.
type cancel struct {
	Rebuild int // the rebuild that it is about, 0 for none
	// Cause is "request", or the id of the job that supersedes this one.
	Cause  string
	Reason string
	By     transport.Peer
}

// closing is a coordinator's decision that the job ends without success.
type closing struct {
	Rebuild int               // the rebuild that it ends, 0 for none
	Status  patrickapi.Status // Failed or Cancelled
	Token   fencing.Token     // of the last grant, zero if there was none
	// FencedBelow is the attempt below which tns accepts nothing of the job any more,
	// 0 if it was not asked.
	FencedBelow uint64
	Reason      string
	By          transport.Peer
}

// jobsKey is above all jobs, jobKey above all records of one.
func jobsKey() storage.Key          { return storage.K("jobs") }
func jobKey(job string) storage.Key { return storage.K("jobs", job) }

func tokenKey(job, kind string, t fencing.Token) storage.Key {
	return storage.K("jobs", job, kind, fmt.Sprintf("%010d", t.Attempt), t.Holder.String())
}

func (r spec) key(job string) storage.Key   { return storage.K("jobs", job, "spec", r.By.String()) }
func (r grant) key(job string) storage.Key  { return tokenKey(job, "grant", r.Token) }
func (r loss) key(job string) storage.Key   { return tokenKey(job, "loss", r.Token) }
func (r result) key(job string) storage.Key { return tokenKey(job, "result", r.Token) }
func (r rebuild) key(job string) storage.Key {
	return storage.K("jobs", job, "rebuild", nth(r.N), r.By.String())
}
func (r cancel) key(job string) storage.Key {
	return storage.K("jobs", job, "cancel", nth(r.Rebuild), r.Cause)
}
func (r closing) key(job string) storage.Key {
	return storage.K("jobs", job, "closing", nth(r.Rebuild), r.Status.String(), r.By.String())
}

func nth(n int) string { return fmt.Sprintf("%03d", n) }

// jobOf is the id of the job that a key belongs to.
func jobOf(k storage.Key) (string, bool) {
	parts := k.Parts()
	if len(parts) < 4 || parts[0] != "jobs" {
		return "", false
	}
	return parts[1], true
}

// decodedMax bounds the decoded records that a process remembers.
const decodedMax = 1 << 14

// decoded remembers what decodeRecord returns: all records of a job are read whenever one is added.
// Records are values without references, so a shared one cannot be changed.
var decoded = storage.NewMemo(decodedMax, func(k storage.Key, value []byte) (record, error) {
	return decodeRecord(storage.Entry{Key: k, Value: value})
})

// decodeRecord decodes an entry of the store.
func decodeRecord(e storage.Entry) (record, error) {
	parts := e.Key.Parts()
	if len(parts) < 4 {
		return nil, fmt.Errorf("patrick: %s is not a record's key", e.Key)
	}
	switch parts[2] {
	case "spec":
		return decodeAs[spec](e)
	case "grant":
		return decodeAs[grant](e)
	case "loss":
		return decodeAs[loss](e)
	case "result":
		return decodeAs[result](e)
	case "rebuild":
		return decodeAs[rebuild](e)
	case "cancel":
		return decodeAs[cancel](e)
	case "closing":
		return decodeAs[closing](e)
	}
	return nil, fmt.Errorf("patrick: %s is of no known kind", e.Key)
}

func decodeAs[R record](e storage.Entry) (record, error) {
	var r R
	if err := transport.Decode(e.Value, &r); err != nil {
		return nil, fmt.Errorf("patrick: %s: %w", e.Key, err)
	}
	return r, nil
}

// batchOf makes one batch of records of a job.
func batchOf(job string, records ...record) *storage.Batch {
	b := new(storage.Batch)
	for _, r := range records {
		b.Put(r.key(job), transport.Encode(r))
	}
	return b
}

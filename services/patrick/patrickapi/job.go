package patrickapi

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// Status is the state of a job. A job that is Failed, Cancelled or Success is final. The numeric
// order is the order in which conflicting knowledge of a job is resolved: what is greater wins.
type Status uint8

// The states of a job.
const (
	Unknown   Status = iota
	Open             // waits for a monkey
	Locked           // a monkey holds it under a lease
	Failed           // ended without an artifact
	Cancelled        // cancelled, or superseded by a newer push
	Success          // its artifact is what counts, for ever
)

var statusNames = [...]string{"unknown", "open", "locked", "failed", "cancelled", "success"}

func (s Status) String() string {
	if int(s) >= len(statusNames) {
		s = Unknown
	}
	return statusNames[s]
}

// Final reports whether nothing more is to be done.
func (s Status) Final() bool { return s >= Failed }

// Job is what is known of a job.
type Job struct {
	ID         string
	Project    string
	Repository string
	Branch     string
	Commit     string
	// Source is the CID of the pushed tree or, if Forge, of an Origin; TreeSize is its size in bytes.
	Source   string
	TreeSize int64
	// Forge: it is of a commit that a forge has. Only patricks make such a job, of what the forge has told them.
	Forge bool `cbor:",omitempty"`
	// Event is the ID of the push, Order its place among those of the branch.
	Event      string
	Order      uint64
	NewestWins bool
	// Accepted is when the push was accepted, by the clock of the patrick that did,
	// in nanoseconds since 1970.
	Accepted int64
	// Rebuilds is how often the job was begun anew after it had ended.
	Rebuilds int

	Status Status
	// Attempts is how many times the job was granted to a monkey.
	Attempts int
	// Token is the live grant of a locked job, or that of the outcome.
	Token fencing.Token
	// Cancelling: it will be cancelled unless its holder succeeds before it
	// hears of it.
	Cancelling bool
	// Artifact and Log are CIDs, "" if there is none.
	Artifact string
	Log      string
	// Error says why a job failed or was cancelled.
	Error string
}

// BranchID identifies a branch of a repository. Decisions about all jobs of a branch are made by
// one patrick, the branch's coordinator.
func BranchID(repository, branch string) string { return digest(8, repository, branch) }

// Event is the identity of one push, however often it is delivered. The process that notices a push
// makes its event, once, before the first delivery (Client.NewEvent), and uses it for all
// deliveries.
type Event struct {
	// ID distinguishes events of a branch that have the same Order; it is a forge's delivery id,
	// say. 1 to NameLenMax bytes.
	ID string
	// Order is the event's place among the events of its branch. A patrick gives it, greater than
	// all orders that it knows, so an event made after another one was acknowledged has the greater
	// order. Events that were made at the same time, or on two sides of a partition, may have equal
	// ones: then the job's id decides, everywhere alike.
	Order uint64
}

// Bounds of an order: one that is more than OrderStepMax above all known ones is refused, so that
// no single writer can exhaust the orders.
const (
	OrderMax     = 1 << 62
	OrderStepMax = 1 << 32
)

// JobID names the job of an event. It is a pure function of what was pushed, so
// all deliveries of an event are one job, for ever. It begins with the BranchID
// and the order, so the ids of a branch are in the order of its events.
func JobID(repository, branch, commit string, event Event) string {
	return JobIDIn(repository, repository, branch, commit, event)
}

// JobIDIn is JobID where decisions are made together with those of other repositories: with all of one series.
func JobIDIn(series, repository, branch, commit string, event Event) string {
	return fmt.Sprintf("%s-%016x-%s", BranchID(series, branch), event.Order, digest(12, repository, branch, commit, event.ID))
}

// jobIDLen is the length of a job's id, orderAt where the order is in it.
const (
	branchIDLen = 16
	orderAt     = branchIDLen + 1
	orderEnd    = orderAt + 16
	jobIDLen    = orderEnd + 1 + 24
)

// OrderOf is the order within a job's id, 0 if s is no job's id.
func OrderOf(job string) uint64 {
	if len(job) != jobIDLen {
		return 0
	}
	order, err := strconv.ParseUint(job[orderAt:orderEnd], 16, 64)
	if err != nil {
		return 0
	}
	return order
}

// BranchOf is the BranchID within a job's id.
func BranchOf(job string) string {
	if len(job) < branchIDLen {
		return job
	}
	return job[:branchIDLen]
}

// Ranked lists the patricks that a directory knows, in the order in which they are the
// coordinator of a branch.
func Ranked(d transport.Directory, branchID string) []transport.Peer {
	known, _ := d.Lookup(Service)
	return rendezvous.Rank(branchID, known)
}

// IsJobID reports whether s has the form of a job's id.
func IsJobID(s string) bool {
	if len(s) != jobIDLen || s[branchIDLen] != '-' || s[orderEnd] != '-' {
		return false
	}
	_, err := hex.DecodeString(s[:branchIDLen] + s[orderAt:orderEnd] + s[orderEnd+1:])
	return err == nil
}

// digest is n bytes of SHA-256 over the parts and their lengths.
func digest(n int, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:n])
}

// Grant is the right to build a job until the lease ends. The holder counts
// the lease from when it sent the request that was answered.
type Grant struct {
	Job   Job
	Token fencing.Token
	Lease time.Duration
	// BuildMax bounds the whole attempt.
	BuildMax time.Duration
}

// RankKey is the rendezvous key by which monkeys are ranked for the offer: it differs for each attempt.
func (o Offer) RankKey() string { return o.Job + "/" + strconv.FormatUint(o.Attempt, 10) }

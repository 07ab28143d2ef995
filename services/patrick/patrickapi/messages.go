package patrickapi

import (
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/transport"
)

// Bounds of what a request may hold.
const (
	// TreeLenMax bounds a pushed tree, in bytes: it comes in one message. What a forge has may be larger.
	TreeLenMax = 3 << 20
	// LogLenMax bounds the log of an attempt, in bytes.
	LogLenMax = 1 << 20
	// NameLenMax bounds a project, repository, branch, commit or an event's ID, in
	// bytes.
	NameLenMax = 256
	// TextLenMax bounds an error's text, in bytes.
	TextLenMax = 1024
	// ListLenMax bounds a page of jobs.
	ListLenMax = 100
	// LogLinesMax and LogLineLenMax bound a LogNote.
	LogLinesMax   = 64
	LogLineLenMax = 512
	// AnnounceLenMax bounds the jobs in one announcement.
	AnnounceLenMax = 64
)

// PushRequest says that a commit was pushed.
type PushRequest struct {
	Project    string
	Repository string
	Branch     string
	Commit     string
	// Tree is the encoded Tree of the commit, at most TreeLenMax bytes.
	Tree []byte
	// Event identifies the push; equal events must come with equal contents.
	Event Event
	// NewestWins: older jobs of the branch that are not final are superseded.
	NewestWins bool
}

// PushResponse acknowledges a push: the job survives.
type PushResponse struct {
	Job string
	// Duplicate: the event was known before; Job is the same job.
	Duplicate bool
	// Forgotten: the job ended so long ago that it was forgotten but for its id.
	Forgotten bool
}

// EventRequest asks for the order of a new event of a branch.
type EventRequest struct {
	Project    string
	Repository string
	Branch     string
	// Seen is the greatest order that the caller has seen on the branch, 0 if
	// none. The answer is greater.
	Seen uint64
}

// EventResponse gives the event's order.
type EventResponse struct {
	Order uint64
}

// JobRequest names a job.
type JobRequest struct {
	Job string
}

// RebuildRequest asks that a job be begun anew for the Nth time, if it has not been.
type RebuildRequest struct {
	Job string
	N   int
}

// CancelRequest asks that a job be ended. Rebuild says which rebuild of it is meant, 0 for the
// original push; later rebuilds are not cancelled.
type CancelRequest struct {
	Job     string
	Rebuild int
}

// ClaimRequest asks for the lock of an open job for the caller.
type ClaimRequest struct {
	Job string
	// Holder is the monkey; it is the caller unless the request was forwarded
	// by a patrick.
	Holder transport.Peer
	// Incarnation is the holder's. The same incarnation that claims again gets
	// the grant that it has; a later one has forgotten it and must wait.
	Incarnation uint64
}

// RenewRequest asks for another lease, counted from now.
type RenewRequest struct {
	Job   string
	Token fencing.Token
}

// RenewResponse grants it.
type RenewResponse struct{}

// FinishRequest reports how an attempt ended.
type FinishRequest struct {
	Job     string
	Token   fencing.Token
	Success bool
	// Published: tns has accepted the publication under Token. Then the
	// success counts even if the lease has ended meanwhile.
	Published bool
	// Permanent: another attempt is useless, the fault is in the pushed tree.
	Permanent bool
	// Abandoned: the holder shuts down in order. That is no failure of the job.
	Abandoned bool
	// Artifact and Log are CIDs, "" if there is none.
	Artifact string
	Log      string
	// LogSize is the size of the log in bytes: a patrick allows more time to fetch a large one.
	LogSize int64
	Error   string
}

// FinishResponse says what has become of the job.
type FinishResponse struct {
	Status Status
	// LogCopies is on how many patricks the log is durable.
	LogCopies int
}

// GrantedRequest asks whether a job of a branch was granted under a token, live or ended. Commit and
// Order are what is to be published, "" and 0 if nothing is yet.
type GrantedRequest struct {
	Job             string
	Token           fencing.Token
	Project, Branch string
	Commit          string
	Order           uint64
}

// GrantedResponse says that it was.
type GrantedResponse struct{}

// HeldRequest asks whether a job is locked under a token right now.
type HeldRequest struct {
	Job   string
	Token fencing.Token
}

// HeldResponse says that it is, and of what it is the job. Forge: it is of a commit that a forge has, see Origin.
type HeldResponse struct {
	Project, Repository, Branch, Commit string
	Forge                               bool
}

// OpenRequest asks for open jobs that can be claimed now.
type OpenRequest struct {
	// Limit bounds the answer; 0 and more than AnnounceLenMax mean AnnounceLenMax.
	Limit int
}

// Announcement offers jobs to monkeys.
type Announcement struct {
	Jobs []Offer
	// Monkeys is how many there are, in the answer to one that asks: it asks less often where there are many.
	Monkeys int `cbor:",omitempty"`
}

// Offer is one open job.
type Offer struct {
	Job string
	// Attempt is the attempt that a grant would be.
	Attempt uint64
	// Round counts how often this attempt was offered before. The later the
	// round, the more monkeys compete.
	Round int
}

// ListRequest asks for a page of jobs, newest first: those of a branch by their
// orders, others by when they were accepted.
type ListRequest struct {
	// Project and Branch narrow the list; "" is any.
	Project string
	Branch  string
	// After is the id of the last job of the page before, "" for the first.
	After string
	// Limit bounds the page; 0 and more than ListLenMax mean ListLenMax.
	Limit int
}

// ListResponse is a page. More: there is another one.
type ListResponse struct {
	Jobs []Job
	More bool
}

// CancelResponse says what became of the job: Cancelled, or Locked if its holder must be told
// first, or another final state that came earlier. It is about the Rebuild that was to be
// cancelled, not about later ones.
type CancelResponse struct {
	Status  Status
	Rebuild int
}

// RebuildResponse says where the job is now, and how often it was begun anew.
type RebuildResponse struct {
	Status   Status
	Rebuilds int
}

// LogsResponse is the known part of a job's log. Full: Lines is the whole log of the last attempt
// that reported; otherwise the attempt is running, and Lines is the end of its log so far. There is
// always a line: without one the call is an error.
type LogsResponse struct {
	Lines []string
	Full  bool
}

// LogNote streams log lines of a running attempt, best effort.
type LogNote struct {
	Job   string
	Token fencing.Token
	// First is the number of the first line, from 0.
	First int
	Lines []string
}

package tnsapi

import (
	"cmp"
	"strings"

	"github.com/taucloud/tau/node/fencing"
)

// Bounds of what may be published.
const (
	NameLenMax    = 256     // bytes of a project, branch, commit or job
	PathLenMax    = 512     // bytes of an entry's path
	EntriesMax    = 2048    // entries of a version
	VersionLenMax = 1 << 19 // bytes of all paths and values of a version
)

// Entry is a path such as "http/example.com/index" and what it stands for.
type Entry struct {
	Path  string
	Value []byte
}

// Version is a published state of a branch, without its entries.
type Version struct {
	Project string
	Branch  string
	Commit  string
	// Job is what built it.
	Job string
	// Order decides which version is current: the one with the highest. Patrick gives it; it is the
	// place of the push among those of its branch.
	Order uint64
	// Rollback decides between versions of one order: a rollback has the Order of the version that
	// it replaces, and a Rollback greater by one. So it is newer than that version and older than
	// the next push.
	Rollback uint32
	Token    fencing.Token
	// Artifact is the CID of what was built, "" if nothing was.
	Artifact string
	// Count and Digest tell whether all entries are there.
	Count  int
	Digest []byte
}

// Compare is the order of the versions of a branch, the newest being the greatest. It is total
// except for versions that only partitioned replicas can have accepted.
func (v Version) Compare(u Version) int {
	return cmp.Or(cmp.Compare(v.Order, u.Order), cmp.Compare(v.Rollback, u.Rollback), v.Token.Compare(u.Token))
}

// AttemptMax bounds the attempt of a token.
const AttemptMax = 1 << 20

// Bounds of an order: a version whose order is more than OrderStepMax above all
// that are kept of its branch is refused, so that no single writer can use
// orders up.
const (
	OrderMax     = 1 << 62
	OrderStepMax = 1 << 32
)

// FenceRequest makes a token known.
type FenceRequest struct {
	Project, Branch, Job string
	Token                fencing.Token
}

// FenceResponse says on how many replicas the fence is durable.
type FenceResponse struct {
	Copies int
}

// PublishRequest is a whole version. It is idempotent: the same Job and Token
// publish once.
type PublishRequest struct {
	Project  string
	Branch   string
	Commit   string
	Job      string
	Order    uint64
	Token    fencing.Token
	Artifact string
	// Entries in any order; no path may occur twice.
	Entries []Entry
}

// PublishResponse says on how many replicas the version is durable.
type PublishResponse struct {
	Version Version
	Copies  int
	// Duplicate: it had been published before.
	Duplicate bool
}

// RollbackRequest publishes the entries of Commit once more, right after the current version, unless
// that is of this Commit. ID makes it idempotent.
type RollbackRequest struct {
	Project, Branch, Commit string
	ID                      string
}

// BranchRequest names a branch.
type BranchRequest struct {
	Project, Branch string
}

// Compare is a total order: by project, then by branch.
func (b BranchRequest) Compare(c BranchRequest) int {
	return cmp.Or(strings.Compare(b.Project, c.Project), strings.Compare(b.Branch, c.Branch))
}

// LookupRequest asks for the entries of the current version whose path is
// Prefix or lies below it: "a/b" has "a", "ab" has not. After pages.
type LookupRequest struct {
	Project, Branch string
	Prefix          string
	// Pin names the version: the first page says which one it was. "" is the
	// current one.
	Pin   string
	After string
}

// LookupResponse holds entries in path order.
type LookupResponse struct {
	Version Version
	Pin     string
	Entries []Entry
	More    bool
}

// HistoryResponse lists the versions that are kept, current first.
type HistoryResponse struct {
	Versions []Version
}

// FollowRequest names the branch of which the current versions of all projects are wanted, "" for all branches.
type FollowRequest struct{ Branch string }

// FollowedMax bounds the branches that a follower keeps.
const FollowedMax = 1 << 16

// FollowResponse is a part of what a follower is told. Whole: with it, all that the replica has of the branch has been
// told. An empty one says that the stream is alive.
type FollowResponse struct {
	Versions []Version
	Whole    bool
}

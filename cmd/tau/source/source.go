// Package source gets the tree of one commit out of a repository that nobody trusts, over a network that nobody
// trusts, into an empty directory.
//
// Nothing of the repository is ever checked out by Git: it fetches objects into a bare directory, in a child
// process with limits, then the tree is listed, held against [tree.Budget] entry by entry, and written by our
// own hand below an [os.Root]. Hooks, filters, submodules and links are never followed.
package source

import (
	"context"
	"os"
	"regexp"
	"strings"

	"github.com/taucloud/tau/project"
)

// Request says what is wanted.
type Request struct {
	// URL is the repository: https://, http://, ssh:// or file://, or user@host:path as Git writes it.
	URL string
	// Commit is 40 or 64 hexadecimal digits.
	Commit string
	// Branch is one that has the commit in its history: forges that give out no commit by its name are asked
	// for that. "" if it is not known.
	Branch string
	// Key is a private key in OpenSSH's form, for ssh; it is in a file of mode 0600 while Git runs. KnownHosts are the host keys that
	// count, in the form of known_hosts: no other host is believed, and none on first sight.
	Key, KnownHosts []byte
}

// Got is what has been written.
type Got struct {
	Files int
	Bytes int64
	// LeftOut are the submodules, which are not fetched.
	LeftOut []string
}

// Fetcher gets trees. Errors are of type *Error or *tree.Problem; a tree of which any error is said has
// left files behind, which count for nothing.
type Fetcher interface {
	Fetch(ctx context.Context, r Request, into *os.Root) (Got, error)
}

// Kind is what kind of thing went wrong, which decides what comes next.
type Kind uint8

// The kinds.
const (
	// Bad: the request cannot be right. Trying again is useless.
	Bad Kind = iota + 1
	// Denied: the host is not the one that was expected, or does not let us in. Somebody must change a key.
	Denied
	// Missing: the forge has no such commit (yet, or any more).
	Missing
	// TooLarge: the fetch goes beyond its bounds.
	TooLarge
	// Failed: a forge or a network that does not answer, or something here. Try again later.
	Failed
)

func (k Kind) String() string {
	return [...]string{"", "bad request", "denied", "missing", "too large", "failed"}[min(k, Failed)]
}

// Error is why no tree was got. Text can be shown to who has pushed.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string { return e.Kind.String() + ": " + e.Text }

var (
	commitForm = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	branchForm = regexp.MustCompile(`^[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*$`)
)

// check refuses what could mean something else to Git or ssh.
func (r Request) check() error {
	switch {
	case !commitForm.MatchString(r.Commit):
		return &Error{Bad, "a commit is 40 or 64 hexadecimal digits"}
	case r.Branch != "" && (!branchForm.MatchString(r.Branch) || strings.Contains(r.Branch, "..")):
		return &Error{Bad, "a branch by a name that Git does not allow"}
	}
	ssh, err := project.CheckAddress(r.URL)
	switch {
	case err != nil:
		return &Error{Bad, err.Error()}
	case ssh && (len(r.Key) == 0 || len(r.KnownHosts) == 0):
		return &Error{Bad, "ssh needs a key, and the keys of the hosts that are believed"}
	}
	return nil
}

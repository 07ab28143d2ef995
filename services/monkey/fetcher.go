package monkey

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// Bounds of a fetched tree. It is in memory while it is built, once for each slot.
const (
	// FetchedLenMax bounds all of its files together, in bytes.
	FetchedLenMax = 64 << 20
	// FetchedFilesMax bounds how many they are.
	FetchedFilesMax = 20_000
)

// Fetcher gets the tree of a commit out of a repository that nobody trusts.
type Fetcher interface {
	// Fetch takes as long as it needs, until ctx ends. The tree has plain files only, sorted by path, within the bounds above; paths are
	// clean and relative. An error made with UserError is permanent: the commit is at fault, and no other attempt would get it. After
	// any other one another attempt is made: the forge does not answer, does not know the commit yet, or does not take the key. Texts
	// are shown to people, and hold nothing of the key.
	Fetch(ctx context.Context, s Source) (patrickapi.Tree, error)
}

// Source is where the commit of a job is, and what opens it.
type Source struct {
	// URL is the repository's: https://, http://, ssh:// or file://, or user@host:path as Git writes it.
	URL string
	// Commit is 40 or 64 hexadecimal digits.
	Commit string
	// Branch had the commit when the job was made; it may have moved on.
	Branch string
	// Key is a private key in OpenSSH's form, and KnownHosts the host keys that count, in the form of known_hosts: for ssh, empty
	// otherwise. The key is a secret: it is in no text, and on no disk longer than the fetch takes.
	Key, KnownHosts []byte
}

// fetchAgainMax bounds how long an attempt goes on asking a forge that does not answer: after three attempts, ten minutes, the job fails.
const fetchAgainMax = 3 * time.Minute

// fetchCommit gets the tree of a commit from its forge, by what auth gives to the holder of the job, and the build secrets.
func (s *Service) fetchCommit(ctx context.Context, l *lock, book *logbook) (tree patrickapi.Tree, secrets map[string]string, err error) {
	if l.job.Commit == patrickapi.NoCommit {
		return tree, nil, nil
	}
	var from authapi.SourceResponse
	if err := s.retryWhileLeased(ctx, l, func(ctx context.Context) (err error) {
		from, err = s.auth.Source(ctx, l.job.ID, l.token)
		return err
	}); err != nil {
		return tree, nil, err
	}
	book.hide(from.Secrets)
	for until := s.env.Loop.Elapsed() + fetchAgainMax; ; {
		if tree, err = s.fetchOnce(ctx, l, from); err == nil || IsUserError(err) || s.env.Loop.Elapsed() >= until {
			break
		}
		book.line("fetch: " + err.Error())
		book.flush()
		if clock.Sleep(ctx, s.env.Loop, 10*retryWait) != nil {
			break
		}
	}
	s.env.Observe("commit-fetched", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("files", len(tree.Files)), node.F("success", err == nil))
	return tree, from.Secrets, err
}

// fetchOnce tries the keys of a repository, the newest first: it may not be at the forge yet.
func (s *Service) fetchOnce(ctx context.Context, l *lock, from authapi.SourceResponse) (tree patrickapi.Tree, err error) {
	keys := from.Keys
	if len(keys) == 0 {
		keys = [][]byte{nil}
	}
	for _, key := range keys {
		if err := s.check(l); err != nil {
			return tree, err
		}
		tree, err = s.fetcher.Fetch(ctx, Source{URL: from.Repository.URL, Commit: l.job.Commit, Branch: l.job.Branch, Key: key, KnownHosts: from.Repository.KnownHosts})
		if err == nil || IsUserError(err) || ctx.Err() != nil {
			break
		}
	}
	if err == nil && len(tree.Files) > FetchedFilesMax {
		return tree, UserError("the commit has too many files")
	}
	return tree, err
}

// fetcherOf makes the fetcher of a node. One that was given none fetches nothing.
func fetcherOf(make func(node.Env) Fetcher, env node.Env) Fetcher {
	if make == nil {
		return noFetcher{}
	}
	return make(env)
}

// noFetcher is that of a node that reaches no forge: another monkey may.
type noFetcher struct{}

// Fetch implements Fetcher.
func (noFetcher) Fetch(context.Context, Source) (patrickapi.Tree, error) {
	return patrickapi.Tree{}, transport.New(transport.Refused, "monkey/fetch", "this node fetches nothing from forges")
}

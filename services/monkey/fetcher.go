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
	// Head asks where the source's Branch is now, or, if there is none of the name, the branch that the repository shows to whoever names
	// none. Its Commit does not count. Errors are as those of Fetch; a repository without any commit is a UserError.
	Head(ctx context.Context, s Source) (commit string, err error)
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

// fetchCommit gets what a job builds from its forge, by what auth gives to the holder of the job.
func (s *Service) fetchCommit(ctx context.Context, l *lock, book *logbook) (g gathered, err error) {
	var from authapi.SourceResponse
	if err := s.retryWhileLeased(ctx, l, func(ctx context.Context) (err error) {
		from, err = s.auth.Source(ctx, l.job.ID, l.token)
		return err
	}); err != nil {
		return g, err
	}
	book.hide(from.Secrets)
	if l.job.Commit == patrickapi.NoCommit {
		if from.Repository.Holds.Configures() {
			return g, nil
		}
		return s.gather(ctx, l, book, from, patrickapi.Tree{})
	}
	tree, err := s.fetchOwn(ctx, l, book, from)
	if err != nil {
		return g, err
	}
	return s.gather(ctx, l, book, from, tree)
}

// fetchOwn gets the tree of the job's commit.
func (s *Service) fetchOwn(ctx context.Context, l *lock, book *logbook, from authapi.SourceResponse) (tree patrickapi.Tree, err error) {
	err = s.insistAtForge(ctx, l, book, from.Keys, func(key []byte) (err error) {
		tree, err = s.fetcher.Fetch(ctx, Source{URL: from.Repository.URL, Commit: l.job.Commit, Branch: l.job.Branch, Key: key, KnownHosts: from.Repository.KnownHosts})
		return err
	})
	if err == nil && len(tree.Files) > FetchedFilesMax {
		err = UserError("the commit has too many files")
	}
	s.env.Observe("commit-fetched", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("files", len(tree.Files)), node.F("success", err == nil))
	return tree, err
}

// insistAtForge asks a forge until it answers, or for fetchAgainMax, with each of the keys of a repository, the newest first: it may not be at
// the forge yet.
func (s *Service) insistAtForge(ctx context.Context, l *lock, book *logbook, keys [][]byte, ask func(key []byte) error) (err error) {
	if len(keys) == 0 {
		keys = [][]byte{nil}
	}
	for until := s.env.Loop.Elapsed() + fetchAgainMax; ; {
		for _, key := range keys {
			if err := s.check(l); err != nil {
				return err
			}
			if err = ask(key); err == nil || IsUserError(err) || ctx.Err() != nil {
				break
			}
		}
		if err == nil || IsUserError(err) || s.env.Loop.Elapsed() >= until {
			return err
		}
		book.line("fetch: " + err.Error())
		book.flush()
		if clock.Sleep(ctx, s.env.Loop, 10*retryWait) != nil {
			return err
		}
	}
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

// Head implements Fetcher.
func (noFetcher) Head(context.Context, Source) (string, error) {
	return "", transport.New(transport.Refused, "monkey/fetch", "this node fetches nothing from forges")
}

package monkey

import (
	"context"

	"github.com/taucloud/tau/node"
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

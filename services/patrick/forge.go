package patrick

import (
	"context"
	"net/http"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/refs"
)

// Forge is how a patrick speaks with the places where repositories live.
type Forge interface {
	// Refs lists all branches of a repository. A forge that does not answer, or does not let us in, is an error: no answer is not an
	// empty list. Texts hold nothing of keys and tokens.
	Refs(ctx context.Context, r Remote) ([]refs.Seen, error)
	// Report says what has become of a commit. It may be said again.
	Report(ctx context.Context, r Remote, s CommitStatus) error
}

// Remote is a repository at a forge, and what opens it.
type Remote struct {
	// URL is where it is fetched, Kind is one of webhook.Forge, Name is its OWNER/NAME.
	URL, Kind, Name string
	// Keys are private deploy keys in OpenSSH's form, the newest first; any of them may be the one that the forge takes. KnownHosts are
	// the host keys that count. They are for ssh.
	Keys       [][]byte
	KnownHosts []byte
	// Token lets us report statuses; "" if there is none.
	Token string
}

// CommitStatus is what people see beside a commit at the forge.
type CommitStatus struct {
	Commit string
	// State is pending, success or failure.
	State string
	// Text is one line. Job is whose status it is; Link is where to read of it, for ports that know an address of the front door.
	Text, Job, Link string
}

// Ends are how a patrick reaches out of the cloud. The zero value has none: jobs come by pushes only.
type Ends struct {
	// Forge makes what asks forges. nil, or if it makes nil: nothing is followed there, and webhooks are refused.
	Forge func(node.Env) Forge
	// Front serves a handler to those outside of the cloud, until stop is called, each request in a goroutine of its own. nil: only members
	// reach it, by streams.
	Front func(env node.Env, h http.Handler) (stop func(), err error)
}

// remote is what auth knows of a repository, for the port.
func remote(f authapi.ForgeResponse) Remote {
	r := f.Repository
	return Remote{URL: r.URL, Kind: r.Forge, Name: r.At(), Keys: f.Keys, KnownHosts: r.KnownHosts, Token: f.Token}
}

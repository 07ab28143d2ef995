// Package forge is a simulated forge: a node of the world where repositories live, which people push to, and which sends webhooks. As a
// node it can be slow, cut off, down or without its disk, by the same faults as any other. And it is the simulated ends of what asks
// forges: patricks where branches are, monkeys for commits.
//
// Its disk holds the secrets of its webhooks as they are, as those of real forges do.
package forge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// Service is the forge's name in the directory, and in a scenario.
const Service = "forge"

// What the forge serves.
var (
	Push    = transport.Method[PushRequest, PushResponse]{Name: "forge/push", Rule: transport.Member}
	Connect = transport.Method[ConnectRequest, PushResponse]{Name: "forge/connect", Rule: transport.Member}
	Refs    = transport.Method[RefsRequest, RefsResponse]{Name: "forge/refs", Rule: transport.Member}
	Tree    = transport.Method[TreeRequest, TreeResponse]{Name: "forge/tree", Rule: transport.Member}
	Report  = transport.Method[ReportRequest, PushResponse]{Name: "forge/report", Rule: transport.Member}
)

// PushRequest moves a branch: to a commit of a tree, or away if Commit is "". Quiet: no webhook is sent, as forges do now and then.
type PushRequest struct {
	Repository, Branch, Commit string
	Tree                       []byte
	Quiet                      bool
}

// PushResponse says that it was done. Before is where the branch was.
type PushResponse struct{ Before string }

// ConnectRequest sets a repository up: its webhook, and the hash of the key that opens it; "" opens to everybody.
type ConnectRequest struct{ Repository, Hook, Secret, Key string }

// RefsRequest asks where all branches are.
type RefsRequest struct{ Repository, Key string }

// RefsResponse is where they are, by name.
type RefsResponse struct{ Branches map[string]string }

// TreeRequest asks for the tree of a commit.
type TreeRequest struct{ Repository, Commit, Key string }

// TreeResponse is the tree, encoded.
type TreeResponse struct{ Tree []byte }

// ReportRequest says what became of a commit.
type ReportRequest struct{ Repository, Commit, State, Token string }

// KeyHash is what shows that somebody has a key.
func KeyHash(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// Spec is the forge as a part of a node.
func Spec() node.Spec {
	return node.Spec{
		Name: Service, Doc: "a simulated forge: keeps repositories, sends webhooks",
		Settings: func() any { return &struct{}{} },
		New:      func(env node.Env, _ any) (node.Service, error) { return &forge{env: env}, nil },
	}
}

type forge struct{ env node.Env }

// Start implements node.Service.
func (f *forge) Start(context.Context) error {
	f.env.Wire.Directory().Lookup(patrickapi.Service) // so that it learns whom webhooks go to
	Push.Serve(f.env.Wire, f.push)
	Connect.Serve(f.env.Wire, func(ctx context.Context, _ transport.Peer, req ConnectRequest) (PushResponse, error) {
		return PushResponse{}, f.keep(ctx, new(storage.Batch).Put(storage.K("connected", req.Repository), transport.Encode(req)))
	})
	Refs.Serve(f.env.Wire, f.refs)
	Tree.Serve(f.env.Wire, f.tree)
	Report.Serve(f.env.Wire, func(ctx context.Context, _ transport.Peer, req ReportRequest) (PushResponse, error) {
		f.env.Observe("status-reported", node.F("repository", req.Repository), node.F("commit", req.Commit), node.F("state", req.State))
		return PushResponse{}, nil
	})
	return nil
}

// Stop implements node.Service.
func (f *forge) Stop(ctx context.Context) error { return f.env.Local.Sync(ctx) }

func (f *forge) keep(ctx context.Context, b *storage.Batch) error {
	if err := f.env.Local.Apply(b); err != nil {
		return err
	}
	return f.env.Local.Sync(ctx)
}

func (f *forge) connected(repository string) (c ConnectRequest, err error) {
	raw, err := f.env.Local.Get(storage.K("connected", repository))
	if err != nil {
		return c, transport.New(transport.NotFound, Service, "no such repository")
	}
	return c, transport.Decode(raw, &c)
}

func branchKey(repository, branch string) storage.Key { return storage.K("branch", repository, branch) }

func (f *forge) push(ctx context.Context, _ transport.Peer, req PushRequest) (resp PushResponse, err error) {
	was, err := f.env.Local.Get(branchKey(req.Repository, req.Branch))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return resp, err
	}
	resp.Before = string(was)
	b := new(storage.Batch)
	if req.Commit == "" {
		b.Delete(branchKey(req.Repository, req.Branch))
	} else {
		b.Put(branchKey(req.Repository, req.Branch), []byte(req.Commit)).Put(storage.K("commit", req.Repository, req.Commit), req.Tree)
	}
	if err := f.keep(ctx, b); err != nil {
		return resp, err
	}
	f.env.Observe("forge-moved", node.F("repository", req.Repository), node.F("branch", req.Branch), node.F("before", resp.Before), node.F("commit", req.Commit))
	if !req.Quiet {
		f.env.Loop.Go("webhook", func(ctx context.Context) { f.tell(ctx, req, resp.Before) })
	}
	return resp, nil
}

// webhookTimeout is how long a forge waits for the answer to a webhook. It sends none again, as GitHub.
const webhookTimeout = 10 * time.Second

// tell sends the webhook of a push.
func (f *forge) tell(ctx context.Context, req PushRequest, before string) {
	c, err := f.connected(req.Repository)
	if err != nil || c.Hook == "" {
		return
	}
	null := func(commit string) string {
		if commit == "" {
			return patrickapi.NoCommit
		}
		return commit
	}
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/" + req.Branch, "before": null(before), "after": null(req.Commit), "deleted": req.Commit == "",
		"repository": map[string]any{"id": 1, "full_name": Owner + "/" + req.Repository},
	})
	if err != nil {
		return
	}
	id := hex.EncodeToString(binaryOf(f.env.Rand.Uint64()))
	status, err := Deliver(ctx, f.env, Delivery{Hook: c.Hook, Secret: c.Secret, ID: id, Body: body})
	if err != nil {
		f.env.Observe("webhook-lost", node.F("repository", req.Repository), node.F("kind", transport.KindOf(err).String()))
		return
	}
	f.env.Observe("webhook-answered", node.F("repository", req.Repository), node.F("status", status))
}

func binaryOf(n uint64) (b []byte) {
	for range 8 {
		b, n = append(b, byte(n)), n>>8
	}
	return b
}

// Delivery is a webhook on its way, as GitHub sends it.
type Delivery struct {
	Hook, Secret, ID string
	Body             []byte
}

// Deliver sends a webhook to a patrick, one that is known, and returns the status of the answer.
func Deliver(ctx context.Context, env node.Env, d Delivery) (status int, err error) {
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, webhookTimeout)
	defer cancel()
	patricks, _ := env.Wire.Directory().Lookup(patrickapi.Service)
	if len(patricks) == 0 {
		return 0, transport.New(transport.Unreachable, Service, "no patrick is known")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://patrick/hooks/"+d.Hook, bytes.NewReader(d.Body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", d.ID)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(signature(d.Secret, d.Body)))
	resp, err := httpstream.Do(ctx, env.Wire, patricks[env.Rand.IntN(len(patricks))], patrickapi.HTTP, r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// Owner is whose the repositories of the simulated forge are.
const Owner = "acme"

func (f *forge) open(repository, key string) error {
	c, err := f.connected(repository)
	if err != nil {
		return err
	}
	if c.Key != "" && c.Key != key {
		return transport.New(transport.NotAllowed, Service, "the repository is not open to this key")
	}
	return nil
}

func (f *forge) refs(_ context.Context, _ transport.Peer, req RefsRequest) (resp RefsResponse, err error) {
	if err := f.open(req.Repository, req.Key); err != nil {
		return resp, err
	}
	resp.Branches = map[string]string{}
	list, err := f.env.Local.List(storage.K("branch", req.Repository))
	for _, e := range list {
		resp.Branches[e.Key.Parts()[2]] = string(e.Value)
	}
	return resp, err
}

func (f *forge) tree(_ context.Context, _ transport.Peer, req TreeRequest) (resp TreeResponse, err error) {
	if err := f.open(req.Repository, req.Key); err != nil {
		return resp, err
	}
	resp.Tree, err = f.env.Local.Get(storage.K("commit", req.Repository, req.Commit))
	return resp, err
}

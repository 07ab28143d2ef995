package forge

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/patrick/refs"
	"github.com/taucloud/tau/transport"
)

func signature(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

// URL is where a repository of the simulated forge is.
func URL(repository string) string {
	return "https://forge.example.com/" + Owner + "/" + repository + ".git"
}

// callTimeout bounds one question to the forge.
const callTimeout = 10 * time.Second

// far is what asks the forge of the world.
type far struct{ env node.Env }

// Reach is what a node runs that is to reach the forge: only its patricks ask there, so that a world without a forge has nothing of it.
const Reach = "git"

// ReachSpec is Reach as a part of a node. It does nothing.
func ReachSpec() node.Spec {
	return node.Spec{
		Name: Reach, Doc: "lets the patrick of a node reach the simulated forge",
		Settings: func() any { return &struct{}{} },
		New:      func(node.Env, any) (node.Service, error) { return reach{}, nil },
	}
}

type reach struct{}

func (reach) Start(context.Context) error { return nil }
func (reach) Stop(context.Context) error  { return nil }

// NewForge is that of a simulated patrick.
func NewForge(env node.Env) patrick.Forge {
	if !slices.Contains(env.ServiceNames(), Reach) {
		return nil
	}
	return far{env}
}

// NewFetcher is that of a simulated monkey.
func NewFetcher(env node.Env) monkey.Fetcher { return far{env} }

// ask asks the forge, within a bound.
func ask[Req, Resp any](ctx context.Context, env node.Env, m transport.Method[Req, Resp], req Req) (resp Resp, err error) {
	peers, _ := env.Wire.Directory().Lookup(Service)
	if len(peers) == 0 {
		return resp, transport.New(transport.Unreachable, m.Name, "there is no forge")
	}
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, callTimeout)
	defer cancel()
	return m.Call(ctx, env.Wire, peers[0], req)
}

func nameOf(url string) string { return strings.TrimSuffix(path.Base(url), ".git") }

// Refs implements patrick.Forge.
func (f far) Refs(ctx context.Context, r patrick.Remote) (list []refs.Seen, err error) {
	keys := r.Keys
	if len(keys) == 0 {
		keys = [][]byte{nil}
	}
	var resp RefsResponse
	for _, key := range keys {
		if resp, err = ask(ctx, f.env, Refs, RefsRequest{Repository: nameOf(r.URL), Key: KeyHash(key)}); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(resp.Branches)) {
		list = append(list, refs.Seen{Name: "refs/heads/" + name, Commit: resp.Branches[name]})
	}
	return list, nil
}

// Report implements patrick.Forge.
func (f far) Report(ctx context.Context, r patrick.Remote, s patrick.CommitStatus) error {
	_, err := ask(ctx, f.env, Report, ReportRequest{Repository: nameOf(r.URL), Commit: s.Commit, State: s.State})
	return err
}

// Fetch implements monkey.Fetcher.
func (f far) Fetch(ctx context.Context, s monkey.Source) (patrickapi.Tree, error) {
	resp, err := ask(ctx, f.env, Tree, TreeRequest{Repository: nameOf(s.URL), Commit: s.Commit, Key: KeyHash(s.Key)})
	if err != nil {
		return patrickapi.Tree{}, err
	}
	return patrickapi.DecodeTree(resp.Tree)
}

// defaultBranch is what a repository of the simulated forge shows first.
const defaultBranch = "main"

// Head implements monkey.Fetcher.
func (f far) Head(ctx context.Context, s monkey.Source) (string, error) {
	resp, err := ask(ctx, f.env, Refs, RefsRequest{Repository: nameOf(s.URL), Key: KeyHash(s.Key)})
	if err != nil {
		return "", err
	}
	commit := cmp.Or(resp.Branches[s.Branch], resp.Branches[defaultBranch])
	if commit == "" {
		return "", monkey.UserError("the repository has no commit")
	}
	return commit, nil
}

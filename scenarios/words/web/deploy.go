// Package web are the words about websites: versions of them are published, browsers ask gateways for their pages, and
// every answer must be of one version that was current.
package web

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// deployParams is what a deployment in a timeline may say.
type deployParams struct {
	Project  string        `yaml:"project" range:"1..63" doc:"whose website it is, at PROJECT.example.com; {n} is the number of the occurrence"`
	Host     string        `yaml:"host" range:"0..253" doc:"claim this host instead, whosever it is"`
	Commit   string        `yaml:"commit" range:"1..256" doc:"names the version; {n} is the number of the occurrence; default: a new one each time"`
	Pages    int           `yaml:"pages" range:"1..1000" doc:"how many pages it has"`
	Size     int64         `yaml:"size" range:"1..1MiB" doc:"the size of each page, at least"`
	Kind     string        `yaml:"kind" values:"website function script outbound stream" doc:"what it has: a website of pages, or one function that answers all paths, a module or a script in JavaScript, or one that sends requests to the outside, or one that answers in streams"`
	Limit    int           `yaml:"limit" range:"1..1000" doc:"how many requests the function answers at once on a node"`
	Timeout  time.Duration `yaml:"timeout" range:"10ms..1m" doc:"how long the function may take"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again"`
}

// Actions are what is done with websites.
func Actions() []scenario.Action { return []scenario.Action{deployAction(), httpAction()} }

func deployAction() scenario.Action {
	return scenario.Action{
		Name: "deploy", Service: tnsapi.Service, Example: "deploy: {project: shop, pages: 10, size: 20KiB}",
		Doc: "somebody publishes a version of a website, or of a function, as builders do: its assets to hoarders, its routes to tns",
		Params: func() any {
			return &deployParams{Project: "hello", Pages: 3, Size: 2 << 10, Kind: "website", Limit: 4, Timeout: 2 * time.Second, RetryFor: time.Minute}
		},
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*deployParams)
			scenario.Numbered(n, &p.Commit, &p.Project)
			return p.run(ctx, client, n)
		},
	}
}

// hostOf is where a project's website is.
func hostOf(name string) string { return name + ".example.com" }

// pageName is the path of a page; the first is that of the whole.
func pageName(i int) string {
	if i == 0 {
		return "index.html"
	}
	return fmt.Sprintf("page-%d.html", i)
}

// page is the content of a page: no two versions have the same.
func page(name, commit, path string, size int64) []byte {
	return evidence.Padded(fmt.Appendf(nil, "<h1>%s of %s at %s</h1>\n", path, name, commit), int(size))
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:12])
}

func (p *deployParams) run(ctx context.Context, env node.Env, n int) error {
	if p.Commit == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", p.Project, n, env.Rand.Uint64()))
		p.Commit = hex.EncodeToString(sum[:20])
	}
	built := p.built
	if p.Kind != "website" {
		built = p.builtFunction
	}
	content, entries, err := built()
	if err != nil {
		return err
	}
	root, err := env.Blocks.Add(ctx, content)
	if err != nil {
		return err
	}
	req := tnsapi.PublishRequest{
		Project: p.Project, Branch: "main", Commit: p.Commit, Job: "deploy-" + p.Project + "-" + p.Commit,
		Token: fencing.Token{Attempt: 1, Holder: env.Self}, Artifact: root.String(), Entries: entries,
	}
	_, err = users.Insist(ctx, env, p.RetryFor, []transport.Kind{transport.Conflict, transport.Invalid, transport.Stopped}, func(ctx context.Context) error {
		return p.once(ctx, env, &req, int64(len(content)))
	})
	return err
}

// built is what a builder makes of it.
func (p *deployParams) built() (content []byte, entries []tnsapi.Entry, err error) {
	const target = "websites/site"
	w := project.Website{Base: project.Base{Name: "site"}, Paths: []string{"/"}, Domains: []string{"www"}}
	compiled, err := project.Compile(&project.Project{Name: p.Project, Scope: project.Scope{
		Domains: []project.Domain{{Base: project.Base{Name: "www"}, FQDN: cmp.Or(p.Host, hostOf(p.Project))}}, Websites: []project.Website{w},
	}}, project.Options{Project: p.Project})
	if err != nil {
		return nil, nil, err
	}
	var files []build.File
	for i := range p.Pages {
		files = append(files, build.File{Path: target + "/" + pageName(i), Data: page(p.Project, p.Commit, pageName(i), p.Size)})
	}
	fsys, err := build.FS(files)
	if err != nil {
		return nil, nil, err
	}
	step := build.Step{Toolchain: build.Static, Folder: target, Targets: []string{target}}
	asset, _, err := build.Make(step, fsys)
	if err != nil {
		return nil, nil, err
	}
	bundle := build.NewBundle()
	if err := bundle.Add(step, "", asset); err != nil {
		return nil, nil, err
	}
	for _, e := range compiled.Entries {
		entries = append(entries, tnsapi.Entry{Path: e.Path, Value: e.Value})
	}
	entries = append(entries, tnsapi.Entry{Path: build.AssetsPrefix + target, Value: []byte(bundle.Entries()[build.AssetsPrefix+target])})
	return bundle.Content(), entries, nil
}

// once tries it. The order is chosen once, so that a repetition is one.
func (p *deployParams) once(ctx context.Context, env node.Env, req *tnsapi.PublishRequest, size int64) error {
	_, err := hoarderapi.NewClient(env.Wire).Pin(ctx, hoarderapi.PinRequest{
		Root: req.Artifact, Kind: hoarderapi.Asset, Size: size, Holders: []transport.Peer{env.Self},
		Owner: tnsapi.ArtifactOwner(req.Job), Seq: 1, For: tnsapi.PinFor,
	})
	if err != nil {
		return err
	}
	c := tnsapi.NewClient(env.Wire)
	if req.Order == 0 {
		current, err := c.Current(ctx, req.Project, req.Branch)
		if err != nil && transport.KindOf(err) != transport.NotFound {
			return err
		}
		req.Order = current.Order + 1
	}
	env.Observe("deploy-sent", node.F("project", p.Project), node.F("commit", p.Commit), node.F("pages", p.Pages), node.F("size", p.Size), node.F("kind", p.Kind), node.F("limit", p.Limit))
	env.Observe("publish-sent", node.F("project", req.Project), node.F("branch", req.Branch), node.F("commit", req.Commit), node.F("job", req.Job),
		node.F("order", req.Order), node.F("entries", evidence.EntriesDigest(req.Entries)))
	resp, err := c.Publish(ctx, *req)
	if err != nil {
		return err
	}
	v := resp.Version
	env.Observe("publish-acknowledged", node.F("project", v.Project), node.F("branch", v.Branch), node.F("commit", v.Commit), node.F("job", v.Job),
		node.F("order", v.Order), node.F("rollback", int64(v.Rollback)), node.F("attempt", v.Token.Attempt), node.F("holder", v.Token.Holder),
		node.F("artifact", v.Artifact), node.F("copies", resp.Copies))
	return nil
}

// gateways are those that a browser may ask.
func gateways(env node.Env) []transport.Peer {
	peers, _ := env.Wire.Directory().Lookup(gatewayapi.Service)
	return peers
}

// Package forges are the words about what people keep at a forge: repositories that auth knows, pushes there, webhooks, and the secrets
// of both.
package forges

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/fixtures"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/scenarios/forge"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/deploykey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/patrick/webhook"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Actions are what people do there, and others try.
func Actions() []scenario.Action {
	return []scenario.Action{repositoryAction(), gitPushAction(), webhookAction(), domainAction()}
}

// repositoryParams is what a repository in a timeline may say.
type repositoryParams struct {
	Name     string        `yaml:"name" range:"1..128" doc:"the repository"`
	Project  string        `yaml:"project" range:"0..128" doc:"the project that it is of; default: one of the repository's name"`
	Holds    string        `yaml:"holds" values:"everything configuration code resource" doc:"what of the project is in it"`
	Branches []string      `yaml:"branches" range:"1..16" doc:"patterns of the branches that are built"`
	Rotate   bool          `yaml:"rotate" doc:"it has new secrets; those before count for the overlap"`
	Overlap  time.Duration `yaml:"overlap" range:"0s..720h" doc:"for how long secrets count that are replaced"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again"`
}

func repositoryAction() scenario.Action {
	return scenario.Action{
		Name: "repository", Service: authapi.Service, Example: `repository: {name: site, branches: [main, "b-*"]}`,
		Doc: "those who run the cloud tell auth of a repository at the forge, with a deploy key, a webhook and a build secret, and the forge of its webhook",
		Params: func() any {
			return &repositoryParams{Name: "site", Holds: everything, Branches: []string{"main"}, RetryFor: time.Minute}
		},
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*repositoryParams)
			scenario.Numbered(n, &p.Name)
			p.Project = cmp.Or(p.Project, p.Name)
			return p.run(ctx, client)
		},
	}
}

// everything is what a repository holds that does not say so.
const everything = "everything"

// holds is what auth is told of it.
func (p repositoryParams) holds() build.Holds {
	if p.Holds == everything {
		return build.Everything
	}
	return build.Holds(p.Holds)
}

// Canary begins every secret of a scenario: it is to be found nowhere but where secrets belong.
const Canary = "CANARY"

// secret draws one: a text of 32 bytes.
func secret(env node.Env) string {
	raw := binary.BigEndian.AppendUint64(nil, env.Rand.Uint64())
	raw = binary.BigEndian.AppendUint64(raw, env.Rand.Uint64())
	return (Canary + hex.EncodeToString(raw))[:32]
}

// secrets are what the people of a scenario keep of a repository, on the disk of their own machine.
type secrets struct {
	Hook, Secret, Old, Deploy string
	Project                   string
	Holds                     build.Holds
}

func secretsKey(name string) storage.Key { return storage.K("secrets", name) }

func secretsOf(env node.Env, name string) (s secrets) {
	if raw, err := env.Local.Get(secretsKey(name)); err == nil {
		_ = transport.Decode(raw, &s) // what is none is as if there were none
	}
	return s
}

func (p repositoryParams) run(ctx context.Context, env node.Env) error {
	was := secretsOf(env, p.Name)
	s := secrets{Secret: secret(env), Deploy: secret(env), Old: was.Secret, Project: p.Project, Holds: p.holds()}
	build := secret(env)
	auths := authapi.NewClient(env.Wire)
	_, err := users.Insist(ctx, env, p.RetryFor, []transport.Kind{transport.Invalid}, func(ctx context.Context) error {
		if _, err := auths.PutProject(ctx, p.Project); err != nil {
			return err
		}
		resp, err := auths.PutRepository(ctx, authapi.Repository{
			Name: p.Name, Project: p.Project, URL: forge.URL(p.Name), Forge: string(webhook.GitHub), Branches: p.Branches, Holds: p.holds(),
		})
		if err != nil {
			return err
		}
		s.Hook = resp.Repository.Hook
		for _, put := range []authapi.SecretPutRequest{
			{ID: authapi.SecretID{Kind: authapi.HookSecret, Owner: p.Name}, Value: []byte(s.Secret)},
			{ID: authapi.SecretID{Kind: authapi.DeployKey, Owner: p.Name}, Value: []byte(s.Deploy)},
			{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: p.Project, Name: "API_KEY"}, Value: []byte(build)},
		} {
			put.Overlap = int64(p.Overlap / time.Second)
			if _, err := auths.PutSecret(ctx, put); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := env.Local.Apply(new(storage.Batch).Put(secretsKey(p.Name), transport.Encode(s))); err != nil {
		return err
	}
	pair, err := deploykey.New([]byte(s.Deploy), "tau-"+p.Name)
	if err != nil {
		return err
	}
	env.Observe("repository-told", node.F("repository", p.Name), node.F("branches", strings.Join(p.Branches, " ")))
	_, err = users.Insist(ctx, env, p.RetryFor, nil, func(ctx context.Context) error {
		_, err := atForge(ctx, env, forge.Connect, forge.ConnectRequest{Repository: p.Name, Hook: s.Hook, Secret: s.Secret, Key: forge.KeyHash(pair.Private)})
		return err
	})
	return err
}

func atForge[Req, Resp any](ctx context.Context, env node.Env, m transport.Method[Req, Resp], req Req) (resp Resp, err error) {
	peers, _ := env.Wire.Directory().Lookup(forge.Service)
	if len(peers) == 0 {
		return resp, transport.New(transport.Unreachable, m.Name, "no forge is known")
	}
	return m.Call(ctx, env.Wire, peers[0], req)
}

// gitPushParams is what a git-push in a timeline may say.
type gitPushParams struct {
	Repository string        `yaml:"repository" range:"1..128" doc:"where to"`
	Project    string        `yaml:"project" range:"1..256" doc:"the fixture that is pushed"`
	Branch     string        `yaml:"branch" range:"1..200" doc:"the branch; {n} is the number of the occurrence"`
	Commit     string        `yaml:"commit" range:"1..30" doc:"names the commit: a later push of the same name is of the same one; default: a new one"`
	Delete     bool          `yaml:"delete" doc:"the branch is deleted"`
	Quiet      bool          `yaml:"quiet" doc:"the forge sends no webhook"`
	Leak       bool          `yaml:"leak" doc:"its build prints its secrets"`
	BuildTime  time.Duration `yaml:"build-time" range:"1ms..24h" doc:"how long the build takes"`
	RetryFor   time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again"`
}

func gitPushAction() scenario.Action {
	return scenario.Action{
		Name: "git-push", Service: patrickapi.Service, Example: `git-push: {repository: site, branch: main}`,
		Doc: "a user pushes a commit of a fixture to the forge, which tells patrick by a webhook",
		Params: func() any {
			return &gitPushParams{Repository: "site", Project: "hello", Branch: "main", RetryFor: time.Minute}
		},
		Validate: func(params any) error {
			if _, err := fixtures.Project(params.(*gitPushParams).Project); err != nil {
				return &node.SettingError{Key: "project", What: err.Error()}
			}
			return nil
		},
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*gitPushParams)
			scenario.Numbered(n, &p.Repository, &p.Branch, &p.Commit)
			return p.run(ctx, client)
		},
	}
}

func (p gitPushParams) run(ctx context.Context, env node.Env) error {
	req := forge.PushRequest{Repository: p.Repository, Branch: p.Branch, Quiet: p.Quiet}
	if s := secretsOf(env, p.Repository); s.Holds != build.Everything {
		return p.runPart(ctx, env, s, req)
	}
	built := evidence.Built{}
	commit := patrickapi.NoCommit
	if !p.Delete {
		tree, err := p.tree(env)
		if err != nil {
			return err
		}
		req.Tree, req.Commit = tree.bytes, tree.commit
		commit = tree.commit
	}
	raw := req.Tree
	if p.Delete {
		raw = patrickapi.Tree{}.Encode()
	}
	built, err := evidence.BuildOf(p.Repository, p.Branch, raw)
	if err != nil {
		return err
	}
	if p.Delete {
		built.Entries = evidence.EntriesDigest(nil)
	}
	source, err := evidence.SourceOf(patrickapi.Origin{Repository: p.Repository, Ref: "refs/heads/" + p.Branch, Commit: commit}.Encode())
	if err != nil {
		return err
	}
	// what may become of it is known before anything does
	env.Observe("git-push-sent", node.F("project", p.Repository), node.F("repository", p.Repository), node.F("branch", p.Branch), node.F("commit", commit),
		node.F("source", source), node.F("artifact", built.Artifact), node.F("entries", built.Entries), node.F("fail", built.Fail))
	_, err = users.Insist(ctx, env, p.RetryFor, nil, func(ctx context.Context) error {
		_, err := atForge(ctx, env, forge.Push, req)
		return err
	})
	return err
}

type pushedTree struct {
	commit string
	bytes  []byte
}

// tree is what is pushed. A commit of a name has the same bytes each time.
func (p gitPushParams) tree(env node.Env) (t pushedTree, err error) {
	name := p.Commit
	if name == "" {
		name = fmt.Sprintf("%016x", env.Rand.Uint64())
	}
	files, err := fixtures.Project(p.Project)
	if err != nil {
		return t, err
	}
	files[".commit"] = []byte(name + "\n")
	if p.BuildTime > 0 || p.Leak {
		files[ports.ManifestPath] = []byte(fmt.Sprintf("leak: %v\n", p.Leak))
		if p.BuildTime > 0 {
			files[ports.ManifestPath] = append(files[ports.ManifestPath], fmt.Sprintf("time: %s\n", p.BuildTime)...)
		}
	}
	var tree patrickapi.Tree
	for _, path := range slices.Sorted(maps.Keys(files)) {
		tree.Files = append(tree.Files, patrickapi.File{Path: path, Data: files[path]})
	}
	t.bytes = tree.Encode()
	t.commit = commitOf(t.bytes)
	return t, nil
}

// webhookParams is what a webhook in a timeline may say.
type webhookParams struct {
	Repository string `yaml:"repository" range:"1..128" doc:"whose webhook it is sent to"`
	Branch     string `yaml:"branch" range:"1..200" doc:"the branch that it says has moved"`
	Commit     string `yaml:"commit" range:"1..30" doc:"where to, by a name that nobody has pushed"`
	Secret     string `yaml:"secret" values:"current old none" doc:"what it is signed with: the secret of today, the one before, or another one"`
	About      string `yaml:"about" range:"1..128" doc:"another repository that it is about; default: that of the webhook"`
	ID         string `yaml:"id" range:"1..64" doc:"its delivery id: one that comes again is a repetition; default: a new one"`
	Size       int64  `yaml:"size" range:"0..64MiB" doc:"the least size of its body"`
	Want       int    `yaml:"want" range:"100..599" doc:"the status that it must be answered with"`
}

func webhookAction() scenario.Action {
	return scenario.Action{
		Name: "webhook", Service: patrickapi.Service, Example: `webhook: {repository: site, secret: none, want: 401}`,
		Doc: "somebody sends a webhook that no push has caused: forged, repeated, oversized, or about another repository",
		Params: func() any {
			return &webhookParams{Repository: "site", Branch: "main", Commit: "nobody-pushed-it", Secret: "none", Want: 401}
		},
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			return params.(*webhookParams).run(ctx, client)
		},
	}
}

func (p *webhookParams) run(ctx context.Context, env node.Env) error {
	s := secretsOf(env, p.Repository)
	about := p.About
	if about == "" {
		about = forge.Owner + "/" + p.Repository
	}
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/" + p.Branch, "before": patrickapi.NoCommit, "after": commitOf([]byte(p.Commit)),
		"repository": map[string]any{"id": 1, "full_name": about}, "padding": strings.Repeat(" ", int(p.Size)),
	})
	if err != nil {
		return err
	}
	d := forge.Delivery{Hook: s.Hook, ID: p.ID, Body: body, Secret: map[string]string{"current": s.Secret, "old": s.Old}[p.Secret]}
	if d.Secret == "" {
		d.Secret = "a secret of the right length, of nobody"
	}
	if d.ID == "" {
		d.ID = fmt.Sprintf("%016x", env.Rand.Uint64())
	}
	status, err := forge.Deliver(ctx, env, d)
	if err != nil {
		return err
	}
	env.Observe("webhook-tried", node.F("repository", p.Repository), node.F("status", status), node.F("want", p.Want))
	return nil
}

// Package jobs are the words about jobs: users push, cancel and rebuild; patricks
// and monkeys must see each push to one outcome.
package jobs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/fixtures"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// pushParams is what a push in a timeline may say.
type pushParams struct {
	Project    string        `yaml:"project" range:"1..256" doc:"of the cloud; the fixture that is pushed, too, unless another one is named"`
	Fixture    string        `yaml:"fixture" range:"1..256" doc:"what is pushed: hello, shop (600 kB, built in 12s), slow (45s), flaky (fails once), broken (fails each time), or a whole project with configuration, functions and websites: market, market-misspelt (not valid), stall (with a domain of its own), stall-moved-out (without); default: the project's name"`
	Repository string        `yaml:"repository" range:"1..256" doc:"default: the project's name"`
	Branch     string        `yaml:"branch" range:"1..256" doc:"the branch; {n} is the number of the occurrence"`
	Commit     string        `yaml:"commit" range:"1..256" doc:"names the commit; default: a new one for each push"`
	Event      string        `yaml:"event" range:"1..256" doc:"names the push: a later one of the same name delivers the same once more, whatever else it says; default: each push is a new one"`
	NewestWins bool          `yaml:"newest-wins" doc:"makes older jobs of the branch superfluous"`
	Deliveries int           `yaml:"deliveries" range:"1..100" doc:"how often it is delivered, all at once"`
	Fail       string        `yaml:"fail" values:"once permanent" doc:"how the build goes wrong: once (it succeeds when it is tried again), or permanent; default: as the project says"`
	BuildTime  time.Duration `yaml:"build-time" range:"1ms..24h" doc:"how long the build takes; default: as the project says"`
	// They replace the project's build.yaml.
	ArtifactSize int64         `yaml:"artifact-size" range:"1..8MiB" doc:"the least size of what is built; default: as the project says"`
	TreeSize     int64         `yaml:"tree-size" range:"1..960KiB" doc:"the least size of what is pushed; default: as the project is"`
	RetryFor     time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is delivered again while it is not acknowledged"`
}

// Actions are what users do about jobs.
func Actions() []scenario.Action {
	return []scenario.Action{pushAction(), cancelAction(), rebuildAction(), logsAction()}
}

func pushAction() scenario.Action {
	return scenario.Action{
		Name: "push", Service: patrickapi.Service,
		Doc:     "a user pushes a commit of a fixture project, and delivers it again until it is acknowledged",
		Example: `push: {project: hello, branch: "b-{n}", build-time: 5s, to: core-*}`,
		Params: func() any {
			return &pushParams{Project: "hello", Branch: "main", Deliveries: 1, RetryFor: 2 * time.Minute}
		},
		Validate: func(params any) error { return params.(*pushParams).validate() },
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*pushParams)
			scenario.Numbered(n, &p.Repository, &p.Branch, &p.Commit, &p.Event)
			return p.run(ctx, client)
		},
	}
}

func (p *pushParams) validate() error {
	files, err := fixtures.Project(p.fixture())
	if err != nil {
		key := "project"
		if p.Fixture != "" {
			key = "fixture"
		}
		return &node.SettingError{Key: key, What: err.Error()}
	}
	if files[project.MonoFile] != nil && p.ArtifactSize > 0 {
		return &node.SettingError{Key: "artifact-size", What: "what is built of a project has the size that it has"}
	}
	return nil
}

func (p *pushParams) fixture() string { return cmp.Or(p.Fixture, p.Project) }

// run delivers the push. The fact push-acknowledged is what the cloud must
// stand by from then on.
func (p *pushParams) run(ctx context.Context, client node.Env) error {
	forge, began := forge{env: client}, client.Loop.Elapsed()
	req, err := forge.notice(ctx, p)
	if err != nil {
		return err
	}
	if err := observePush(client, req, p.Deliveries, client.Loop.Elapsed()-began); err != nil {
		return err
	}
	return clock.First(ctx, client.Loop, p.Deliveries, p.Deliveries, func(ctx context.Context, _ int) error {
		return deliver(ctx, client, req, p.RetryFor)
	})
}

func jobOf(req patrickapi.PushRequest) string {
	return patrickapi.JobID(req.Repository, req.Branch, req.Commit, req.Event)
}

// observePush tells the checks what is pushed, and what must become of it.
// took is how long it took to notice it.
func observePush(client node.Env, req patrickapi.PushRequest, deliveries int, took time.Duration) error {
	b, err := evidence.BuildOf(req.Project, req.Branch, req.Tree)
	client.Observe("push-sent", node.F("job", jobOf(req)), node.F("project", req.Project), node.F("repository", req.Repository),
		node.F("branch", req.Branch), node.F("commit", req.Commit), node.F("event", req.Event.ID), node.F("order", req.Event.Order),
		node.F("deliveries", deliveries), node.F("took", took), node.F("newest-wins", req.NewestWins),
		node.F("source", b.Source), node.F("artifact", b.Artifact), node.F("entries", b.Entries), node.F("fail", b.Fail))
	if b.Assets != "" {
		client.Observe("project-sent", node.F("project", req.Project), node.F("branch", req.Branch), node.F("commit", req.Commit), node.F("assets", b.Assets))
	}
	return err
}

func (p *pushParams) request(client node.Env) (patrickapi.PushRequest, error) {
	req := patrickapi.PushRequest{Project: p.Project, Repository: p.Repository, Branch: p.Branch, Commit: p.Commit, NewestWins: p.NewestWins}
	if req.Repository == "" {
		req.Repository = p.Project
	}
	if req.Commit == "" {
		req.Commit = forge{env: client}.draw()
	}
	files, err := fixtures.Commit(p.fixture(), req.Commit)
	if err != nil {
		return req, err
	}
	files[".commit"] = []byte(req.Commit + "\n") // no two commits have one tree
	if p.TreeSize > 0 {
		files["padding"] = evidence.Padded([]byte(req.Commit), int(p.TreeSize))
	}
	if p.Fail != "" || p.BuildTime > 0 || p.ArtifactSize > 0 {
		files[ports.ManifestPath] = p.manifest()
	}
	var tree patrickapi.Tree
	for _, name := range slices.Sorted(maps.Keys(files)) {
		tree.Files = append(tree.Files, patrickapi.File{Path: name, Data: files[name]})
	}
	req.Tree = tree.Encode()
	return req, nil
}

func (p *pushParams) manifest() []byte {
	var b strings.Builder
	if p.Fail != "" {
		fmt.Fprintf(&b, "fail: %s\n", p.Fail)
	}
	if p.BuildTime > 0 {
		fmt.Fprintf(&b, "time: %s\n", p.BuildTime)
	}
	if p.ArtifactSize > 0 {
		fmt.Fprintf(&b, "size: %d\n", p.ArtifactSize)
	}
	return []byte(b.String())
}

// deliver sends a push until it is acknowledged or the user gives up.
func deliver(ctx context.Context, client node.Env, req patrickapi.PushRequest, retryFor time.Duration) error {
	patricks := patrickapi.NewClient(client.Wire)
	tries := 0
	gaveUp, err := users.Insist(ctx, client, retryFor, []transport.Kind{transport.Invalid, transport.Conflict}, func(ctx context.Context) error {
		tries++
		resp, err := patricks.Push(ctx, req)
		if err == nil {
			client.Observe("push-acknowledged", node.F("job", resp.Job), node.F("project", req.Project), node.F("repository", req.Repository),
				node.F("branch", req.Branch), node.F("commit", req.Commit), node.F("event", req.Event.ID), node.F("duplicate", resp.Duplicate),
				node.F("forgotten", resp.Forgotten), node.F("tries", tries))
		}
		return err
	})
	if gaveUp {
		client.Observe("push-given-up", node.F("commit", req.Commit), node.F("error", err.Error()))
	}
	return err
}

// jobParams is what the timeline says of a job that something is done with.
type jobParams struct {
	Project    string        `yaml:"project" range:"1..256" doc:"of the push"`
	Repository string        `yaml:"repository" range:"1..256" doc:"of the push; default: any of the project"`
	Branch     string        `yaml:"branch" range:"1..256" doc:"of the push; {n} is the number of the occurrence"`
	Commit     string        `yaml:"commit" range:"1..256" doc:"of the push; default: the newest job of the branch"`
	RetryFor   time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again"`
}

func cancelAction() scenario.Action {
	return jobAction("cancel", "a user cancels the job of a commit, or the newest job of a branch", time.Minute, cancelOnce)
}

func rebuildAction() scenario.Action {
	return jobAction("rebuild", "a user has a job built anew that failed or was cancelled: the newest one of a commit, or of a branch", time.Minute, rebuildOnce)
}

func logsAction() scenario.Action {
	return jobAction("logs", "a user reads the log of the newest job of a commit, or of a branch, and tries until all of it is there", 10*time.Second, logsOnce)
}

// jobOnce does something with a job, once.
type jobOnce func(ctx context.Context, client node.Env, patricks *patrickapi.Client, job string) error

// jobAction is an action on a job that exists.
func jobAction(name, doc string, retryFor time.Duration, once jobOnce) scenario.Action {
	return scenario.Action{
		Name: name, Doc: doc, Service: patrickapi.Service, Example: name + ": {project: hello, branch: main}",
		Params: func() any { return &jobParams{Project: "hello", Branch: "main", RetryFor: retryFor} },
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			return params.(*jobParams).run(ctx, client, n, once)
		},
	}
}

// run does something with a job, until it succeeds or is refused for good.
func (p jobParams) run(ctx context.Context, client node.Env, n int, once jobOnce) error {
	scenario.Numbered(n, &p.Repository, &p.Branch, &p.Commit)
	patricks := patrickapi.NewClient(client.Wire)
	_, err := users.Insist(ctx, client, p.RetryFor, nil, func(ctx context.Context) error {
		job, err := p.job(ctx, patricks)
		if err != nil {
			return err
		}
		return once(ctx, client, patricks, job)
	})
	return err
}

func cancelOnce(ctx context.Context, client node.Env, patricks *patrickapi.Client, job string) error {
	client.Observe("cancel-sent", node.F("job", job))
	resp, err := patricks.Cancel(ctx, job)
	if err == nil {
		client.Observe("cancel-acknowledged", node.F("job", job), node.F("status", resp.Status.String()), node.F("rebuild", resp.Rebuild))
	}
	return err
}

func rebuildOnce(ctx context.Context, client node.Env, patricks *patrickapi.Client, job string) error {
	client.Observe("rebuild-sent", node.F("job", job))
	resp, err := patricks.Rebuild(ctx, job)
	if err == nil {
		client.Observe("rebuild-acknowledged", node.F("job", job), node.F("rebuilds", resp.Rebuilds))
	}
	return err
}

func logsOnce(ctx context.Context, _ node.Env, patricks *patrickapi.Client, job string) error {
	resp, err := patricks.Logs(ctx, job)
	if err == nil && !resp.Full {
		err = transport.New(transport.NotFound, "logs", "the attempt is running")
	}
	return err
}

// job is the newest job of the branch, or of a commit in it.
func (p *jobParams) job(ctx context.Context, patricks *patrickapi.Client) (string, error) {
	req := patrickapi.ListRequest{Project: p.Project, Branch: p.Branch}
	for more := true; more; {
		page, err := patricks.List(ctx, req)
		if err != nil {
			return "", err
		}
		for _, j := range page.Jobs {
			req.After = j.ID
			if (p.Commit == "" || p.Commit == j.Commit) && (p.Repository == "" || p.Repository == j.Repository) {
				return j.ID, nil
			}
		}
		more = page.More && len(page.Jobs) > 0
	}
	return "", transport.New(transport.NotFound, "job", "the branch has no such job")
}

package scenarios

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/fixtures"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// pushParams is what a push in a timeline may say.
type pushParams struct {
	// Project is a fixture's name. Repository is the same if it is "".
	Project    string `yaml:"project"`
	Repository string `yaml:"repository"`
	Branch     string `yaml:"branch"`
	// Commit names the commit; "" makes a new one for each push.
	Commit string `yaml:"commit"`
	// NewestWins supersedes older jobs of the branch.
	NewestWins bool `yaml:"newest-wins"`
	// Deliveries is how often the push is delivered, all at once.
	Deliveries int `yaml:"deliveries"`
	// Fail is how the build goes: "", "once" or "permanent". BuildTime is how
	// long it takes. They replace the project's build.yaml.
	Fail      string        `yaml:"fail"`
	BuildTime time.Duration `yaml:"build-time"`
	// RetryFor is how long an unacknowledged push is delivered again.
	RetryFor time.Duration `yaml:"retry-for"`
}

// pushRetryWait is the pause between two deliveries of one push.
const pushRetryWait = time.Second

func pushAction() scenario.Action {
	return scenario.Action{
		Name: "push",
		Doc:  "a user pushes a commit of a fixture project, and delivers it again until it is acknowledged",
		Params: func() any {
			return &pushParams{Project: "hello", Branch: "main", Deliveries: 1, RetryFor: 2 * time.Minute}
		},
		Validate: func(params any) error { return params.(*pushParams).validate() },
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			return params.(*pushParams).run(ctx, client)
		},
	}
}

func (p *pushParams) validate() error {
	if _, err := fixtures.Project(p.Project); err != nil {
		return err
	}
	switch {
	case p.Fail != "" && p.Fail != "once" && p.Fail != "permanent":
		return fmt.Errorf("fail is %q, not once or permanent", p.Fail)
	case p.Deliveries < 1 || p.Deliveries > 100:
		return fmt.Errorf("deliveries is %d, not 1 to 100", p.Deliveries)
	case p.Branch == "":
		return errors.New("branch is empty")
	case p.RetryFor < 0 || p.BuildTime < 0:
		return errors.New("a duration is negative")
	}
	return nil
}

// run delivers the push. The fact push-acknowledged is what the cloud must
// stand by from then on.
func (p *pushParams) run(ctx context.Context, client node.Env) error {
	req, err := p.request(client)
	if err != nil {
		return err
	}
	client.Observe("push-sent", node.F("job", patrickapi.JobID(req.Repository, req.Branch, req.Commit)), node.F("project", req.Project),
		node.F("branch", req.Branch), node.F("commit", req.Commit))
	return clock.First(ctx, client.Loop, p.Deliveries, p.Deliveries, func(ctx context.Context, i int) error {
		req := req
		req.DeliveryID = fmt.Sprintf("delivery-%d", i)
		return deliver(ctx, client, req, p.RetryFor)
	})
}

func (p *pushParams) request(client node.Env) (patrickapi.PushRequest, error) {
	req := patrickapi.PushRequest{Project: p.Project, Repository: p.Repository, Branch: p.Branch, Commit: p.Commit, NewestWins: p.NewestWins}
	if req.Repository == "" {
		req.Repository = p.Project
	}
	if req.Commit == "" {
		var id [20]byte
		for i := 0; i < len(id); i += 4 {
			binary.BigEndian.PutUint32(id[i:], client.Rand.Uint32())
		}
		req.Commit = hex.EncodeToString(id[:])
	}
	files, err := fixtures.Project(p.Project)
	if err != nil {
		return req, err
	}
	files[".commit"] = []byte(req.Commit + "\n") // no two commits have one tree
	if p.Fail != "" || p.BuildTime > 0 {
		files[monkey.ManifestPath] = p.manifest()
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
	return []byte(b.String())
}

// deliver sends a push until it is acknowledged or the user gives up.
func deliver(ctx context.Context, client node.Env, req patrickapi.PushRequest, retryFor time.Duration) error {
	patricks := patrickapi.NewClient(client.Wire)
	begin := client.Loop.Elapsed()
	for {
		resp, err := patricks.Push(ctx, req)
		if err == nil {
			client.Observe("push-acknowledged", node.F("job", resp.Job), node.F("project", req.Project), node.F("branch", req.Branch),
				node.F("commit", req.Commit), node.F("duplicate", resp.Duplicate))
			return nil
		}
		if transport.KindOf(err) == transport.Invalid || client.Loop.Elapsed()-begin >= retryFor {
			client.Observe("push-given-up", node.F("commit", req.Commit), node.F("error", err.Error()))
			return err
		}
		if err := clock.Sleep(ctx, client.Loop, pushRetryWait); err != nil {
			return err
		}
	}
}

// cancelParams is what a cancel in a timeline may say.
type cancelParams struct {
	Project    string        `yaml:"project"`
	Repository string        `yaml:"repository"`
	Branch     string        `yaml:"branch"`
	Commit     string        `yaml:"commit"`
	RetryFor   time.Duration `yaml:"retry-for"`
}

func cancelAction() scenario.Action {
	return scenario.Action{
		Name:   "cancel",
		Doc:    "a user cancels the job of a commit, or the newest job of a branch",
		Params: func() any { return &cancelParams{Project: "hello", Branch: "main", RetryFor: time.Minute} },
		Validate: func(params any) error {
			if p := params.(*cancelParams); p.RetryFor < 0 || p.Branch == "" || p.Project == "" {
				return errors.New("project and branch must not be empty, retry-for not negative")
			}
			return nil
		},
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			return params.(*cancelParams).run(ctx, client)
		},
	}
}

func (p *cancelParams) run(ctx context.Context, client node.Env) error {
	patricks := patrickapi.NewClient(client.Wire)
	begin := client.Loop.Elapsed()
	for {
		err := p.once(ctx, client, patricks)
		if err == nil || client.Loop.Elapsed()-begin >= p.RetryFor {
			return err
		}
		if err := clock.Sleep(ctx, client.Loop, pushRetryWait); err != nil {
			return err
		}
	}
}

func (p *cancelParams) once(ctx context.Context, client node.Env, patricks *patrickapi.Client) error {
	job, err := p.job(ctx, patricks)
	if err != nil {
		return err
	}
	resp, err := patricks.Cancel(ctx, job)
	if err == nil {
		client.Observe("cancel-acknowledged", node.F("job", job), node.F("status", resp.Status.String()))
	}
	return err
}

// job is the job to cancel.
func (p *cancelParams) job(ctx context.Context, patricks *patrickapi.Client) (string, error) {
	if p.Commit != "" {
		repository := p.Repository
		if repository == "" {
			repository = p.Project
		}
		return patrickapi.JobID(repository, p.Branch, p.Commit), nil
	}
	page, err := patricks.List(ctx, patrickapi.ListRequest{Project: p.Project, Branch: p.Branch, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(page.Jobs) == 0 {
		return "", transport.New(transport.NotFound, "cancel", "the branch has no job")
	}
	return page.Jobs[0].ID, nil
}

// Package versions are the words about tns: versions of branches are published,
// rolled back, read and kept.
package versions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// publishParams is what a publish in a timeline may say.
type publishParams struct {
	Project   string        `yaml:"project" range:"1..256" doc:"whose version it is"`
	Branch    string        `yaml:"branch" range:"1..256" doc:"the branch; {n} is the number of the occurrence"`
	Commit    string        `yaml:"commit" range:"1..256" doc:"what is published; default: a new one each time"`
	Job       string        `yaml:"job" range:"1..256" doc:"under whose token it is published; default: a job of its own"`
	Attempt   uint64        `yaml:"attempt" doc:"the number of the token: higher ones win"`
	Fence     bool          `yaml:"fence" doc:"makes the token known first, as a builder does"`
	FenceOnly bool          `yaml:"fence-only" doc:"does nothing else, as a builder that dies"`
	Entries   int           `yaml:"entries" range:"0..2048" doc:"how many entries the version has"`
	Expect    string        `yaml:"expect" values:"conflict" doc:"the action fails if it goes otherwise; default: it is to succeed"`
	RetryFor  time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again when no replica answers"`
}

// Actions are what is asked of tns without a job.
func Actions() []scenario.Action {
	return []scenario.Action{publishAction(), rollbackAction()}
}

func publishAction() scenario.Action {
	return scenario.Action{
		Name: "publish", Service: tnsapi.Service, Example: "publish: {project: hello, branch: main, entries: 100, fence: true}",
		Doc: "somebody publishes a version to tns without a build",
		Params: func() any {
			return &publishParams{Project: "hello", Branch: "main", Attempt: 1, Entries: 10, RetryFor: time.Minute}
		},
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*publishParams)
			scenario.Numbered(n, &p.Branch, &p.Commit, &p.Job)
			return p.run(ctx, client, n)
		},
	}
}

func (p *publishParams) run(ctx context.Context, env node.Env, n int) error {
	c := tnsapi.NewClient(env.Wire)
	commit := p.Commit
	if commit == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d/%d", p.Project, p.Branch, n, env.Rand.Uint64()))
		commit = hex.EncodeToString(sum[:20])
	}
	req := tnsapi.PublishRequest{
		Project: p.Project, Branch: p.Branch, Commit: commit, Job: p.Job,
		Token:   fencing.Token{Attempt: p.Attempt, Holder: env.Self},
		Entries: entriesOf(commit, p.Entries),
	}
	if req.Job == "" {
		req.Job = "publish-" + commit
	}
	err := retry(ctx, env, p.RetryFor, func(ctx context.Context) error { return p.once(ctx, env, c, &req) })
	if p.Expect == "conflict" {
		if transport.KindOf(err) == transport.Conflict {
			return nil
		}
		return fmt.Errorf("publish of %s was expected to be a conflict, the outcome is: %v", req.Job, err)
	}
	return err
}

// once tries it. The order is chosen once, so that a repetition is one.
func (p *publishParams) once(ctx context.Context, env node.Env, c *tnsapi.Client, req *tnsapi.PublishRequest) error {
	if req.Order == 0 {
		current, err := c.Current(ctx, p.Project, p.Branch)
		if err != nil && transport.KindOf(err) != transport.NotFound {
			return err
		}
		req.Order = current.Order + 1
	}
	if p.Fence || p.FenceOnly {
		env.Observe("fence-sent", node.F("job", req.Job), node.F("attempt", req.Token.Attempt))
		if err := c.Fence(ctx, p.Project, p.Branch, req.Job, req.Token); err != nil || p.FenceOnly {
			return err
		}
	}
	env.Observe("publish-sent", node.F("project", p.Project), node.F("branch", p.Branch), node.F("commit", req.Commit), node.F("job", req.Job),
		node.F("order", req.Order), node.F("entries", evidence.EntriesDigest(req.Entries)))
	resp, err := c.Publish(ctx, *req)
	if err == nil {
		observeVersion(env, "publish-acknowledged", resp)
	}
	return err
}

// observeVersion tells the checks what tns says it has published.
func observeVersion(env node.Env, fact string, resp tnsapi.PublishResponse, more ...node.Field) {
	v := resp.Version
	env.Observe(fact, append(more, node.F("project", v.Project), node.F("branch", v.Branch), node.F("commit", v.Commit), node.F("job", v.Job),
		node.F("order", v.Order), node.F("rollback", int64(v.Rollback)), node.F("attempt", v.Token.Attempt), node.F("holder", v.Token.Holder), node.F("artifact", v.Artifact), node.F("copies", resp.Copies))...)
}

func entriesOf(commit string, n int) []tnsapi.Entry {
	list := make([]tnsapi.Entry, n)
	for i := range list {
		path := fmt.Sprintf("functions/f%04d", i/2)
		if i%2 == 1 {
			path += "-more" // begins like another one and does not lie below it
		}
		list[i] = tnsapi.Entry{Path: path, Value: []byte(commit)}
	}
	return list
}

// retry repeats f until it succeeds or is refused for good.
func retry(ctx context.Context, env node.Env, limit time.Duration, f func(ctx context.Context) error) error {
	_, err := users.Insist(ctx, env, limit, []transport.Kind{transport.Conflict, transport.Invalid, transport.Stopped}, f)
	return err
}

// rollbackParams is what a rollback in a timeline may say.
type rollbackParams struct {
	Project  string        `yaml:"project" range:"1..256" doc:"whose version it is"`
	Branch   string        `yaml:"branch" range:"1..256" doc:"the branch; {n} is the number of the occurrence"`
	Commit   string        `yaml:"commit" range:"1..256" doc:"what becomes current again; default: the one before the current"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again when no replica answers"`
}

func rollbackAction() scenario.Action {
	return scenario.Action{
		Name: "rollback", Service: tnsapi.Service, Example: "rollback: {project: hello, branch: main}",
		Doc:    "somebody makes an older commit of a branch current again",
		Params: func() any { return &rollbackParams{Project: "hello", Branch: "main", RetryFor: time.Minute} },
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*rollbackParams)
			scenario.Numbered(n, &p.Branch, &p.Commit)
			c := tnsapi.NewClient(client.Wire)
			return retry(ctx, client, p.RetryFor, func(ctx context.Context) error { return p.once(ctx, client, c) })
		},
	}
}

func (p *rollbackParams) once(ctx context.Context, env node.Env, c *tnsapi.Client) error {
	commit := p.Commit
	if commit == "" {
		kept, err := c.History(ctx, p.Project, p.Branch)
		if err != nil {
			return err
		}
		commit = kept[min(1, len(kept)-1)].Commit
	}
	env.Observe("rollback-sent", node.F("project", p.Project), node.F("branch", p.Branch), node.F("commit", commit))
	began := env.Loop.Elapsed()
	resp, err := c.Rollback(ctx, p.Project, p.Branch, commit)
	if err == nil {
		observeVersion(env, "rollback-acknowledged", resp, node.F("asked", commit), node.F("by", c.Answered()), node.F("took", env.Loop.Elapsed()-began))
	}
	return err
}

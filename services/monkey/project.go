package monkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// make builds what was pushed: a project step by step, a tree without one as a whole.
func (s *Service) make(ctx context.Context, l *lock, req Request) (Result, error) {
	if req.Job.Forge && req.Job.Commit == patrickapi.NoCommit && len(req.Tree.Files) == 0 { // the branch was deleted: from now on there is nothing
		return Result{Artifact: patrickapi.Tree{}.Encode()}, nil
	}
	_, mono := req.Tree.File(project.MonoFile)
	_, repository := req.Tree.File(project.RepositoryFile)
	if !mono && !repository {
		return s.builder.Build(ctx, req)
	}
	var c commit
	var err error
	settings := s.settings
	if left := clock.Offload(ctx, s.env.Loop, func() { c, err = settings.readCommit(req) }); left != nil {
		return Result{}, left
	}
	if err != nil {
		return Result{}, UserError(err.Error())
	}
	req.Log(fmt.Sprintf("building %s at %s, %d files, %d assets", req.Job.Repository, req.Job.Commit, len(req.Tree.Files), len(c.steps)))
	c.earlier = s.earlierOf(ctx, req, c.steps)
	for _, step := range c.steps {
		req.Log(fmt.Sprintf("%s: %s of %s", step.Targets[0], step.Toolchain, step.Folder))
		if err := s.step(ctx, l, req, &c, step); err != nil {
			return Result{}, err
		}
	}
	req.Log(fmt.Sprintf("100%%: %d assets built, %d taken over from the version before", len(c.steps)-c.earlier.reused, c.earlier.reused))
	return s.assembled(req, c)
}

// commit is a project that is being built.
type commit struct {
	files   fs.FS
	entries []project.Entry
	steps   []build.Step
	bundle  *build.Bundle
	earlier earlier
	// sandbox is what kept its builds apart.
	sandbox string
}

// hosts are where a job is served: a branch that is not in production at hosts of its own.
func (s Settings) hosts(j patrickapi.Job) project.Options {
	o := project.Options{Project: j.Project}
	if j.Branch != s.Branch {
		o.Preview = j.Branch
	}
	return o
}

// readCommit reads, checks, compiles and plans a project. It touches nothing of the service.
func (s Settings) readCommit(req Request) (c commit, err error) {
	c.bundle = build.NewBundle()
	if c.files, err = build.FS(files(req.Tree)); err != nil {
		return c, err
	}
	loaded, err := project.Load(c.files)
	if err != nil {
		return c, err
	}
	compiled, err := project.Compile(loaded.Project, s.hosts(req.Job))
	if err != nil {
		return c, err
	}
	c.entries = compiled.Entries
	c.steps, err = build.Plan(loaded.Project, c.files, req.Places)
	return c, err
}

// step makes one asset: here, if nothing of anybody has to run for it; otherwise it takes over that of the live version, or has the builder make it.
func (s *Service) step(ctx context.Context, l *lock, req Request, c *commit, step build.Step) error {
	var asset []byte
	var done bool
	var err error
	if left := clock.Offload(ctx, s.env.Loop, func() { asset, done, err = build.Make(step, c.files) }); left != nil {
		return left
	}
	if err != nil {
		return UserError(err.Error())
	}
	version := ""
	if !done {
		asset, version, done = s.reuse(ctx, l, &c.earlier, step)
	}
	if !done {
		req.Step = &step
		built, err := s.builder.Build(ctx, req)
		if err != nil {
			return err
		}
		asset, version = built.Artifact, built.Toolchain
		if built.Sandbox != "" {
			c.sandbox = built.Sandbox
		}
		s.env.Observe("step-built", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("target", step.Targets[0]))
	}
	if step.Module() {
		if err := build.CheckModule(asset, step.Calls); err != nil {
			return UserError(fmt.Sprintf("%s: %v", step.Folder, err))
		}
	}
	if err := c.bundle.Add(step, version, asset); err != nil {
		return UserError(err.Error())
	}
	return nil
}

// assembled is what is published of a project at once: its configuration and routes, where its assets are, and what it was made of.
func (s *Service) assembled(req Request, c commit) (Result, error) {
	entries, all := c.bundle.Entries(), &project.Compiled{Entries: c.entries}
	sum := sha256.Sum256(req.Tree.Encode())
	entries[build.ProvenancePath] = string(build.Encode(build.Provenance{
		Repository: req.Job.Repository, Branch: req.Job.Branch, Commit: req.Job.Commit, Parts: req.Parts, Tree: hex.EncodeToString(sum[:]),
		Job: req.Job.ID, Attempt: req.Attempt, Builder: s.env.Self.String(), Built: len(c.steps) - c.earlier.reused, Reused: c.earlier.reused,
		Sandbox: c.sandbox,
	}))
	for path, value := range entries {
		all.Entries = append(all.Entries, project.Entry{Path: path, Value: []byte(value)})
	}
	if err := all.Fits(); err != nil {
		return Result{}, UserError(err.Error())
	}
	for _, e := range c.entries {
		entries[e.Path] = string(e.Value)
	}
	return Result{Artifact: c.bundle.Content(), Entries: entries}, nil
}

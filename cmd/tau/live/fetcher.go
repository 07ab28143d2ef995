package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/source"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/tree"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// fetcher gets commits with the system's git.
type fetcher struct {
	loop clock.Loop
	// scratch is emptied when the node starts.
	scratch string
}

func newFetcher(cfg Config) func(node.Env) monkey.Fetcher {
	scratch := filepath.Join(cfg.Paths.Builds, "fetches")
	_ = os.RemoveAll(scratch) // what a node left that was killed
	source.Forget(scratch)
	return func(env node.Env) monkey.Fetcher {
		return &fetcher{loop: env.Loop, scratch: scratch}
	}
}

// Fetch implements monkey.Fetcher.
func (f *fetcher) Fetch(ctx context.Context, s monkey.Source) (t patrickapi.Tree, err error) {
	if left := clock.Offload(ctx, f.loop, func() { t, err = f.fetch(ctx, s) }); left != nil {
		return t, left
	}
	return t, err
}

// Head implements monkey.Fetcher.
func (f *fetcher) Head(ctx context.Context, s monkey.Source) (commit string, err error) {
	if left := clock.Offload(ctx, f.loop, func() {
		var git *source.Git
		if git, err = f.git(); err != nil {
			return
		}
		if commit, err = git.Head(ctx, requestOf(s)); err != nil {
			err = permanent(err)
		}
	}); left != nil {
		return "", left
	}
	return commit, err
}

func requestOf(s monkey.Source) source.Request {
	return source.Request{URL: s.URL, Commit: s.Commit, Branch: s.Branch, Key: s.Key, KnownHosts: s.KnownHosts}
}

func (f *fetcher) git() (*source.Git, error) {
	if err := os.MkdirAll(f.scratch, 0o700); err != nil {
		return nil, err
	}
	git, err := source.FindGit(f.scratch)
	if err != nil {
		return nil, err
	}
	git.Files = true // what those who run the cloud have told auth
	git.Budget.Entries, git.Budget.FileLen, git.Budget.TotalLen = monkey.FetchedFilesMax, monkey.FetchedLenMax, monkey.FetchedLenMax
	git.PackLen = 4 * monkey.FetchedLenMax // a branch may have to be fetched with its past
	return git, nil
}

func (f *fetcher) fetch(ctx context.Context, s monkey.Source) (t patrickapi.Tree, err error) {
	git, err := f.git()
	if err != nil {
		return t, err
	}
	dir, err := os.MkdirTemp(f.scratch, "tree-")
	if err != nil {
		return t, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return t, err
	}
	defer root.Close()
	if _, err := git.Fetch(ctx, requestOf(s), root); err != nil {
		return t, permanent(err)
	}
	return readTree(root)
}

// permanent is an error of a fetch as a monkey takes it: what is wrong with the commit is final, what is wrong with the forge, the key or
// this node is not.
func permanent(err error) error {
	var wrong *source.Error
	var problem *tree.Problem
	switch {
	case errors.As(err, &problem):
		return monkey.UserError(err.Error())
	case errors.As(err, &wrong) && (wrong.Kind == source.Bad || wrong.Kind == source.TooLarge):
		return monkey.UserError(err.Error())
	}
	return err
}

// readTree reads what was fetched, within the fetch's budget.
func readTree(root *os.Root) (t patrickapi.Tree, err error) {
	files := root.FS()
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no plain file", tree.Shown(name))
		}
		data, err := fs.ReadFile(files, name)
		t.Files = append(t.Files, patrickapi.File{Path: name, Data: data})
		return err
	})
	t.Sort()
	return t, err
}

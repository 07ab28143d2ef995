package live

import (
	"context"
	"errors"
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
type fetcher struct{ loop clock.Loop }

func newFetcher(Config) func(node.Env) monkey.Fetcher {
	return func(env node.Env) monkey.Fetcher { return &fetcher{env.Loop} }
}

// Fetch implements monkey.Fetcher.
func (f *fetcher) Fetch(ctx context.Context, s monkey.Source) (t patrickapi.Tree, err error) {
	if left := clock.Offload(ctx, f.loop, func() { t, err = fetch(ctx, s) }); left != nil {
		return t, left
	}
	return t, err
}

func fetch(ctx context.Context, s monkey.Source) (t patrickapi.Tree, err error) {
	dir, err := os.MkdirTemp("", "tau-tree-")
	if err != nil {
		return t, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	git, err := source.FindGit(dir)
	if err != nil {
		return t, err
	}
	git.Files = true // what those who run the cloud have told auth
	git.Budget.Entries, git.Budget.FileLen, git.Budget.TotalLen = monkey.FetchedFilesMax, monkey.FetchedLenMax, monkey.FetchedLenMax
	into := filepath.Join(dir, "tree")
	if err := os.Mkdir(into, 0o700); err != nil {
		return t, err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return t, err
	}
	defer root.Close()
	if _, err := git.Fetch(ctx, source.Request{URL: s.URL, Commit: s.Commit, Branch: s.Branch, Key: s.Key, KnownHosts: s.KnownHosts}, root); err != nil {
		return t, fetchError(err)
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root.FS(), path)
		t.Files = append(t.Files, patrickapi.File{Path: path, Data: data})
		return err
	})
	if err != nil {
		return patrickapi.Tree{}, err
	}
	return patrickapi.DecodeTree(t.Encode()) // in order
}

// fetchError is permanent if the commit is at fault.
func fetchError(err error) error {
	var problem *tree.Problem
	var e *source.Error
	if errors.As(err, &problem) || errors.As(err, &e) && (e.Kind == source.Bad || e.Kind == source.TooLarge) {
		return monkey.UserError(err.Error())
	}
	return err
}

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	source "github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

func pushCommand() *cobra.Command {
	var w where
	var project, branch string
	cmd := &cobra.Command{
		Use: "push DIR", Args: cobra.ExactArgs(1), Short: "Push a local tree of a project, and print the job that builds it",
		Long:    "Pushes the files of a directory (but for .git) as one commit; symbolic links below it are refused. When the job is printed it survives: it is durable on two patricks, if there are two.",
		Example: "  tau push -s compute --project site ./site",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&project, "project", "", "the project")
	cmd.Flags().StringVar(&branch, "branch", "main", "the branch")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if project == "" {
			return errors.New("--project: expected the name of a project")
		}
		if err := patrickapi.CheckProject(project); err != nil {
			return err
		}
		if err := patrickapi.CheckName("branch", branch); err != nil {
			return err
		}
		tree, n, err := treeOf(args[0])
		if err != nil {
			return err
		}
		if !holdsProject(args[0]) {
			fmt.Fprintf(cmd.ErrOrStderr(), "tau: there is no %s here: %d files are published as they are\n", source.MonoFile, n)
		}
		sum := sha256.Sum256(tree)
		req := live.PushRequest{Project: project, Repository: project, Branch: branch, Commit: hex.EncodeToString(sum[:20]), Tree: tree}
		var resp live.PushResponse
		if err := w.ask(cmd, "push", req, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), resp.Job)
		return err
	}
	return cmd
}

// treeOf reads the files of a directory.
func treeOf(dir string) (tree []byte, n int, err error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, fmt.Errorf("there is no %s: expected the directory to push", dir)
	case err == nil && !info.IsDir():
		return nil, 0, fmt.Errorf("%s is a file: expected a directory, all of which is pushed, such as %s", dir, filepath.Dir(dir))
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, 0, err
	}
	var t patrickapi.Tree
	size := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link, which is not followed: put a copy of what it leads to in its place", path)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no regular file", path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if size += len(data); size > patrickapi.TreeLenMax {
			return fmt.Errorf("%s has more than %d MiB, which is as much as is pushed by hand: keep it in a repository, of which %d MiB are built (tau auth repository add)", dir, patrickapi.TreeLenMax>>20, monkey.FetchedLenMax>>20)
		}
		name, err := filepath.Rel(dir, path)
		t.Files = append(t.Files, patrickapi.File{Path: filepath.ToSlash(name), Data: data})
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if len(t.Files) == 0 {
		return nil, 0, fmt.Errorf("%s has no files", dir)
	}
	raw := t.Encode()
	_, err = patrickapi.DecodeTree(raw)
	return raw, len(t.Files), err
}

// holdsProject reports whether a directory is that of a project, or of a part of one.
func holdsProject(dir string) bool {
	for _, name := range []string{source.MonoFile, source.RepositoryFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// firstLine is the beginning of a text of several lines, for a table.
func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " ..."
	}
	return line
}

func jobsCommand() *cobra.Command {
	var w where
	var project string
	cmd := &cobra.Command{Use: "jobs [JOB]", Args: cobra.MaximumNArgs(1), Short: "The newest jobs, or one of them",
		Example: "  tau jobs -s compute --project site\n  tau jobs -s compute --node two --json"}
	w.reading(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&project, "project", "", "of one project")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := live.JobsRequest{Project: project}
		if len(args) > 0 {
			if req.Job = args[0]; !patrickapi.IsJobID(req.Job) {
				return noJob(req.Job)
			}
		}
		var list []live.Job
		if err := w.ask(cmd, "jobs", nil, req, &list); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		lines := [][]string{{"JOB", "PROJECT", "BRANCH", "STATUS", "ATTEMPTS", "ACCEPTED", "ERROR"}}
		for _, j := range list {
			lines = append(lines, []string{j.Job, j.Project, j.Branch, j.Status, fmt.Sprint(j.Attempts), j.Accepted.Format(time.DateTime), firstLine(j.Error)})
		}
		table(cmd.OutOrStdout(), lines...)
		return nil
	}
	return cmd
}

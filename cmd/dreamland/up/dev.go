package up

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
)

const (
	// lookEvery is how often a folder is looked at, quiet how long it must not have changed before it is pushed: an editor saves in steps.
	lookEvery = 250 * time.Millisecond
	quiet     = 300 * time.Millisecond
	// watchedMax bounds the files that are looked at.
	watchedMax = 20000
)

func devCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev DIR", Args: cobra.ExactArgs(1), Short: "Deploy a folder, and again whenever something in it is saved",
		Long:    "Does what dreamland push does, at once and after each change, until it is interrupted. A build that fails is shown, and the next change is waited for. With --json each push is one line.",
		Example: "  dreamland dev ./site",
	}
	f := &pushFlags{asking: newAsking(tools, cmd)}
	f.flags(cmd)
	f.onSnapshots(cmd, func(ctx context.Context, s *snapshots) error { return fail(cmd, tools, f.watch(ctx, cmd, s)) })
	return cmd
}

// watch pushes whenever the folder has changed, until ctx ends.
func (f *pushFlags) watch(ctx context.Context, cmd *cobra.Command, s *snapshots) error {
	out := cmd.OutOrStdout()
	for pushed, first := uint64(0), true; ; first = false {
		is, err := settled(ctx, s.dir, pushed, first)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		pushed = is
		if f.json {
			p, err := s.push(ctx, io.Discard)
			if err != nil && ctx.Err() == nil {
				p.Log = append(p.Log, err.Error())
			}
			if err := f.tools.JSON(out, p); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(out, "%s  %s has changed: it is pushed\n", time.Now().Format(time.TimeOnly), s.dir)
		if _, err := s.push(ctx, out); err != nil && ctx.Err() == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "dreamland: %v\n", err)
		}
	}
}

// settled waits until the folder is other than it was, and has been the same for a moment.
func settled(ctx context.Context, dir string, was uint64, first bool) (is uint64, err error) {
	if is, err = looksOf(dir); err != nil || first {
		return is, err
	}
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return is, nil
		case <-time.After(lookEvery):
		}
		now, err := looksOf(dir)
		if err != nil {
			return is, err
		}
		switch {
		case now != is:
			is, since = now, time.Now()
		case is != was && time.Since(since) >= quiet:
			return is, nil
		}
	}
}

// looksOf is a sum over the names, sizes and times of the files of a folder, but for those of its repository.
func looksOf(dir string) (uint64, error) {
	sum, n := fnv.New64a(), 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it is being written
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		if n++; n > watchedMax {
			return fmt.Errorf("%s has more than %d files: watch the part of it that is the project", dir, watchedMax)
		}
		if info, err := d.Info(); err == nil {
			fmt.Fprintf(sum, "%s\x00%d\x00%d\x00%s\x00", path, info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
		return nil
	})
	return sum.Sum64(), err
}

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/taucloud/tau/cmd/tau/child"
)

// Bare runs jobs as they are, with the rights of the node, in a directory below Dir: it is for those who trust whoever pushes. Only time,
// output and result are bounded.
type Bare struct{ Dir string }

// Backend says in a word what keeps runs apart.
func (Bare) Backend() string { return "NO sandbox" }

// Apart says in whole what keeps runs apart.
func (Bare) Apart() string {
	return "NONE: builds run with the rights of the node (--allow-unsandboxed-builds)"
}

// Run runs a job and returns its result; see [Sandbox.Run].
func (b Bare) Run(ctx context.Context, j Job) (result []byte, err error) {
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.Dir, "run-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = removeAll(dir) }()
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	build, left := filepath.Join(dir, "build"), filepath.Join(dir, "result")
	if err := os.Mkdir(build, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, j.Limits.Within, fault("it took longer than %s", j.Limits.Within))
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "set -e\ntar -C \"$BUILD\" -ixf -\ncd \"$BUILD/$0\"\nexec </dev/null\n"+j.Script, filepath.Join(".", j.Folder))
	cmd.Dir = dir
	cmd.Env = environment(j, os.Getenv("PATH"), build, left, func(m Mount) string { return m.From })
	child.OwnGroup(cmd)
	cmd.WaitDelay = 2 * time.Second
	lines := &lines{room: j.Limits.Output, line: masking(j.Line, j.Secrets), over: func() { end(fault("it said more than %d bytes", j.Limits.Output)) }}
	said := &masker{to: lines, secrets: secretsOf(j.Secrets)}
	cmd.Stdout, cmd.Stderr = said, said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := child.KeepOwn(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	_ = feed(in, j.Base, j.Files) // if nobody takes it, the run ends with an error of its own
	_ = in.Close()
	err = cmd.Wait()
	said.end()
	lines.end()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return nil, fault("it ended with exit code %d", exit.ExitCode())
	case err != nil:
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return readResult(dir, j.Limits.Result)
}

// readResult reads the result if it is a plain file.
func readResult(dir string, most int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Lstat("result"); err != nil || !info.Mode().IsRegular() {
		return nil, fault("the build has left no result")
	}
	f, err := root.Open("result")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if int64(len(raw)) > most {
		return nil, fault("what it made has more than %d bytes", most)
	}
	return raw, err
}

// removeAll removes a directory with all that is in it, also what was made unwritable.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

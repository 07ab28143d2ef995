package dreamland

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// watchInterval is the real time between two looks at files.
const watchInterval = 200 * time.Millisecond

// watcher makes a command again whenever a file that it reads has been written.
type watcher struct {
	files  []string
	args   []string
	stderr io.Writer
}

// watch is dreamland sim without --watch, again and again.
func watch(cmd *cobra.Command, files []string) error {
	if slices.Contains(files, "-") {
		return errors.New("--watch: expected files")
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return strings.HasPrefix(arg, "--watch") })
	return (&watcher{files: files, args: args, stderr: cmd.ErrOrStderr()}).watch()
}

// watch runs this program with args, which do not watch, again and again, until
// somebody interrupts it. A run that is under way when a file changes is ended.
func (w *watcher) watch() error {
	ctx, done := interruptible()
	defer done()
	for {
		was := w.look()
		over, err := w.once(ctx, was)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if over {
			fmt.Fprintln(w.stderr, "waiting for a change; Ctrl-C ends")
		}
		for over && slices.Equal(was, w.look()) {
			if !sleep(ctx, watchInterval) {
				return nil
			}
		}
	}
}

// once makes one run. over: it came to its end before a file changed.
func (w *watcher) once(ctx context.Context, was []string) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, self(), w.args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it clears up
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr                            // a terminal may be asked how wide it is
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return false, err
			}
			return ctx.Err() == nil, nil
		case <-time.After(watchInterval):
			if !slices.Equal(was, w.look()) {
				cancel()
			}
		}
	}
}

// look is what the files are like: when they were written, and how long they are.
func (w *watcher) look() (states []string) {
	for _, file := range w.files {
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist): // editors rename
			states = append(states, "gone")
		case err != nil:
			states = append(states, err.Error())
		default:
			states = append(states, fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size()))
		}
	}
	return states
}

// sleep reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

package dreamland

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// exitInterrupted is the status of a command that was interrupted before it failed,
// as shells have it for SIGINT.
const exitInterrupted = 130

// interrupts is what a process does when it is asked to end: it removes its
// temporary directories and ends other programs that it runs, and lets a command that
// wants to come to an end by itself do so, unless it is asked twice.
var interrupts struct {
	mu     sync.Mutex
	temps  map[string]bool
	groups map[*exec.Cmd]bool
	traces map[string]*tracing
	cancel context.CancelFunc // of the command that ends by itself, nil: none
}

// watchInterrupts begins to listen. A worker does not: who is asked is its parent,
// and it ends with it.
func watchInterrupts() {
	if os.Getenv(workerEnv) != "" {
		signal.Ignore(os.Interrupt)
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for range asked {
			if !endGently() {
				endNow()
				os.Exit(exitInterrupted)
			}
		}
	}()
}

// endGently reports whether a command will end by itself.
func endGently() bool {
	interrupts.mu.Lock()
	defer interrupts.mu.Unlock()
	cancel := interrupts.cancel
	interrupts.cancel = nil
	if cancel != nil {
		cancel()
	}
	return cancel != nil
}

// interruptible returns a context that is cancelled when the process is asked to end,
// until done is called.
func interruptible() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	interrupts.mu.Lock()
	defer interrupts.mu.Unlock()
	interrupts.cancel = cancel
	return ctx, func() {
		interrupts.mu.Lock()
		defer interrupts.mu.Unlock()
		interrupts.cancel = nil
		cancel()
	}
}

// startGroup starts a process in a group of its own: when ctx ends, or this process
// is asked to end at once, all that it has started ends with it.
func startGroup(cmd *exec.Cmd) (ended func(), err error) {
	interrupts.mu.Lock()
	defer interrupts.mu.Unlock()
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if interrupts.groups == nil {
		interrupts.groups = map[*exec.Cmd]bool{}
	}
	interrupts.groups[cmd] = true
	return func() {
		interrupts.mu.Lock()
		defer interrupts.mu.Unlock()
		delete(interrupts.groups, cmd)
	}, nil
}

// outputOf runs a process in a group of its own and returns what it has printed.
func outputOf(cmd *exec.Cmd) (stdout, stderr []byte, err error) {
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	ended, err := startGroup(cmd)
	if err != nil {
		return nil, nil, err
	}
	defer ended()
	err = cmd.Wait()
	return out.Bytes(), complaints.Bytes(), err
}

// tempDir makes a directory that is gone when remove is called or the process is
// asked to end, and, however the process ends, when the next one begins.
func tempDir(kind string) (dir string, remove func(), err error) {
	interrupts.mu.Lock()
	defer interrupts.mu.Unlock()
	if dir, err = os.MkdirTemp("", tempPrefix+kind+"-"); err != nil {
		return "", nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		_ = os.RemoveAll(dir) // the error says more
		return "", nil, err
	}
	if interrupts.temps == nil {
		interrupts.temps = map[string]bool{}
	}
	interrupts.temps[dir] = true
	return dir, func() {
		interrupts.mu.Lock()
		defer interrupts.mu.Unlock()
		delete(interrupts.temps, dir)
		_ = os.RemoveAll(dir) // what stays is in the place for such things
		unlock()
	}, nil
}

// tracing is a worker that writes a trace for somebody.
type tracing struct {
	worker *exec.Cmd
	ended  chan struct{} // closed when it has
}

// traceOf makes sure that the trace of a worker that has started ends with a whole line if this
// process is asked to end before the worker has.
func traceOf(name string, worker *exec.Cmd) (ended func()) {
	interrupts.mu.Lock()
	defer interrupts.mu.Unlock()
	if interrupts.traces == nil {
		interrupts.traces = map[string]*tracing{}
	}
	t := &tracing{worker, make(chan struct{})}
	interrupts.traces[name] = t
	return func() {
		close(t.ended) // before the lock, which endNow never gives back
		interrupts.mu.Lock()
		defer interrupts.mu.Unlock()
		delete(interrupts.traces, name)
	}
}

// traceWait is how long a worker that was killed may take to be gone, in real time.
const traceWait = 2 * time.Second

// cutShort ends the worker, and cuts its trace off after the last whole line.
func (t *tracing) cutShort(name string, stderr io.Writer) {
	_ = t.worker.Process.Kill() // it may have ended
	select {
	case <-t.ended:
	case <-time.After(traceWait):
	}
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return
	}
	if err := trimTrace(name); err != nil {
		fmt.Fprintf(stderr, "dreamland: interrupted: the trace %s is not complete: %v\n", name, err)
		return
	}
	fmt.Fprintf(stderr, "dreamland: interrupted: the trace %s is not complete, it ends where the run was\n", name)
}

// endNow ends what was started and removes what was written.
func endNow() {
	interrupts.mu.Lock() // for good: nobody makes another one
	for cmd := range interrupts.groups {
		_ = killGroup(cmd) // it may have ended
	}
	for name, t := range interrupts.traces {
		if !inTemp(name) {
			t.cutShort(name, os.Stderr)
		}
	}
	for dir := range interrupts.temps {
		_ = os.RemoveAll(dir)
	}
}

// inTemp reports whether a file is in a directory that goes with this process. The caller
// holds the lock.
func inTemp(name string) bool {
	return interrupts.temps[filepath.Dir(name)]
}

package dreamland

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
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

// endNow ends what was started and removes what was written.
func endNow() {
	interrupts.mu.Lock() // for good: nobody makes another one
	for cmd := range interrupts.groups {
		_ = killGroup(cmd) // it may have ended
	}
	for dir := range interrupts.temps {
		_ = os.RemoveAll(dir)
	}
}

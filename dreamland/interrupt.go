package dreamland

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// exitInterrupted is the status of a command that was interrupted before it failed,
// as shells have it for SIGINT.
const exitInterrupted = 130

// interrupts is what a process does when it is asked to end: it removes its
// temporary directories, and lets a command that wants to come to an end by itself do
// so, unless it is asked twice.
var interrupts struct {
	mu     sync.Mutex
	temps  map[string]bool
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
				removeTemps()
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

// tempDir makes a directory that is gone when remove is called or the process is
// asked to end.
func tempDir(pattern string) (dir string, remove func(), err error) {
	interrupts.mu.Lock()
	defer interrupts.mu.Unlock()
	if dir, err = os.MkdirTemp("", pattern); err != nil {
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
	}, nil
}

func removeTemps() {
	interrupts.mu.Lock() // for good: nobody makes another one
	for dir := range interrupts.temps {
		_ = os.RemoveAll(dir)
	}
}

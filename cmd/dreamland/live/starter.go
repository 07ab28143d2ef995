package live

import (
	"os/exec"
	"runtime"
)

// starter starts processes on a thread of its own, which lives as long as this process: where the system ends a child with the
// thread that has started it, a child then ends with this process, however that ends, also while it is stopped.
type starter struct {
	asked chan startRequest
}

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

func newStarter() *starter {
	s := &starter{asked: make(chan startRequest)}
	go func() {
		runtime.LockOSThread()
		for r := range s.asked {
			r.done <- r.cmd.Start()
		}
		// The thread ends with this goroutine; nobody is left by then.
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	ownGroup(cmd)
	r := startRequest{cmd, make(chan error)}
	s.asked <- r
	return <-r.done
}

func (s *starter) close() { close(s.asked) }

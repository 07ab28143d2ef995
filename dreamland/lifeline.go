package dreamland

import (
	"io"
	"os"
	"os/exec"
)

// workerEnv marks a process as the worker of another one.
const workerEnv = "DREAMLAND_WORKER"

// tie makes a worker end with this process, however this process ends: the
// worker's input is a pipe that nobody writes to and that the system closes.
func tie(worker *exec.Cmd) error {
	worker.Env = append(worker.Env, workerEnv+"=1")
	_, err := worker.StdinPipe()
	return err
}

// followParent ends a worker when its parent is gone.
func followParent() {
	if os.Getenv(workerEnv) == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends in any case
		os.Exit(exitBad)
	}()
}

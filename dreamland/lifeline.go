package dreamland

import (
	"io"
	"os"
	"os/exec"
)

// workerEnv marks a process as the worker of another one: poolWorker if it is asked
// for runs on its stdin, anything else if its stdin only tells when to end.
const (
	workerEnv  = "DREAMLAND_WORKER"
	poolWorker = "pool"
)

// tie makes a worker end with this process, however this process ends: the
// worker's input is a pipe that nobody writes to and that the system closes.
func tie(worker *exec.Cmd) error {
	worker.Env = append(worker.Env, workerEnv+"=1")
	_, err := worker.StdinPipe()
	return err
}

// followParent ends a worker when its parent is gone.
func followParent() {
	if role := os.Getenv(workerEnv); role == "" || role == poolWorker {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends in any case
		os.Exit(exitBad)
	}()
}

package dreamland

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	simworld "github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/report"
)

// A single run is made by a worker, too: a panic on a goroutine of a library ends
// its process, and somebody has to be left to tell.

// progressEnv tells a worker that its fourth file wants to know how far it is.
const progressEnv = "DREAMLAND_PROGRESS"

// supervised makes a run in a worker and tells reported, unless it is nil, how far
// it is. An error is what the worker complained about instead of making the run.
func supervised(j job, reported func(time.Duration, uint64)) (report.Result, error) {
	var extra []string
	if j.trace != "" {
		extra = []string{"--trace", j.trace}
	}
	cmd := j.command(0, extra...)
	if reported != nil {
		read, write, err := os.Pipe()
		if err != nil {
			return report.Result{}, err
		}
		defer read.Close()
		defer write.Close()
		cmd.ExtraFiles = []*os.File{write}
		cmd.Env = append(cmd.Env, progressEnv+"=1")
		go passOn(read, reported)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := tie(cmd)
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		traced := func() {}
		if j.trace != "" {
			traced = traceOf(j.trace, cmd)
		}
		if j.timeout > 0 {
			defer time.AfterFunc(j.timeout, func() { _ = cmd.Process.Kill() }).Stop()
		}
		err = cmd.Wait()
		traced()
	}
	if bad, found := strings.CutPrefix(stderr.String(), complaint); found && cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitBad && breakdownOf(bad) == nil {
		return report.Result{}, errors.New(strings.TrimSpace(bad))
	}
	return j.result(stdout.Bytes(), stderr.Bytes(), err), nil
}

// passOn reads what reportProgress writes.
func passOn(from io.Reader, reported func(time.Duration, uint64)) {
	var record [2]uint64
	for binary.Read(from, binary.LittleEndian, &record) == nil {
		reported(time.Duration(record[0]), record[1])
	}
}

// reportProgress is what a worker whose parent wants to know calls now and then,
// nil otherwise.
func reportProgress() func(time.Duration, uint64) {
	if os.Getenv(progressEnv) == "" {
		return nil
	}
	to := os.NewFile(3, "progress")
	return func(virtual time.Duration, events uint64) {
		_ = binary.Write(to, binary.LittleEndian, [2]uint64{uint64(virtual), events})
	}
}

// breakdownOf finds the panic in what a worker has left on its way out, nil if
// there is none.
func breakdownOf(stderr string) *report.Breakdown {
	for _, mark := range []string{"panic: ", "fatal error: "} {
		at := strings.Index("\n"+stderr, "\n"+mark)
		if at < 0 {
			continue
		}
		text := stderr[at:]
		what, _, _ := strings.Cut(text, "\n")
		return &report.Breakdown{Kind: simworld.BrokenByPanic, Task: "a goroutine of a library", What: strings.TrimPrefix(what, mark), Stack: simworld.OwnFrames(text)}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/taucloud/tau/scenarios/mutation/mutant"
)

// command is one process in which code is tried.
type command struct {
	binary string
	dir    string
	args   []string
	env    []string
}

// outcome is how a process ended.
type outcome struct {
	passed  bool
	why     string        // it did not: what noticed, in a few words
	endless bool          // it was ended by a limit of time
	cpu     time.Duration // of all its threads
	wall    time.Duration
}

// limits end a process that would go on for ever; zero is no limit.
type limits struct {
	cpu, wall time.Duration
	memory    int64 // bytes
}

// run executes a command with variables added to its environment.
func (c command) run(ctx context.Context, l limits, env ...string) (outcome, error) {
	if l.wall > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.wall)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, c.binary, c.args...)
	cmd.Dir = c.dir
	cmd.Env = append(append(os.Environ(), c.env...), env...)
	cmd.Env = append(cmd.Env, variable(mutant.EnvCPU, int64(l.cpu/time.Second)), variable(mutant.EnvMemory, l.memory))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out := &tail{max: 256 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	began := time.Now()
	err := cmd.Run()
	o := outcome{passed: err == nil, wall: time.Since(began)}
	if cmd.ProcessState != nil {
		o.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		return o, fmt.Errorf("%s: %w", c.binary, err)
	}
	o.endless = !o.passed && (l.wall > 0 && o.wall >= l.wall || l.cpu > 0 && o.cpu >= l.cpu-time.Second)
	switch {
	case o.passed:
	case o.endless:
		o.why = fmt.Sprintf("no end: %s of processor time in %s", o.cpu.Round(time.Second), o.wall.Round(time.Second))
	default:
		o.why = reason(out.kept.Bytes(), cmd.ProcessState)
	}
	return o, nil
}

func variable(name string, value int64) string {
	if value == 0 {
		return name + "="
	}
	return name + "=" + strconv.FormatInt(value, 10)
}

// tail keeps the beginning of what is written.
type tail struct {
	kept bytes.Buffer // not embedded: its ReadFrom would take all
	max  int
}

func (t *tail) Write(p []byte) (int, error) {
	if room := t.max - t.kept.Len(); room > 0 {
		t.kept.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (t *tail) String() string { return t.kept.String() }

// reasons are what a failing process says, most telling first.
var reasons = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`),
	regexp.MustCompile(`(?m)^\s*FAILED\s+(?:always|after-heal|report)?\s*(\S+)`),
	regexp.MustCompile(`(?m)^((?:panic|fatal error): .{1,80})`),
}

func reason(text []byte, state *os.ProcessState) string {
	for _, r := range reasons {
		if found := r.FindSubmatch(text); found != nil {
			return string(found[1])
		}
	}
	last, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return strings.TrimSpace(fmt.Sprint(state, " ", last))
}

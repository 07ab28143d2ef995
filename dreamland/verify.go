package dreamland

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/taucloud/tau/sim/report"
)

// contextLines is how many events are shown before and after the first one that
// differs.
const contextLines = 6

// endOfTrace stands where a trace has no more lines.
const endOfTrace = "(the trace ends)"

// runTwice makes a run in two processes at once, which have different numbers
// of threads, and compares their traces while they run.
func runTwice(j job) report.Result {
	first, err := startTraced(j, 1)
	if err != nil {
		return j.result(nil, []byte(err.Error()), err)
	}
	second, err := startTraced(j, 4)
	if err != nil {
		first.kill()
		return j.result(nil, []byte(err.Error()), err)
	}
	trace, err := openTrace(j.trace)
	if err != nil {
		first.kill()
		second.kill()
		return j.result(nil, []byte(err.Error()), err)
	}
	var copied io.Writer = io.Discard
	if trace != nil {
		copied = trace
	}
	difference, events := compare(first.trace, second.trace, copied)
	if trace != nil {
		err = trace.close()
	}
	if difference != "" {
		first.kill()
		second.kill()
	}
	result, other := first.wait(), second.wait()
	verdict := report.Expectation{Name: "same-digest-twice", When: "verify", Held: true, Detail: fmt.Sprintf("%d lines of trace are equal", events)}
	switch {
	case difference != "":
		result = j.result(nil, nil, errors.New("stop: the other run differs"))
		result.Expectations = nil
		verdict.Held, verdict.Detail = false, difference
	case err != nil:
		verdict.Held, verdict.Detail = false, fmt.Sprintf("--trace: %v", err)
	case result.Digest != other.Digest:
		verdict.Held, verdict.Detail = false, fmt.Sprintf("equal traces, but digests %s and %s", result.Digest, other.Digest)
	}
	result.Expectations = append(result.Expectations, verdict)
	result.Judge()
	return result
}

// traced is a worker whose trace is read while it runs.
type traced struct {
	job            job
	cmd            *exec.Cmd
	trace          *bufio.Reader
	pipe           *os.File
	stdout, stderr bytes.Buffer
	killed         bool
}

func startTraced(j job, threads int) (*traced, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &traced{job: j, cmd: j.command(threads, "--trace", "/dev/fd/3"), trace: bufio.NewReaderSize(read, 1<<20), pipe: read}
	t.cmd.Stdout, t.cmd.Stderr = &t.stdout, &t.stderr
	t.cmd.ExtraFiles = []*os.File{write}
	if err = tie(t.cmd); err == nil {
		err = t.cmd.Start()
	}
	_ = write.Close() // the worker has its own
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	return t, nil
}

func (t *traced) kill() {
	t.killed = true
	_ = t.cmd.Process.Kill() // it may have ended already
}

func (t *traced) wait() report.Result {
	err := t.cmd.Wait()
	_ = t.pipe.Close()
	return t.job.result(t.stdout.Bytes(), t.stderr.Bytes(), err)
}

// compare reads two traces to their ends, copies the first, and describes the
// first line that differs; "" if there is none.
func compare(a, b *bufio.Reader, copied io.Writer) (difference string, lines int) {
	var before []string
	for {
		lineA, endA := a.ReadString('\n')
		lineB, endB := b.ReadString('\n')
		if lineA != lineB {
			return describe(before, lines+1, lineA, lineB, a, b), lines
		}
		if endA != nil || endB != nil {
			return "", lines
		}
		lines++
		_, _ = io.WriteString(copied, lineA) // its buffer keeps the error
		if before = append(before, lineA); len(before) > contextLines {
			before = before[1:]
		}
	}
}

func describe(before []string, number int, lineA, lineB string, a, b *bufio.Reader) string {
	var out strings.Builder
	fmt.Fprintf(&out, "the runs differ from line %d of the trace on\n", number)
	for i, line := range before {
		fmt.Fprintf(&out, "  both   %d %s", number-len(before)+i, line)
	}
	for _, side := range []struct {
		name, line string
		rest       *bufio.Reader
	}{{"first ", lineA, a}, {"second", lineB, b}} {
		line := side.line
		for i := range contextLines {
			if line == "" {
				fmt.Fprintf(&out, "  %s %d %s\n", side.name, number+i, endOfTrace)
				break
			}
			fmt.Fprintf(&out, "  %s %d %s\n", side.name, number+i, strings.TrimSuffix(line, "\n"))
			line, _ = side.rest.ReadString('\n') // "" at the end
		}
	}
	return strings.TrimSuffix(out.String(), "\n")
}

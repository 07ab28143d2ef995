package dreamland

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/taucloud/tau/sim/report"
)

// inParallel makes jobs with at most n at once. each is called with the results
// in the order of the jobs; its first error ends everything: the workers under
// way end with this process.
func inParallel(jobs []job, n int, do func(job) report.Result, each func(report.Result) error) error {
	results := make([]report.Result, len(jobs))
	ready := make([]chan struct{}, len(jobs))
	for i := range ready {
		ready[i] = make(chan struct{})
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, len(jobs)) {
		workers.Go(func() {
			for i := range next {
				results[i] = do(jobs[i])
				close(ready[i])
			}
		})
	}
	go func() {
		for i := range jobs {
			next <- i
		}
		close(next)
	}()
	for i := range jobs {
		<-ready[i]
		if err := each(results[i]); err != nil {
			return err
		}
	}
	workers.Wait()
	return nil
}

// command is a process of this program that makes one run. threads is its
// GOMAXPROCS; 0 leaves that to the environment or else to the process (tuneRuntime).
func (j job) command(threads int, extra ...string) *exec.Cmd {
	args := append([]string{"sim", j.scenario.File, "--seed", strconv.FormatUint(j.seed, 10), "--wire", j.wire, "--json", "--quiet"}, extra...)
	if j.strict {
		args = append(args, "--strict")
	}
	if j.stall != 0 {
		args = append(args, "--stall", j.stall.String())
	}
	if j.perturb != 0 {
		args = append(args, "--perturb", strconv.FormatUint(j.perturb, 10))
	}
	cmd := exec.Command(self(), args...)
	cmd.Env = os.Environ()
	if threads != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", threads))
	}
	if j.gogc != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOGC=%d", j.gogc))
	}
	return cmd
}

// self is the file of this program.
func self() string {
	file, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return file
}

// runInWorker makes a run in a process of its own.
func runInWorker(j job) report.Result {
	r, err := supervised(j, nil)
	if err != nil {
		return j.result(nil, []byte(err.Error()), err)
	}
	return r
}

// result reads what a worker printed. A worker that ended in any other way than
// with a result is a run that failed.
func (j job) result(stdout, stderr []byte, err error) report.Result {
	var r report.Result
	if jsonErr := json.Unmarshal(stdout, &r); jsonErr == nil && r.Verdict != "" {
		return r
	}
	if err == nil {
		err = fmt.Errorf("no result")
	}
	if j.trace != "" {
		_ = trimTrace(j.trace) // it is evidence; that there is none is said by its reader
	}
	r = report.Result{
		Scenario: j.scenario.Name, Seed: j.seed, Wire: j.wire, Verdict: report.Failed, Figures: map[string]float64{}, Faults: []report.Fault{},
		Replay: fmt.Sprintf("%s sim %s --seed %d --wire %s", words.command(), j.scenario.File, j.seed, j.wire),
		Expectations: []report.Expectation{{
			Name: "no-unexpected-errors", When: "always", Detail: fmt.Sprintf("the worker ended with %v: %s", err, head(stderr)),
		}},
	}
	r.Revision = readVersion().revision()
	if b := breakdownOf(string(stderr)); b != nil {
		r.Breakdown = b
		r.Expectations[0].Detail = strings.Join(append([]string{b.Kind + " in " + b.Task + ": " + b.What}, b.Stack...), "\n\t")
	}
	return r
}

// headLines is how much of what a worker complained about is shown.
const headLines = 20

func head(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[:min(len(lines), headLines)], "\n")
}

package dreamland

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// runsMax bounds --runs of determinism.
const runsMax = 100_000

// What a run must not depend on, besides its wire and its perturbation. The two
// lengths have no common divisor, so that twelve runs have all combinations.
var (
	threadCounts = []int{1, 2, 4, 8}
	heapGrowths  = []int{heapGrowth, 100, 20} // GOGC
)

// determinismFlags are the flags of dreamland determinism.
type determinismFlags struct {
	runs, jobs, load int
	seed             uint64
	seedSet          bool
}

func determinismCommand() *cobra.Command {
	f := &determinismFlags{}
	cmd := &cobra.Command{
		Use:   "determinism FILE...",
		Short: "Run scenarios again and again under changing conditions and compare every event",
		Long: `Runs each scenario once for reference, and then again and again on both wires, with
1 to 8 threads, with a garbage collector that is lazy or busy, with other work on
the processors, and with its goroutines disturbed at random wherever the order of
two of them must not matter. Every event of every run is compared with the
reference while it happens; the first one that differs is shown with its context.

Exit status: 0 all runs were equal, 1 one was not, 2 bad input.`,
		Example: `  dreamland determinism scenarios/rolling-restart.yaml
  dreamland determinism scenarios/*.yaml --runs 50 --load 4`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			f.seedSet = cmd.Flags().Changed("seed")
			if err := f.check(); err != nil {
				return err
			}
			return determinism(f, files, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: yamlFiles,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&f.runs, "runs", 20, "how often to run each scenario on each wire")
	flags.IntVar(&f.jobs, "jobs", runtime.NumCPU(), "how many worker processes at once")
	flags.IntVar(&f.load, "load", runtime.NumCPU(), "how many threads keep the processors busy beside the runs")
	flags.Uint64Var(&f.seed, "seed", 0, "draw from this seed instead of the file's")
	return cmd
}

func (f *determinismFlags) check() error {
	switch {
	case f.runs < 1 || f.runs > runsMax:
		return fmt.Errorf("--runs %d: expected 1 to %d", f.runs, runsMax)
	case f.jobs < 1 || f.jobs > 1024:
		return fmt.Errorf("--jobs %d: expected 1 to 1024", f.jobs)
	case f.load < 0 || f.load > 1024:
		return fmt.Errorf("--load %d: expected 0 to 1024", f.load)
	}
	return nil
}

// determinism says for each scenario whether all its runs were equal.
func determinism(f *determinismFlags, files []string, stdout, stderr io.Writer) error {
	stories, err := load(files)
	if err != nil {
		return err
	}
	dir, remove, err := tempDir("determinism")
	if err != nil {
		return err
	}
	defer remove()
	stop := occupy(f.load)
	defer stop()
	progress := newProgress(stderr, false)
	progress.start(len(stories) * 2 * f.runs)
	failed := false
	for _, s := range stories {
		equal, text, err := f.story(s, dir, progress)
		if err != nil {
			return err
		}
		failed = failed || !equal
		progress.clear()
		if _, err := fmt.Fprintln(stdout, text); err != nil {
			return err
		}
	}
	if failed {
		return errFailed
	}
	return nil
}

// story runs one scenario under all conditions.
func (f *determinismFlags) story(s *scenario.Scenario, dir string, progress *progress) (equal bool, text string, err error) {
	seed := s.Seed
	if f.seedSet {
		seed = f.seed
	}
	reference := job{scenario: s, seed: seed, wire: scenario.Direct, trace: filepath.Join(dir, "reference.jsonl")}
	want := runInWorker(reference)
	if want.Digest == "" {
		return false, fmt.Sprintf("FAILED   %-28s %s", s.Name, reference.complaint(want)), nil
	}
	var differs atomic.Bool
	var first *report.Result
	runs := 0
	err = inParallel(f.conditions(reference), f.jobs, func(j job) report.Result {
		if differs.Load() {
			return report.Result{Verdict: report.Held} // there is enough to look at
		}
		r := compareWith(reference.trace, want.Digest, j)
		if r.Verdict != report.Held {
			differs.Store(true)
		}
		return r
	}, func(r report.Result) error {
		runs++
		if r.Verdict != report.Held && first == nil {
			first = &r
		}
		progress.done(r)
		return nil
	})
	if first != nil {
		return false, fmt.Sprintf("DIFFERS  %-28s seed %d\n  %s", s.Name, seed, strings.ReplaceAll(first.Expectations[0].Detail, "\n", "\n  ")), err
	}
	return true, fmt.Sprintf("equal    %-28s seed %d  digest %.16s  %d events in each of %d runs", s.Name, seed, want.Digest, want.Events, runs), err
}

// conditions are the runs of one scenario: on both wires, and no two alike.
func (f *determinismFlags) conditions(reference job) (jobs []job) {
	for k := range f.runs {
		for _, wire := range []string{scenario.Direct, scenario.Mocknet} {
			j := reference
			j.trace, j.wire, j.perturb = "", wire, uint64(k) // the first is not perturbed
			j.threads, j.gogc = threadCounts[k%len(threadCounts)], heapGrowths[k%len(heapGrowths)]
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// compareWith makes a run and compares its trace with that of the reference, as
// it comes.
func compareWith(reference, digest string, j job) report.Result {
	file, err := os.Open(reference)
	if err != nil {
		return j.differs(err.Error())
	}
	defer func() { _ = file.Close() }() // it was only read
	run, err := startTraced(j, j.threads)
	if err != nil {
		return j.differs(err.Error())
	}
	difference, lines := compare(bufio.NewReaderSize(file, 1<<20), run.trace, io.Discard)
	if difference != "" && !strings.HasSuffix(difference, endOfTrace) {
		run.kill() // otherwise it has ended by itself and may say why
	}
	r := run.wait()
	switch {
	case difference != "" && r.Digest == "" && !run.killed:
		return j.differs(fmt.Sprintf("the run ended early, after %d lines of trace: %s", lines, j.complaint(r)))
	case difference != "":
		return j.differs(difference)
	case r.Digest != digest:
		return j.differs(fmt.Sprintf("equal traces, but digests %s and %s: %s", digest, r.Digest, j.complaint(r)))
	}
	return report.Result{Scenario: r.Scenario, Verdict: report.Held}
}

// differs is the result of a run that was not as the reference.
func (j job) differs(how string) report.Result {
	r := j.result(nil, nil, errors.New("stop"))
	r.Expectations[0].Detail = fmt.Sprintf("first: direct; second: %s\n%s", j, how)
	return r
}

// complaint is why a worker has no result.
func (j job) complaint(r report.Result) string {
	for _, e := range r.Expectations {
		if !e.Held {
			return e.Detail
		}
	}
	return "no reason given"
}

// String is the command that makes the run again.
func (j job) String() string {
	text := fmt.Sprintf("%s sim %s --seed %d --wire %s", words.command(), j.scenario.File, j.seed, j.wire)
	if j.perturb != 0 {
		text += " --perturb " + strconv.FormatUint(j.perturb, 10)
	}
	if j.gogc != 0 {
		text = "GOGC=" + strconv.Itoa(j.gogc) + " " + text
	}
	if j.threads != 0 {
		text = "GOMAXPROCS=" + strconv.Itoa(j.threads) + " " + text
	}
	return text
}

// occupy keeps threads busy until stop is called.
func occupy(threads int) (stop func()) {
	var over atomic.Bool
	for range threads {
		go func() {
			for x := uint64(1); !over.Load(); x ^= x << 13 {
				x ^= x >> 7
			}
		}()
	}
	return func() { over.Store(true) }
}

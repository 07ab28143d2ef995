package dreamland

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// seedsMax bounds --seeds.
const seedsMax = 1_000_000

// simFlags are the flags of dreamland sim.
type simFlags struct {
	seed    seedValue
	seeds   int
	jobs    int
	wire    string
	verify  bool
	strict  bool
	trace   string
	profile string
	heap    string
	perturb uint64
	keep    string
	explain string
	stall   time.Duration
	json    bool
	quiet   bool
}

func simCommand() *cobra.Command {
	f := &simFlags{}
	cmd := &cobra.Command{
		Use:   "sim FILE...",
		Short: "Run scenarios and say which expectations held",
		Long: `Runs each scenario: first the timeline with its faults, while what must always
hold is checked; then everything is healed, and what must hold after-heal has to
come true within a stated virtual time.

Exit status: 0 all expectations held, 1 an expectation failed, 2 bad input.`,
		Example: `  dreamland sim scenarios/monkey-lock-race.yaml
  dreamland sim scenarios/*.yaml --quiet
  dreamland sim scenarios/node-churn.yaml --seeds 200 --wire direct
  dreamland sim scenarios/node-churn.yaml --seed 7 --trace trace.jsonl
  dreamland sim scenarios/node-churn.yaml --verify`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := f.check(len(files)); err != nil {
				return err
			}
			if cmd.Flags().Changed("keep") && f.keep == "" {
				return errors.New("--keep: expected the name of a directory")
			}
			return sim(f, files, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: yamlFiles,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(&f.seed, "seed", "draw from this seed instead of the file's")
	flags.IntVar(&f.seeds, "seeds", 1, "run this many seeds, counting up, in worker processes")
	flags.IntVar(&f.jobs, "jobs", runtime.NumCPU(), "how many worker processes at once")
	flags.StringVar(&f.wire, "wire", "", "mocknet (libp2p) or direct (in memory) instead of the file's; the digest is the same")
	flags.BoolVar(&f.verify, "verify", false, "run twice, on 1 and on 4 threads, and show the first event that differs")
	flags.BoolVar(&f.strict, "strict", false, "an expectation for which nothing was judged fails, too")
	flags.StringVar(&f.trace, "trace", "", "write one JSON line per event to this file")
	flags.StringVar(&f.explain, "explain", "", "tell the story of an object, --explain=ID, or without an id of that which one failed run is about, and what it comes to without each of a few faults")
	flags.Lookup("explain").NoOptDefVal = explainAuto
	flags.StringVar(&f.keep, "keep", "", "write runs that fail to this directory, one for each cause: scenarios with everything drawn, checked to fail of the same by themselves")
	flags.BoolVar(&f.json, "json", false, "print one JSON object per run, each on one line")
	flags.BoolVar(&f.quiet, "quiet", false, "print one line per scenario, and what failed")
	flags.StringVar(&f.profile, "profile", "", "write a CPU profile of one run to this file")
	must(flags.MarkHidden("profile"))
	flags.StringVar(&f.heap, "heap-profile", "", "write a profile of the largest heap of one run to this file")
	must(flags.MarkHidden("heap-profile"))
	flags.Uint64Var(&f.perturb, "perturb", 0, "disturb the goroutines of one run in real time, in a way drawn from this number; the digest is the same")
	must(flags.MarkHidden("perturb"))
	flags.DurationVar(&f.stall, "stall", 0, "give a run up in which nothing happens for so long in real time; default 1m")
	must(flags.MarkHidden("stall"))
	must(cmd.RegisterFlagCompletionFunc("wire", cobra.FixedCompletions([]string{scenario.Mocknet, scenario.Direct}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func (f *simFlags) check(files int) error {
	switch {
	case f.seeds < 1 || f.seeds > seedsMax:
		return fmt.Errorf("--seeds %d: expected 1 to %d", f.seeds, seedsMax)
	case f.jobs < 1 || f.jobs > 1024:
		return fmt.Errorf("--jobs %d: expected 1 to 1024", f.jobs)
	case f.wire != "" && f.wire != scenario.Mocknet && f.wire != scenario.Direct:
		return fmt.Errorf("--wire %s: expected mocknet or direct", f.wire)
	case f.explain != "" && (f.seeds > 1 || files > 1 || f.verify):
		return errors.New("--explain: one run is explained; name one file, and no --seeds and --verify")
	case f.trace != "" && (f.seeds > 1 || files > 1):
		return errors.New("--trace: one trace holds one run; name one file, and no --seeds")
	}
	return nil
}

// seedValue is a flag that may be left out.
type seedValue struct {
	seed uint64
	set  bool
}

func (v *seedValue) String() string { return "" }
func (v *seedValue) Type() string   { return "uint" }

// Set implements pflag.Value.
func (v *seedValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("a seed is a whole number from 0 to %d", uint64(math.MaxUint64))
	}
	v.seed, v.set = n, true
	return nil
}

// or is the seed, or another one if the flag was left out.
func (v *seedValue) or(other uint64) uint64 {
	if v.set {
		return v.seed
	}
	return other
}

// job is one run to be made.
type job struct {
	scenario *scenario.Scenario
	seed     uint64
	wire     string
	strict   bool
	trace    string
	perturb  uint64
	stall    time.Duration
	timeout  time.Duration // real, after which a worker is ended; 0: never
	// threads and gogc are for dreamland determinism; 0: as usual.
	threads, gogc int
}

// sim runs the files: one run in this process, more in workers, because worlds
// must not share one.
func sim(f *simFlags, files []string, stdout, stderr io.Writer) error {
	stories, err := load(files)
	if err != nil {
		return err
	}
	for _, s := range stories {
		if first := f.seed.or(s.Seed); first > math.MaxUint64-uint64(f.seeds-1) {
			return fmt.Errorf("--seeds %d: %s begins at seed %d, and the greatest is %d", f.seeds, s.File, first, uint64(math.MaxUint64))
		}
	}
	out := &output{flags: f, out: stdout}
	progress := newProgress(stderr, f.quiet || f.json)
	if len(stories) == 1 && f.seeds == 1 && !f.verify {
		result, err := f.single(f.jobsOf(stories[0])[0], progress, stdout)
		if err != nil {
			return err
		}
		if err := out.run(result); err != nil {
			return err
		}
		err = out.story(stories[0], []report.Result{result})
		if err == nil && (!f.quiet && !f.json || f.explain != "") {
			e := explainer{job: f.jobsOf(stories[0])[0], jobs: f.jobs, about: f.explain, out: stdout}
			if f.json {
				e.out = stderr
			}
			err = e.tell(&result)
		}
		return cmp.Or(err, out.verdict())
	}
	do := runInWorker
	if f.verify {
		do = runTwice
	}
	var jobs []job
	for _, s := range stories {
		jobs = append(jobs, f.jobsOf(s)...)
	}
	progress.start(len(jobs))
	var story []report.Result
	told := 0
	err = inParallel(jobs, f.jobs, do, func(r report.Result) error {
		progress.clear()
		if err := out.run(r); err != nil {
			return err
		}
		if story = append(story, r); len(story) == f.seeds { // the jobs of a story follow each other
			told++
			err := out.story(stories[told-1], story)
			story = nil
			if err != nil {
				return err
			}
		}
		progress.done(r)
		return nil
	})
	progress.clear()
	if err != nil {
		return err
	}
	return out.verdict()
}

// single makes one run: here if this process is the worker of another one, or is
// to be profiled, and in a worker otherwise.
func (f *simFlags) single(j job, progress *progress, stdout io.Writer) (report.Result, error) {
	if os.Getenv(workerEnv) != "" {
		return runHere(j, stdout, reportProgress())
	}
	t, err := openTrace(j.trace)
	if err != nil { // a bad name is bad input, not a run that failed
		return report.Result{}, err
	}
	_, piped := t.(*bufferedTrace)
	if t != nil {
		_ = t.close()
	}
	reported, done := progress.watch(j.scenario.Duration)
	defer done()
	if f.profile == "" && f.heap == "" && !piped { // a worker's pipes are its own
		return supervised(j, reported)
	}
	stop, err := startProfile(f.profile)
	if err != nil {
		return report.Result{}, err
	}
	defer stop()
	stopHeap, err := startHeapProfile(f.heap)
	if err != nil {
		return report.Result{}, err
	}
	defer stopHeap()
	return runHere(j, stdout, reported)
}

// load reads all files before anything runs, and reports what is wrong with
// all of them.
func load(files []string) ([]*scenario.Scenario, error) {
	var stories []*scenario.Scenario
	var bad scenario.Errors
	for _, file := range files {
		s, err := scenario.Load(file, words.Vocabulary())
		var some scenario.Errors
		switch {
		case errors.As(err, &some):
			bad = append(bad, some...)
		case err != nil:
			return nil, err
		}
		stories = append(stories, s)
	}
	if bad != nil {
		return nil, bad
	}
	return stories, nil
}

func (f *simFlags) jobsOf(s *scenario.Scenario) []job {
	first, wire := f.seed.or(s.Seed), s.Wire
	if f.wire != "" {
		wire = f.wire
	}
	jobs := make([]job, f.seeds)
	for i := range jobs {
		jobs[i] = job{scenario: s, seed: first + uint64(i), wire: wire, strict: f.strict, trace: f.trace, perturb: f.perturb, stall: f.stall}
	}
	return jobs
}

// output prints results in the way that the flags ask for.
type output struct {
	flags  *simFlags
	out    io.Writer
	failed bool
}

// run prints one result of many as soon as its turn comes.
func (o *output) run(r report.Result) error {
	if o.flags.json {
		return writeJSON(o.out, r)
	}
	return nil
}

// story prints all results of one scenario, and keeps what failed.
func (o *output) story(s *scenario.Scenario, results []report.Result) error {
	o.print(results)
	if o.flags.keep == "" {
		return nil
	}
	k := keeper{dir: o.flags.keep, strict: o.flags.strict, out: o.out}
	if o.flags.json {
		k.out = io.Discard
	}
	return k.keep(s, results)
}

func (o *output) print(results []report.Result) {
	held := 0
	for _, r := range results {
		if r.Verdict == report.Held {
			held++
		}
	}
	o.failed = o.failed || held < len(results)
	first := &results[0]
	switch {
	case o.flags.json: // printed one by one
	case o.flags.quiet:
		o.oneLine(results, held)
	case len(results) == 1:
		first.Write(o.out)
		fmt.Fprintln(o.out)
	default:
		report.WriteSeeds(o.out, results)
		fmt.Fprintln(o.out)
	}
}

func (o *output) oneLine(results []report.Result, held int) {
	r := &results[0]
	verdict := strings.ToUpper(report.Failed)
	if held == len(results) {
		verdict = report.Held
	}
	if len(results) == 1 {
		fmt.Fprintf(o.out, "%-6s  %-28s seed %d  digest %.16s  %d events\n", verdict, r.Scenario, r.Seed, r.Digest, r.Events)
	} else {
		fmt.Fprintf(o.out, "%-6s  %-28s %d of %d seeds\n", verdict, r.Scenario, held, len(results))
	}
	if len(results) > 1 {
		report.WriteCauses(o.out, results)
		return
	}
	r.WriteFailures(o.out)
}

func (o *output) verdict() error {
	if o.failed {
		return errFailed
	}
	return nil
}

package dreamland

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
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
	many    manyFlags
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
	html    string
	stall   time.Duration
	json    bool
	quiet   bool
	watch   bool
}

func simCommand() *cobra.Command {
	f := &simFlags{}
	cmd := &cobra.Command{
		Use:   "sim FILE...",
		Short: "Run scenarios and say which expectations held",
		Long: `Runs each scenario: first the timeline with its faults, while what must always
hold is checked; then everything is healed, and what must hold after-heal has to
come true within a stated virtual time.

Exit status: 0 all expectations held, 1 an expectation failed, 2 bad input,
130 interrupted before anything failed. With --watch it is 0 in the end.`,
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
			if f.many.limit > 0 && !cmd.Flags().Changed("seeds") {
				f.seeds, f.many.open = seedsMax, true
			}
			if cmd.Flags().Changed("keep") && f.keep == "" {
				return errors.New("--keep: expected the name of a directory")
			}
			if cmd.Flags().Changed("explain") && f.explain == "" {
				return errors.New("--explain=: expected an id or the beginning of one, or nothing after --explain")
			}
			if cmd.Flags().Changed("for") && f.many.limit == 0 {
				return errors.New("--for 0s: expected more than zero")
			}
			if cmd.Flags().Changed("html") && f.html == "" {
				return errors.New("--html: expected the name of a file")
			}
			if err := f.overwrites(files); err != nil {
				return err
			}
			if err := f.writable(); err != nil {
				return err
			}
			if f.watch {
				return watch(cmd, files)
			}
			return sim(f, files, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: yamlFiles,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(&f.seed, "seed", "draw from this seed instead of the file's")
	flags.IntVar(&f.seeds, "seeds", 1, "run this many seeds, counting up, in worker processes")
	f.many.add(flags)
	flags.IntVar(&f.jobs, "jobs", runtime.NumCPU(), "how many worker processes at once")
	flags.StringVar(&f.wire, "wire", "", "mocknet (libp2p) or direct (in memory) instead of the file's; the digest is the same")
	flags.BoolVar(&f.verify, "verify", false, "run twice, on 1 and on 4 threads, and show the first event that differs")
	flags.BoolVar(&f.strict, "strict", false, "an expectation for which nothing was judged fails, too")
	flags.StringVar(&f.trace, "trace", "", "write one JSON line per event to this file")
	flags.StringVar(&f.explain, "explain", "", "tell the story of an object, --explain=ID with an id or the beginning of one, or without an id of that which one failed run is about, and what it comes to without each of a few faults")
	flags.Lookup("explain").NoOptDefVal = explainAuto
	flags.StringVar(&f.html, "html", "", "write one self-contained page of the run to this file: lanes, messages, faults, beliefs, causes")
	flags.StringVar(&f.keep, "keep", "", "write runs that fail to this directory, one for each cause: scenarios with everything drawn, checked to fail of the same by themselves")
	flags.BoolVar(&f.json, "json", false, "print one JSON object per run, each on one line")
	flags.BoolVar(&f.quiet, "quiet", false, "print one line per scenario, and what failed")
	flags.BoolVar(&f.watch, "watch", false, "run again whenever one of the files is saved, until interrupted")
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
		if first := f.seed.or(s.Seed); !f.many.open && first > math.MaxUint64-uint64(f.seeds-1) {
			return fmt.Errorf("--seeds %d: %s begins at seed %d, and the greatest is %d", f.seeds, s.File, first, uint64(math.MaxUint64))
		}
	}
	if err := f.sameNames(stories); err != nil {
		return err
	}
	out := &output{flags: f, out: stdout}
	progress := newProgress(stderr, f.quiet || f.json)
	if len(stories) == 1 && f.seeds == 1 && !f.verify && !f.many.given() {
		return f.one(stories[0], out, progress, stdout, stderr)
	}
	return f.sweep(stories, out, progress, stderr)
}

// one makes and tells one run.
func (f *simFlags) one(s *scenario.Scenario, out *output, progress *progress, stdout, stderr io.Writer) error {
	j := f.jobOf(s, 0)
	if f.html != "" && j.trace == "" {
		dir, remove, err := tempDir("html")
		if err != nil {
			return err
		}
		defer remove()
		j.trace = filepath.Join(dir, "trace.jsonl")
	}
	result, err := f.single(j, progress, stdout)
	if err != nil {
		return err
	}
	if err := out.run(result); err != nil {
		return err
	}
	err = out.one(s, &result)
	if err == nil && (!f.quiet && !f.json || f.explain != "") {
		e := explainer{job: j, jobs: f.jobs, about: f.explain, out: stdout}
		if f.json {
			e.out = stderr
		}
		err = e.tell(&result)
	}
	if err == nil && f.html != "" {
		h := htmlWriter{job: j, about: f.explain, file: f.html, jobs: f.jobs}
		if err = h.write(&result); err == nil && !f.quiet && !f.json {
			fmt.Fprintf(stdout, "page     %s\n", f.html)
		}
	}
	return cmp.Or(err, out.verdict())
}

// single makes one run: here if this process is the worker of another one, or is
// to be profiled, and in a worker otherwise.
func (f *simFlags) single(j job, progress *progress, stdout io.Writer) (report.Result, error) {
	if os.Getenv(workerEnv) != "" {
		return runHere(j, printStuck(stdout), reportProgress())
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
	return runHere(j, printStuck(stdout), reported)
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

// printStuck prints what came of a run that the process cannot leave.
func printStuck(out io.Writer) func(report.Result) {
	return func(r report.Result) { _ = writeJSON(out, r) }
}

// jobOf is the run with the seed that is offset after the first one.
func (f *simFlags) jobOf(s *scenario.Scenario, offset uint64) job {
	wire := s.Wire
	if f.wire != "" {
		wire = f.wire
	}
	return job{scenario: s, seed: f.seed.or(s.Seed) + offset, wire: wire, strict: f.strict, trace: f.trace, perturb: f.perturb, stall: f.stall}
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

// one prints the one result of a scenario, and keeps it if it failed.
func (o *output) one(s *scenario.Scenario, r *report.Result) error {
	sum := report.NewSummary(s.Name, r.Wire)
	sum.Add(r)
	o.failed = o.failed || sum.Failed() > 0
	switch {
	case o.flags.json: // printed already
	case o.flags.quiet:
		fmt.Fprintf(o.out, "%-6s  %-28s seed %d  digest %.16s  %d events\n", shown(sum), r.Scenario, r.Seed, r.Digest, r.Events)
		r.WriteFailures(o.out)
	default:
		r.Write(o.out)
		fmt.Fprintln(o.out)
	}
	return o.keep(s, sum)
}

// many prints what the seeds of a scenario came to, and keeps what failed.
func (o *output) many(s *scenario.Scenario, sum *report.Summary) error {
	o.failed = o.failed || sum.Failed() > 0
	switch {
	case o.flags.json: // printed one by one
	case o.flags.quiet:
		fmt.Fprintf(o.out, "%-6s  %-28s %d of %d seeds\n", shown(sum), s.Name, sum.Runs()-sum.Failed(), sum.Runs())
		sum.WriteCauses(o.out)
	default:
		sum.Write(o.out)
		fmt.Fprintln(o.out)
	}
	return o.keep(s, sum)
}

// shown is the verdict on a scenario as a line begins with it.
func shown(sum *report.Summary) string {
	if sum.Failed() > 0 {
		return strings.ToUpper(report.Failed)
	}
	return report.Held
}

func (o *output) keep(s *scenario.Scenario, sum *report.Summary) error {
	if o.flags.keep == "" {
		return nil
	}
	k := keeper{dir: o.flags.keep, strict: o.flags.strict, out: o.out}
	if o.flags.json {
		k.out = io.Discard
	}
	return k.keep(s, sum)
}

func (o *output) verdict() error {
	if o.failed {
		return errFailed
	}
	return nil
}

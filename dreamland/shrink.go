package dreamland

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/shrink"
)

type shrinkFlags struct {
	seed   seedValue
	wire   string
	jobs   int
	limit  time.Duration
	out    string
	strict bool
	goesOn bool // from what an earlier call has left
}

func shrinkCommand() *cobra.Command {
	f := &shrinkFlags{}
	cmd := &cobra.Command{
		Use:   "shrink FILE",
		Short: "Make a scenario that fails as small as it can be while it fails of the same",
		Long: `Leaves out faults, actions and nodes, shortens and rounds what is left, and runs
each try in a worker, as long as the same expectation fails of the same cause. The
smallest scenario so far is always on disk: the same command goes on from there.
The result is that file, NAME-min.yaml here unless --out says where, and a Go test
that fails while the bug is there. What is there already is never written over.

Exit status: 0 something was left that fails, 1 what it comes to does not fail of the same
by itself, 2 bad input, a scenario that holds among it, 130 interrupted before there was anything to leave.`,
		Example: `  dreamland shrink scenarios/node-churn.yaml --seed 7
  dreamland shrink kept/node-churn-seed-7.yaml --for 5m --out min.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			return f.run(files[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: yamlFiles,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(&f.seed, "seed", "shrink the run of this seed instead of the file's")
	flags.StringVar(&f.wire, "wire", scenario.Direct, "mocknet or direct")
	flags.IntVar(&f.jobs, "jobs", runtime.NumCPU(), "how many worker processes at once")
	flags.DurationVar(&f.limit, "for", 10*time.Minute, "stop after this real time")
	flags.StringVar(&f.out, "out", "", "the file to write; default: NAME-min.yaml")
	flags.BoolVar(&f.strict, "strict", false, "an expectation for which nothing was judged fails, too")
	return cmd
}

func (f *shrinkFlags) check() error {
	switch {
	case f.jobs < 1 || f.jobs > 1024:
		return fmt.Errorf("--jobs %d: expected 1 to 1024", f.jobs)
	case f.wire != scenario.Mocknet && f.wire != scenario.Direct:
		return fmt.Errorf("--wire %s: expected mocknet or direct", f.wire)
	case f.limit <= 0:
		return fmt.Errorf("--for %s: expected more than zero", f.limit)
	case f.out != "" && filepath.Ext(f.out) != ".yaml":
		return fmt.Errorf("--out %s: expected a name that ends in .yaml", f.out)
	}
	return nil
}

func (f *shrinkFlags) run(file string, stdout, stderr io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	stories, err := load([]string{file})
	if err != nil {
		return err
	}
	s := stories[0]
	if f.out == "" {
		f.out = s.Name + "-min.yaml"
	}
	if same, err := filepath.Abs(f.out); err == nil {
		if in, err := filepath.Abs(file); err == nil && in == same {
			return fmt.Errorf("--out %s is the scenario itself: name another file", f.out)
		}
	}
	if err := errors.Join(f.own(s), f.writable()); err != nil {
		return err
	}
	fmt.Fprintln(stderr, f.announced())
	ctx, done := interruptible()
	defer done()
	workers := newPool(ctx)
	defer workers.close()
	t := &trial{flags: f, ctx: ctx, workers: workers, story: s, seed: f.seed.or(s.Seed), progress: newProgress(stderr, false), began: time.Now(), known: map[string]bool{}}
	return t.shrink(stdout)
}

// own complains about files at the places of the results that are not an earlier result
// of the same command: they are somebody's work.
func (f *shrinkFlags) own(s *scenario.Scenario) error {
	there, err := os.ReadFile(f.out)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
	case err == nil && bytes.Contains(there, []byte(shrunkFrom(s.File, f.seed.or(s.Seed)))):
		f.goesOn = true
	default:
		return fmt.Errorf("--out %s: it is there, and not what is left of %s with seed %d by dreamland shrink: name another file", f.out, s.File, f.seed.or(s.Seed))
	}
	test := testFile(f.out)
	text, err := os.ReadFile(test)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && f.goesOn && bytes.Contains(text, []byte(shrunkTestMark)):
		return nil
	case err != nil:
		return fmt.Errorf("--out %s: %w", f.out, err)
	}
	return fmt.Errorf("--out %s: %s is there and was not made by the same dreamland shrink: name another file", f.out, test)
}

func (f *shrinkFlags) writable() error { return writableDir("--out", filepath.Dir(f.out)) }

// announced says where to before anything is written.
func (f *shrinkFlags) announced() string {
	text := "writing to " + f.out
	if noTest(f.out) == "" {
		text += " and " + testFile(f.out)
	}
	if f.goesOn {
		text += ", going on from what is there"
	}
	return text
}

// shrink goes from the run to the file that is left of it.
func (t *trial) shrink(stdout io.Writer) error {
	t.progress.show("the run itself")
	first := t.workers.run(job{scenario: t.story, seed: t.seed, wire: t.flags.wire, strict: t.flags.strict})
	if t.ctx.Err() != nil {
		return errInterrupted
	}
	cause, failed := first.Cause()
	if !failed {
		return fmt.Errorf("%s holds with seed %d: there is nothing to shrink", t.story.File, t.seed)
	}
	t.cause, t.first = cause, first
	t.timeout = time.Duration(20*first.WallMS)*time.Millisecond + time.Minute
	fixed, err := t.start()
	if t.ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if fixed == nil {
		t.progress.clear()
		fmt.Fprintf(stdout, "written out, the run does not fail of the same; only the seed replays it: %s\n", first.Replay)
		return errFailed
	}
	t.faults, t.actions, t.nodes = counts(fixed)
	t.duration, t.going = fixed.Duration, true
	shrinker := shrink.Shrinker{Failing: t.failing, Better: t.better}
	least := shrinker.Shrink(fixed, &scenario.Expectation{Name: cause.Name, When: cause.When},
		time.Duration(first.VirtualMS+1)*time.Millisecond, cause.When == "always")
	if t.failed != nil {
		return t.failed
	}
	if err := t.write(least); err != nil {
		return err
	}
	return t.finish(least, stdout)
}

// start is where to begin: with what an earlier, interrupted call left, or with
// what the run decided up to its end, or with all that it would have.
func (t *trial) start() (*scenario.Fixed, error) {
	if s, err := scenario.Load(t.flags.out, words.Vocabulary()); t.flags.goesOn && err == nil {
		fixed := s.Fix(s.Seed, t.flags.wire, s.Duration, nil)
		fixed.Failed = failureOf(&t.first)
		if s.Seed == t.seed && t.failing([]*scenario.Fixed{fixed}) == 0 {
			return fixed, nil
		}
		if t.ctx.Err() == nil {
			return nil, fmt.Errorf("%s is there and does not fail of the same any more: name another file, --out, or remove it", t.flags.out)
		}
	}
	for _, until := range []time.Duration{time.Duration(t.first.VirtualMS+1) * time.Millisecond, t.story.Duration} {
		fixed := t.story.Fix(t.seed, t.flags.wire, until, t.first.Chosen)
		fixed.Failed = failureOf(&t.first)
		if t.failing([]*scenario.Fixed{fixed}) == 0 {
			return fixed, nil
		}
	}
	return nil, nil
}

func counts(f *scenario.Fixed) (faults, actions, nodes int) {
	faults, actions = f.Count()
	return faults, actions, len(f.Nodes)
}

// finish runs what is left once more, and tells.
func (t *trial) finish(least *scenario.Fixed, stdout io.Writer) error {
	s, err := scenario.Load(t.flags.out, words.Vocabulary())
	if err != nil {
		return err
	}
	last := runInWorker(job{scenario: s, seed: s.Seed, wire: s.Wire, strict: t.flags.strict, timeout: t.timeout})
	t.progress.clear()
	if !sameCause(&t.first, &last) {
		fmt.Fprintf(stdout, "%s does not fail of the same any more: a run of it is not reproducible\n", t.flags.out)
		return errFailed
	}
	test, err := t.writeTest()
	if err != nil {
		return err
	}
	faults, actions, nodes := counts(least)
	fmt.Fprintf(stdout, "shrunk   %d faults to %d, %d actions to %d, %d nodes to %d, %s to %s, by %d runs in %s\n", t.faults, faults,
		t.actions, actions, t.nodes, nodes, t.duration, least.Duration, t.runs, time.Since(t.began).Round(time.Second))
	if t.late() {
		fmt.Fprintf(stdout, "         not finished: the same command goes on, with --for 1h for longer\n")
	}
	fmt.Fprintf(stdout, "fails    %s\n", strings.Split(last.Broken()[0], "\n")[0])
	fmt.Fprintf(stdout, "file     %s\n", t.flags.out)
	if test != "" {
		fmt.Fprintf(stdout, "test     %s\n", test)
	} else {
		fmt.Fprintf(stdout, "no test  %s\n", noTest(t.flags.out))
	}
	fmt.Fprintf(stdout, "replay   %s sim %s\n", words.command(), t.flags.out)
	return nil
}

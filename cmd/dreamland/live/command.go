package live

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// flags are those of dreamland live.
type flags struct {
	tools  dreamland.Tools
	tau    string
	keep   string
	seed   uint64
	seeded bool
	strict bool
	beside bool
	json   bool
	quiet  bool
	people io.Writer // where progress is shown, if it is a terminal
}

// Command is dreamland live.
func Command(tools dreamland.Tools) *cobra.Command {
	f := &flags{tools: tools}
	cmd := &cobra.Command{
		Use:   "live FILE...",
		Short: "Carry scenarios out on processes of the real world, in real time",
		Long: `Starts the nodes of each scenario as tau processes on this machine, with directories, ports and a cloud of their own,
and carries the scenario out: its users push, its faults are kill -9, SIGSTOP, SIGTERM, removed disks, other ports, full disks, failpoints,
and cut, slow or lossy links by a relay between the nodes. What is expected is judged by what the nodes report. It takes
as long as it says: real time cannot be hurried. What cannot be had of real processes is named in the report; with --strict, that is
an error before anything starts.

Exit status: 0 all expectations held, 1 an expectation failed, 2 bad input, 130 interrupted.`,
		Example: `  dreamland live scenarios/monkey-crashes.yaml
  dreamland live scenarios/monkey-crashes.yaml --beside
  dreamland live scenarios/rolling-restart.yaml --keep /tmp/run`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			f.seeded = cmd.Flags().Changed("seed")
			f.people = cmd.ErrOrStderr()
			return f.run(files, cmd.OutOrStdout())
		},
		ValidArgsFunction: tools.Completion,
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.Uint64Var(&f.seed, "seed", 0, "draw what the file leaves open from this seed; when messages arrive, nothing draws")
	set.StringVar(&f.tau, "tau", "", "the program of the nodes; default: tau beside this program, or one built of the source here")
	set.BoolVar(&f.beside, "beside", false, "simulate the same scenario as well, and show both columns")
	set.BoolVar(&f.strict, "strict", false, "what cannot be observed, and what nothing was judged for, fails")
	set.StringVar(&f.keep, "keep", "", "keep directories and logs of the nodes below this directory")
	set.BoolVar(&f.json, "json", false, "print one JSON object per run, each on one line")
	set.BoolVar(&f.quiet, "quiet", false, "print one line per scenario, and what failed")
	return cmd
}

func (f *flags) run(files []string, out io.Writer) error {
	stories, err := f.tools.Load(files)
	if err != nil {
		return err
	}
	for _, s := range stories {
		if err := f.possible(s); err != nil {
			return err
		}
	}
	ctx, done := f.tools.Interruptible()
	defer done()
	failed := false
	for _, s := range stories {
		dir, remove, err := f.directory(s)
		if err != nil {
			return err
		}
		tau, err := FindTau(f.tau, dir)
		if err != nil {
			remove()
			return err
		}
		seen := f.see(s)
		r, err := Carry(ctx, s, Config{Tau: tau, Dir: dir, Seed: f.seedOf(s), Words: f.tools.Words, Hear: seen.hear}, f.strict)
		seen.stop()
		remove()
		switch {
		case ctx.Err() != nil:
			seen.tellInterrupted(f.aside(out))
			return f.tools.Interrupted
		case err != nil:
			return err
		}
		failed = failed || r.Verdict != report.Held
		if err := f.tell(out, s, &r); err != nil {
			return err
		}
	}
	if failed {
		return f.tools.Failed
	}
	return nil
}

func (f *flags) seedOf(s *scenario.Scenario) uint64 {
	if f.seeded {
		return f.seed
	}
	return s.Seed
}

// possible says what cannot be done with a story, before anything starts.
func (f *flags) possible(s *scenario.Scenario) error {
	if err := Impossible(s); err != nil || !f.strict {
		return err
	}
	var lines []string
	for _, n := range slices.Concat(run.Unobserved(s, f.tools.Words), Refused(s, f.tools.Words, f.seedOf(s))) {
		lines = append(lines, fmt.Sprintf("%s: not observed live: %s because %s", s.File, n.What, n.Why))
	}
	if len(lines) > 0 {
		return errors.New("--strict: " + strings.Join(lines, "\n"))
	}
	return nil
}

// directory is where a run has what it has.
func (f *flags) directory(s *scenario.Scenario) (dir string, remove func(), err error) {
	if f.keep == "" {
		return f.tools.TempDir("live")
	}
	dir = filepath.Join(f.keep, s.Name)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", nil, fmt.Errorf("--keep %s: %s is not empty: name another directory", f.keep, dir)
	}
	return dir, func() {}, os.MkdirAll(dir, 0o700)
}

// tell prints what came of a run.
func (f *flags) tell(out io.Writer, s *scenario.Scenario, r *report.Result) error {
	var simulated *report.Result
	if f.beside {
		one, err := f.tools.Simulate(s, r.Seed, f.strict)
		if err != nil {
			return err
		}
		simulated = &one
	}
	switch {
	case f.json && simulated != nil:
		return f.tools.JSON(out, map[string]*report.Result{"live": r, "simulated": simulated})
	case f.json:
		return f.tools.JSON(out, r)
	case f.quiet:
		fmt.Fprintf(out, "%-6s  %-28s live, seed %d  %d facts\n", r.Verdict, r.Scenario, r.Seed, r.Events)
		r.WriteFailures(out)
	default:
		r.Write(out)
		fmt.Fprintln(out)
	}
	if simulated != nil {
		beside(out, r, simulated)
	}
	return nil
}

// beside prints the verdicts and figures of both worlds.
func beside(out io.Writer, live, simulated *report.Result) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "beside\tlive\tsimulated\n")
	for _, e := range simulated.Expectations {
		fmt.Fprintf(t, "%s (%s)\t%s\t%s\n", e.Name, e.When, verdictOf(live, e), verdictOf(simulated, e))
	}
	names := map[string]bool{}
	for name := range live.Figures {
		names[name] = true
	}
	for name := range simulated.Figures {
		names[name] = true
	}
	for _, name := range sorted(names) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, figureOf(live, name), figureOf(simulated, name))
	}
	_ = t.Flush()
}

func verdictOf(r *report.Result, of report.Expectation) string {
	for _, e := range r.Expectations {
		switch {
		case e.Name != of.Name || e.When != of.When:
		case e.NotAsked:
			return "not asked"
		case e.Unproven != "":
			return "unproven"
		case e.Held && e.Evaluated > 0:
			return fmt.Sprintf("held, %d judged", e.Evaluated)
		case e.Held:
			return "held"
		default:
			return "FAILED"
		}
	}
	return "not observed"
}

func figureOf(r *report.Result, name string) string {
	if x, known := r.Figures[name]; known {
		return report.Number(x)
	}
	return "-"
}

func sorted(set map[string]bool) (list []string) {
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

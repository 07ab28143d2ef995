package dreamland

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/sweep"
)

// Swarm makes up stories that nobody wrote. Equal numbers and choices, equal stories.
type Swarm interface {
	// Kinds are the kinds of faults that a story may have.
	Kinds() []string
	// Story is a scenario, as text, and which kinds of faults are in it. Its seed is n.
	Story(n uint64, c sweep.Choice) (text string, kinds []string)
}

type swarmFlags struct {
	sim     simFlags
	faults  []string
	without []string
	choice  sweep.Choice
	guided  bool
	corpus  string
	write   string
}

func swarmCommand(swarm Swarm) *cobra.Command {
	f := &swarmFlags{}
	cmd := &cobra.Command{
		Use:   "swarm [FIRST..LAST]",
		Short: "Run scenarios that nobody wrote: any cloud, any users, any mixture of faults",
		Long: `Makes up one scenario for each number and runs it. Most kinds of faults are left
out of each, because all of them together hide what a few bring to light. A story
that fails is kept as a file, with the command that runs it again.

Without a range it is 1..200, or from 1 for as long as --for says. With --guided,
kinds of faults that were rarely tried or still reach something new are preferred,
and every second story goes on from the cloud and the users of one that reached
something new; equal results, equal choices.

Exit status: 0 all stories held, 1 one failed, 2 bad input, 130 interrupted before
one failed.`,
		Example: `  dreamland swarm 1..500
  dreamland swarm --for 1h --guided --results sweep --corpus corpus
  dreamland swarm --faults partition=3,crash,pause --rate 2
  dreamland swarm 7..7 --write .`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			first, err := f.parse(args, swarm)
			if err != nil {
				return err
			}
			return f.run(swarm, first, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.sim.many.add(flags)
	flags.IntVar(&f.sim.jobs, "jobs", runtime.NumCPU(), "how many worker processes at once")
	flags.StringVar(&f.sim.wire, "wire", scenario.Direct, "mocknet or direct")
	flags.StringSliceVar(&f.faults, "faults", nil, "only these kinds of faults, with how likely each is compared with others: "+strings.Join(swarm.Kinds(), ", "))
	flags.StringSliceVar(&f.without, "without", nil, "never these kinds of faults")
	flags.Float64Var(&f.choice.Rate, "rate", 1, "so many times as many faults of each kind, 0.1 to 10")
	flags.BoolVar(&f.choice.Knobs, "knobs", true, "turn settings of services as well, within values at which all promises hold")
	flags.BoolVar(&f.guided, "guided", false, "prefer what was rarely seen")
	flags.StringVar(&f.corpus, "corpus", "", "keep stories that reached something new in this directory; takes --guided")
	flags.StringVar(&f.sim.keep, "keep", "swarm-failed", "keep stories that fail in this directory")
	flags.StringVar(&f.write, "write", "", "write the stories to this directory and run none")
	flags.DurationVar(&f.sim.stall, "stall", 0, "give a run up in which nothing happens for so long in real time; default 1m")
	must(flags.MarkHidden("stall"))
	flags.BoolVar(&f.sim.json, "json", false, "print one JSON object per run, each on one line")
	flags.BoolVar(&f.sim.quiet, "quiet", false, "print one line, and what failed")
	return cmd
}

// parse returns the number of the first story.
func (f *swarmFlags) parse(args []string, swarm Swarm) (first uint64, err error) {
	text := "1..200"
	if len(args) > 0 {
		text = args[0]
	}
	from, to, ranged := strings.Cut(text, "..")
	if !ranged {
		to = from
	}
	first, err = strconv.ParseUint(from, 10, 64)
	last, errToo := strconv.ParseUint(to, 10, 64)
	if err != nil || errToo != nil || first < 1 || last < first || last-first >= seedsMax {
		return 0, fmt.Errorf("%s: expected FIRST..LAST, 1..200 for instance, of at most %d stories", text, seedsMax)
	}
	f.sim.seed, f.sim.seeds = seedValue{first, true}, int(last-first)+1
	if len(args) == 0 && f.sim.many.limit > 0 {
		f.sim.seeds, f.sim.many.open = seedsMax, true
	}
	if !(f.choice.Rate >= 0.1 && f.choice.Rate <= 10) { // nor no number
		return 0, fmt.Errorf("--rate %g: expected 0.1 to 10", f.choice.Rate)
	}
	if f.corpus != "" && !f.guided {
		return 0, errors.New("--corpus: it takes --guided")
	}
	if err := f.weigh(swarm.Kinds()); err != nil {
		return 0, err
	}
	if err := errors.Join(writableDir("--keep", f.sim.keep), writableDir("--corpus", f.corpus), writableDir("--write", f.write)); err != nil {
		return 0, err
	}
	return first, f.sim.check(1)
}

// weigh reads which kinds of faults are likely.
func (f *swarmFlags) weigh(kinds []string) error {
	known := func(flag, kind string) error {
		if slices.Contains(kinds, kind) {
			return nil
		}
		return fmt.Errorf("--%s: there is no fault %q; there are %s", flag, kind, strings.Join(kinds, ", "))
	}
	weights := map[string]float64{}
	for _, text := range f.faults {
		kind, weight, weighed := strings.Cut(text, "=")
		w := 1.0
		var err error
		if weighed {
			w, err = strconv.ParseFloat(weight, 64)
		}
		if err != nil || !(w > 0 && w <= 1e6) {
			return fmt.Errorf("--faults %s: expected a kind and how likely it is, crash=3 for instance", text)
		}
		if err := known("faults", kind); err != nil {
			return err
		}
		weights[kind] = w
	}
	for _, kind := range f.without {
		if err := known("without", kind); err != nil {
			return err
		}
		weights[kind] = 0
	}
	f.choice.Only = len(f.faults) > 0
	if f.choice.Only && !slices.ContainsFunc(kinds, func(k string) bool { return weights[k] > 0 }) {
		return errors.New("--faults: --without takes away all of them")
	}
	if len(weights) > 0 {
		f.choice.Weights = weights
	}
	return nil
}

func (f *swarmFlags) run(swarm Swarm, first uint64, stdout, stderr io.Writer) error {
	m := &maker{flags: f, swarm: swarm, first: first, guide: sweep.NewGuide(), stories: map[uint64]madeUp{}, reached: map[uint64][]string{}}
	m.shard, _ = sweep.ParseShard(f.sim.many.shard) // checked before
	if f.write != "" {
		return m.writeAll(f.write)
	}
	dir := f.sim.keep
	f.sim.keep = "" // of one story after the other, not of a seed of one
	out := &output{flags: &f.sim, out: stdout}
	return f.sim.sweepOf(out, newProgress(stderr, f.sim.quiet || f.sim.json), stderr, func(s *sweeper) error {
		return s.addSwarm(m, dir)
	})
}

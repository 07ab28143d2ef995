package dreamland

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/report"
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

Exit status: 0 all stories held, 1 one failed, 2 bad input.`,
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

// maker makes up the stories of a swarm, those of a batch from what all batches
// before have come to.
type maker struct {
	flags   *swarmFlags
	swarm   Swarm
	first   uint64
	shard   sweep.Shard
	guide   *sweep.Guide
	batch   uint64              // that stories are of
	stories map[uint64]madeUp   // by offset
	reached map[uint64][]string // by offset, what runs of this batch and later ones reached
}

type madeUp struct {
	text  string
	kinds []string
}

// may reports whether the story at an offset can be made up yet.
func (m *maker) may(offset uint64) (bool, error) {
	if !m.flags.guided {
		return true, nil
	}
	for m.batch < offset/sweep.Batch {
		for o := m.batch * sweep.Batch; o < (m.batch+1)*sweep.Batch; o++ {
			if _, ended := m.reached[o]; m.shard.Has(o) && !ended {
				return false, nil
			}
		}
		if err := m.learn(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// learn takes in what the batch has come to.
func (m *maker) learn() error {
	type learnt struct {
		number  uint64
		story   madeUp
		reached []string
	}
	var all []learnt
	for o := m.batch * sweep.Batch; o < (m.batch+1)*sweep.Batch; o++ {
		if m.shard.Has(o) {
			all = append(all, learnt{m.first + o, m.story(o), m.reached[o]}) // all are made up before any is learnt from
			delete(m.reached, o)
		}
	}
	for _, l := range all {
		fresh := m.guide.Learn(l.number, l.story.kinds, l.reached)
		if len(fresh) == 0 || m.flags.corpus == "" {
			continue
		}
		text := "# reached first: " + strings.Join(fresh, ", ") + "\n" + l.story.text
		if err := writeStory(m.flags.corpus, l.number, text); err != nil {
			return fmt.Errorf("--corpus: %w", err)
		}
	}
	m.batch++
	clear(m.stories)
	return nil
}

// story is the story at an offset of the batch.
func (m *maker) story(offset uint64) madeUp {
	made, here := m.stories[offset]
	if here {
		return made
	}
	n, choice := m.first+offset, m.flags.choice
	if m.flags.guided {
		choice = m.guide.Choose(n, m.swarm.Kinds(), choice)
	}
	made.text, made.kinds = m.swarm.Story(n, choice)
	if m.flags.guided {
		m.stories[offset] = made
	}
	return made
}

func storyFile(dir string, n uint64) string {
	return filepath.Join(dir, fmt.Sprintf("swarm-%d.yaml", n))
}

func writeStory(dir string, n uint64, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(storyFile(dir, n), []byte(text), 0o644)
}

// writeAll writes stories that do not follow from results.
func (m *maker) writeAll(dir string) error {
	if m.flags.guided || m.flags.sim.many.open {
		return errors.New("--write: name a range, and no --guided, which chooses by what runs came to")
	}
	for o := range uint64(m.flags.sim.seeds) {
		if !m.shard.Has(o) {
			continue
		}
		if err := writeStory(dir, m.first+o, m.story(o).text); err != nil {
			return fmt.Errorf("--write: %w", err)
		}
	}
	return nil
}

// header names the runs of a swarm: what its stories follow from.
func (m *maker) header() (sweep.Header, error) {
	text, err := json.Marshal(struct {
		Choice sweep.Choice
		Guided bool
		First  uint64
		Shard  sweep.Shard
	}{m.flags.choice, m.flags.guided, m.first, m.shard})
	if err != nil {
		return sweep.Header{}, err
	}
	sum := sha256.Sum256(text)
	return sweep.Header{Scenario: "swarm", SHA256: hex.EncodeToString(sum[:]), Wire: m.flags.sim.wire, Strict: m.flags.sim.strict}, nil
}

// replay is a command that makes up and runs a story again, "" if there is none: what
// a guided swarm makes up depends on what came before.
func (m *maker) replay(offset uint64) string {
	if m.flags.guided {
		return ""
	}
	text := fmt.Sprintf("%s swarm %d..%d --wire %s", words.command(), m.first+offset, m.first+offset, m.flags.sim.wire)
	if len(m.flags.faults) > 0 {
		text += " --faults " + strings.Join(m.flags.faults, ",")
	}
	if len(m.flags.without) > 0 {
		text += " --without " + strings.Join(m.flags.without, ",")
	}
	if m.flags.choice.Rate != 1 {
		text += fmt.Sprintf(" --rate %g", m.flags.choice.Rate)
	}
	if !m.flags.choice.Knobs {
		text += " --knobs=false"
	}
	return text
}

// addSwarm takes in all stories as one tale. Those that fail are written to dir.
func (s *sweeper) addSwarm(m *maker, dir string) error {
	h, err := m.header()
	if err != nil {
		return err
	}
	t := &tale{story: &scenario.Scenario{Name: "swarm"}, wire: h.Wire}
	t.job = func(offset uint64) (job, error) {
		text := []byte(m.story(offset).text)
		story, err := scenario.Parse(storyFile(dir, m.first+offset), text, words.Vocabulary())
		if err != nil {
			return job{}, fmt.Errorf("story %d is none: %w", m.first+offset, err)
		}
		return job{scenario: story, seed: story.Seed, wire: h.Wire, stall: s.flags.stall}, nil
	}
	t.may = m.may
	t.ended = func(offset uint64, r *report.Result) error {
		if m.flags.guided {
			m.reached[offset] = r.Exercised.Reached()
		}
		if r.Verdict == report.Held {
			r.Replay = m.replay(offset) // its file is not kept
			return nil
		}
		if ok, err := m.may(offset); !ok || err != nil || offset/sweep.Batch < m.batch && m.flags.guided {
			return err // of an earlier call, which has written it
		}
		return writeStory(dir, m.first+offset, m.story(offset).text)
	}
	return s.addTale(t, m.first, h)
}

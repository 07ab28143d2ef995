package live

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// tortureMin and tortureMax bound how long a cloud is tortured.
const (
	tortureMin = 20 * time.Second
	tortureMax = 24 * time.Hour
)

// TortureCommand is dreamland torture.
func TortureCommand(tools dreamland.Tools) *cobra.Command {
	f := &flags{tools: tools}
	length := 10 * time.Minute
	cmd := &cobra.Command{
		Use:   "torture",
		Short: "Torture a cloud of processes, then heal and audit it",
		Long: `Starts three cores and four monkeys as processes, and pushes twice a second while every two seconds some node is killed (kill -9), holders of
locks are frozen for longer than their leases, nodes are restarted in order, disks are wiped and strangers are at the door. Then everything is
healed and audited: nothing that was acknowledged is lost, no job has two outcomes, all versions are read, all replicas tell the
same. What it came to in figures is printed. In which order faults come is drawn from --seed.`,
		Example: "  dreamland torture --for 2m --seed 7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if length < tortureMin || length > tortureMax {
				return fmt.Errorf("--for %s: expected %s to %s", length, tortureMin, tortureMax)
			}
			f.people = cmd.ErrOrStderr()
			return f.torture(length, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&length, "for", length, "how long faults go on")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "draw the order of faults from this seed")
	cmd.Flags().StringVar(&f.tau, "tau", "", "the program of the nodes; default: tau beside this program, or one built of the source here")
	cmd.Flags().StringVar(&f.keep, "keep", "", "keep directories and logs of the nodes below this directory")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

// tortureBranches is how many branches are pushed to.
const tortureBranches = 8

// tortureStory is the story of a torture.
func tortureStory(length time.Duration, seed uint64) string {
	pushes := ""
	for b := range tortureBranches {
		build := 500 * time.Millisecond
		if b == 0 { // somebody holds its newest job, most of the time
			build = 3 * time.Second
		}
		pushes += fmt.Sprintf("  - {at: %dms, every: %dms, until: %s, push: {project: hello, branch: b-%d, build-time: %s}}\n", 2000+500*b, 500*tortureBranches, length, b, build)
	}
	return fmt.Sprintf(`name: torture
about: >
  Nodes are killed every two seconds, holders of locks freeze, disks are wiped, strangers knock, while users push twice a second. What was
  acknowledged is there in the end, once.
seed: %d
duration: %s
nodes:
  - {name: core, count: 3, services: [seer, tns, hoarder, patrick]}
  - {name: monkey, count: 4, services: [monkey]}
strangers:
  - {name: mallory, count: 1}
timeline:
%s  - {at: 5s, every: 2s, until: %[2]s, crash: {some-of: "*", count: 1}, for: 500ms..3s}
  - {at: 9s, every: 15s, until: %[2]s, pause: {holder-of: {branch: b-0}}, for: 11s..14s}
  - {at: 11s, every: 20s, until: %[2]s, pause: {some-of: monkey-*, count: 1}, for: 11s..14s}
  - {at: 13s, every: 17s, until: %[2]s, restart: {some-of: "*", count: 1}}
  - {at: 16s, every: 60s, until: %[2]s, crash: {on: {some-of: core-*, count: 1}, lose-disk: true}, for: 1s..3s}
  - {at: 6s, every: 10s, until: %[2]s, attack: {by: mallory, do: knock}}
  - {at: 8s, every: 10s, until: %[2]s, attack: {by: mallory, do: garbage, count: 5}}
expect:
  always: [no-lost-jobs, dedupe, one-effective-outcome-per-job, one-holder-per-job, no-stale-publish, versions-are-true, newest-success-is-live, slots-are-kept, incarnations-rise]
  after-heal:
    within: 3m
    all: [every-job-final, one-effective-outcome-per-job, answers-are-true, versions-are-true, newest-success-is-live, history-kept]
`, seed, length, pushes)
}

func (f *flags) torture(length time.Duration, out io.Writer) error {
	s, err := scenario.Parse("torture.yaml", []byte(tortureStory(length, f.seed)), f.tools.Words)
	if err != nil {
		return err
	}
	ctx, done := f.tools.Interruptible()
	defer done()
	dir, remove, err := f.directory(s)
	if err != nil {
		return err
	}
	defer remove()
	tau, err := FindTau(f.tau, dir)
	if err != nil {
		return err
	}
	m := newMeter()
	seen := f.see(s)
	hear := func(fact check.Fact) { m.hear(fact); seen.hear(fact) }
	r, err := Carry(ctx, s, Config{Tau: tau, Dir: dir, Seed: f.seed, Words: f.tools.Words, Hear: hear, Settled: m.settled}, false)
	seen.stop()
	if ctx.Err() != nil {
		seen.tellInterrupted(f.aside(out))
		return f.tools.Interrupted
	}
	if err != nil {
		return err
	}
	r.Replay = fmt.Sprintf("%s torture --for %s --seed %d", cmp.Or(f.tools.Words.Command, "dreamland"), length, f.seed)
	if f.json {
		if err := f.tools.JSON(out, &r); err != nil {
			return err
		}
	} else {
		r.Write(out)
		m.write(out, &r)
	}
	if r.Verdict != report.Held {
		return f.tools.Failed
	}
	return nil
}

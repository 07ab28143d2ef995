// Command mutation breaks the code in thousands of small ways, made by rule, and
// says which of them no test, no scenario and no seed of the swarm notices.
//
// All mutants are in one build: each place where one differs asks at run time
// whether it is on (see package mutant). So a mutant costs a run, not a build.
// Which mutants a trial reaches is recorded once, without any being on; a mutant
// is only run by those that reach it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	root, state  string
	sample       int
	seed         uint64
	packages     []string
	only         []string // names of mutants
	by           string
	jobs, swarm  int
	costMax      time.Duration
	memory       int64
	min          float64
	again, json  bool
	list         bool
	asideFile    string
	packagesFlag string
	onlyFlag     string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := 0
	if err == nil {
		code, err = o.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(2)
	}
	os.Exit(code)
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("mutation", flag.ContinueOnError)
	f.StringVar(&o.root, "root", ".", "the module's `directory`")
	f.StringVar(&o.state, "state", "", "the `directory` of builds, baselines and results (default: in the user's cache)")
	f.IntVar(&o.sample, "sample", 100, "how many mutants to draw; 0 draws all")
	f.Uint64Var(&o.seed, "seed", 1, "which ones")
	f.StringVar(&o.packagesFlag, "pkg", "clock/... transport/... storage/... node/... services/...", "whose mutants, `patterns` as of the go command")
	f.StringVar(&o.onlyFlag, "only", "", "the `names` of mutants to run, instead of a sample")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many mutants to run at a time")
	f.StringVar(&o.by, "by", "tests scenarios swarm", "what may notice, in this order")
	f.IntVar(&o.swarm, "swarm", 3, "how many seeds of the swarm may notice what nothing else did")
	f.DurationVar(&o.costMax, "costliest", time.Minute, "leave out trials that take more processor time without a mutant")
	f.Int64Var(&o.memory, "memory", 4<<30, "`bytes` that a mutant may use")
	f.Float64Var(&o.min, "min", 0, "exit with status 1 if the score is lower")
	f.BoolVar(&o.again, "again", false, "run also what is known from a run before")
	f.BoolVar(&o.json, "json", false, "one line of JSON for each mutant")
	f.BoolVar(&o.list, "list", false, "only list the mutants that were drawn")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.packages, o.only = strings.Fields(o.packagesFlag), strings.Fields(o.onlyFlag)
	return o, o.complete(f.Args())
}

func (o *options) complete(rest []string) (err error) {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q; -help lists the flags", rest)
	case !stagesKnown(o.by):
		return errors.New("-by is some of: tests scenarios swarm")
	case o.sample < 0, o.jobs < 1, o.swarm < 0, o.memory < 0:
		return errors.New("-sample, -swarm and -memory are at least 0, -jobs at least 1")
	}
	if o.root, err = filepath.Abs(o.root); err != nil {
		return err
	}
	o.asideFile = filepath.Join(o.root, "scenarios", "mutation", "equivalent.yaml")
	if o.state == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		o.state = filepath.Join(cache, "tau-mutation")
	}
	o.state, err = filepath.Abs(o.state)
	return err
}

func stagesKnown(by string) bool {
	for _, word := range strings.Fields(by) {
		if word != "tests" && word != "scenarios" && word != "swarm" {
			return false
		}
	}
	return by != ""
}

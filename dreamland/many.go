package dreamland

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"github.com/taucloud/tau/sim/sweep"
)

// manyFlags say which of many runs are made, for how long, and where what they came
// to is kept.
type manyFlags struct {
	limit         time.Duration
	shard         string
	stopOnFailure bool
	results       string
	coverage      bool
	// open: as many seeds as there is time for.
	open bool
}

func (f *manyFlags) add(flags *pflag.FlagSet) {
	flags.DurationVar(&f.limit, "for", 0, "begin no more runs after this real time; without a range of seeds as many as there is time for")
	flags.StringVar(&f.shard, "shard", "", "run one of several parts of the range, 2/4 for instance")
	flags.BoolVar(&f.stopOnFailure, "stop-on-failure", false, "stop at the first seed that fails")
	flags.BoolVar(&f.coverage, "coverage", false, "tell at the end what all runs reached together; a mark in the code that none has hit fails")
	flags.StringVar(&f.results, "results", "", "keep what each seed came to in a file in this directory; the same command goes on from there")
}

// given reports whether one of the flags is.
func (f *manyFlags) given() bool {
	return f.limit != 0 || f.shard != "" || f.stopOnFailure || f.results != "" || f.coverage
}

func (f *manyFlags) check() error {
	if f.limit < 0 {
		return fmt.Errorf("--for %s: expected more than zero", f.limit)
	}
	_, err := sweep.ParseShard(f.shard)
	return err
}

// open opens the file of results of runs that the header describes, nil without
// --results.
func (f *manyFlags) journal(h sweep.Header) (*sweep.Journal, []sweep.Entry, error) {
	if f.results == "" {
		return nil, nil, nil
	}
	if err := os.MkdirAll(f.results, 0o755); err != nil {
		return nil, nil, fmt.Errorf("--results: %w", err)
	}
	binary, err := binarySum()
	if err != nil {
		return nil, nil, fmt.Errorf("--results: %w", err)
	}
	h.Format, h.Binary, h.Revision = sweep.Format, binary, readVersion().revision()
	name := h.Scenario
	if shard, _ := sweep.ParseShard(f.shard); !shard.Whole() {
		name += fmt.Sprintf(".%d-of-%d", shard.Part, shard.Of)
	}
	journal, entries, err := sweep.Open(filepath.Join(f.results, name+".jsonl"), h)
	if err != nil {
		return nil, nil, fmt.Errorf("--results: %w", err)
	}
	return journal, entries, nil
}

// binarySum is the SHA-256 of this program.
func binarySum() (string, error) {
	f, err := os.Open(self())
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// errInterrupted ends a command that was asked to end before it failed.
var errInterrupted = errors.New("interrupted")

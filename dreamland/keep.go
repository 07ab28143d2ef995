package dreamland

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// keeper writes runs that failed as files that fail again by themselves.
type keeper struct {
	dir    string
	strict bool
	out    io.Writer
}

// keep writes one file for each cause of failure: the run with the fewest events.
func (k *keeper) keep(s *scenario.Scenario, sum *report.Summary) error {
	for _, r := range sum.Smallest() {
		file := filepath.Join(k.dir, fmt.Sprintf("%s-seed-%d.yaml", s.Name, r.Seed))
		if sameFile(file, s.File) {
			fmt.Fprintf(k.out, "not kept: %s is the scenario itself\n", file)
			continue
		}
		same, err := k.keepOne(s, r, file)
		if err != nil {
			return fmt.Errorf("--keep: %w", err)
		}
		if !same {
			fmt.Fprintf(k.out, "not kept: written out as %s the run does not fail of the same; only the seed replays it\n", file)
			continue
		}
		fmt.Fprintf(k.out, "kept     %s fails of the same by itself\n", file)
	}
	return nil
}

// keepOne writes the decisions up to the end of the run, or, if it takes the later
// ones to fail again, all. It reports whether the file that is left does.
func (k *keeper) keepOne(s *scenario.Scenario, r *report.Result, file string) (same bool, err error) {
	for _, until := range []time.Duration{time.Duration(r.VirtualMS+1) * time.Millisecond, s.Duration} {
		fixed := s.Fix(r.Seed, r.Wire, until, r.Chosen)
		fixed.About = keptAbout(s, r)
		if fixed.Cut {
			fixed.Failed = failureOf(r)
		}
		again, err := k.try(file, fixed.Text())
		if err != nil {
			return false, err
		}
		if sameCause(r, again) {
			return true, nil
		}
	}
	return false, os.Remove(file)
}

// try writes a file and runs it.
func (k *keeper) try(file string, text []byte) (*report.Result, error) {
	if len(text) > scenario.FileLenMax {
		return nil, fmt.Errorf("%s would have %d bytes, and a scenario has at most %d: dreamland shrink makes less of it", file, len(text), scenario.FileLenMax)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, err
	}
	s, err := scenario.Load(file, words.Vocabulary())
	if err != nil {
		return nil, err
	}
	r := runInWorker(job{scenario: s, seed: s.Seed, wire: s.Wire, strict: k.strict})
	return &r, nil
}

// sameFile reports whether two paths lead to one file that is there.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, errToo := os.Stat(b)
	return err == nil && errToo == nil && os.SameFile(one, other)
}

func sameCause(a, b *report.Result) bool {
	one, failed := a.Cause()
	other, failedToo := b.Cause()
	return failed && failedToo && one == other
}

// failureOf names the expectation that failed, nil if the run failed otherwise.
func failureOf(r *report.Result) *scenario.Expectation {
	cause, failed := r.Cause()
	if !failed {
		return nil
	}
	return &scenario.Expectation{Name: cause.Name, When: cause.When}
}

func keptAbout(s *scenario.Scenario, r *report.Result) string {
	text := fmt.Sprintf("%s with seed %d, what the seed had drawn for its timeline written out.\n", s.File, r.Seed)
	if broken := r.Broken(); len(broken) > 0 {
		text += "Fails: " + strings.Split(broken[0], "\n")[0] + "\n"
	}
	if r.Revision != "" {
		text += "Found by dreamland built from " + r.Revision
	}
	return text
}

package dreamland

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/sweep"
)

// tale is one scenario of a sweep.
type tale struct {
	story   *scenario.Scenario
	wire    string
	sum     *report.Summary
	journal *sweep.Journal // nil: none
	// job makes the run at an offset; may reports whether that can be done yet; ended
	// is told of each run that is known.
	job   func(offset uint64) (job, error)
	may   func(offset uint64) (bool, error)
	ended func(offset uint64, r *report.Result) error
	known map[uint64]bool
	marks map[string]bool // that a run has hit
	first uint64          // seed
	only  *report.Result  // what came of the run of the only seed
	next  uint64          // offset of the next seed that may be run
	open  int             // runs that are still to end
}

// add takes in a scenario and what is known of its seeds.
func (s *sweeper) add(story *scenario.Scenario) error {
	j := s.flags.jobOf(story, 0)
	t := &tale{
		story: story, wire: j.wire,
		job:   func(offset uint64) (job, error) { return s.flags.jobOf(story, offset), nil },
		may:   func(uint64) (bool, error) { return true, nil },
		ended: func(uint64, *report.Result) error { return nil },
	}
	sum := sha256.Sum256(story.Text())
	return s.addTale(t, j.seed, sweep.Header{Scenario: story.Name, SHA256: hex.EncodeToString(sum[:]), Wire: j.wire, Strict: s.flags.strict})
}

// addTale takes in a tale whose first seed is given.
func (s *sweeper) addTale(t *tale, first uint64, h sweep.Header) error {
	t.sum, t.known, t.marks = report.NewSummary(t.story.Name, t.wire), map[uint64]bool{}, map[string]bool{}
	t.first = first
	journal, entries, err := s.flags.many.journal(h)
	if err != nil {
		return err
	}
	t.journal = journal
	for i := range entries {
		e := &entries[i]
		if offset := e.Seed - first; e.Seed >= first && offset < uint64(s.flags.seeds) && s.shard.Has(offset) && !t.known[offset] {
			t.known[offset] = true
			t.add(&e.Result)
			s.coverage.Add(&e.Exercised)
			if err := t.ended(offset, &e.Result); err != nil {
				return err
			}
			if err := s.out.run(e.Result); err != nil {
				return err
			}
		}
	}
	for offset := range uint64(s.flags.seeds) {
		if s.runs(t, offset) {
			t.open++
		}
	}
	s.tales = append(s.tales, t)
	return nil
}

// add counts a run.
func (t *tale) add(r *report.Result) {
	t.sum.Add(r)
	for name := range r.Exercised.Marks {
		t.marks[name] = true
	}
}

// sometimesRuns is how many runs of a scenario say whether something happens sometimes.
const sometimesRuns = 20

// never are the marks that some run of the scenario should have hit, and none has.
func (t *tale) never() (names []string) {
	if t.sum.Runs() < sometimesRuns {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.story.Expect.Sometimes), func(name string) bool { return t.marks[name] })
}

// runs reports whether a seed is to be run.
func (s *sweeper) runs(t *tale, offset uint64) bool {
	return s.shard.Has(offset) && !t.known[offset] && s.flags.seed.or(t.story.Seed) <= math.MaxUint64-offset
}

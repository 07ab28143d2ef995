package dreamland

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"time"

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
	only  *report.Result // what came of the run of the only seed
	next  uint64         // offset of the next seed that may be run
	open  int            // runs that are still to end
}

// sweeper makes the runs of many seeds, and tells what they come to.
type sweeper struct {
	flags    *simFlags
	shard    sweep.Shard
	do       func(job) report.Result
	out      *output
	progress *progress
	tales    []*tale
	coverage *report.Coverage
	turn     int // of the tale that the next run is of
	told     int // tales that have been printed
	began    time.Time
	stopped  bool // no run is begun any more
	made     int  // runs of this process
	// results are printed in the order in which their runs began, from next on.
	begun, next int
	waiting     map[int]report.Result
}

// sweep runs the seeds of all scenarios, until all are done, the time is over, one
// fails if that is enough, or somebody interrupts. What is known by then is told.
func (f *simFlags) sweep(stories []*scenario.Scenario, out *output, progress *progress, stderr io.Writer) error {
	return f.sweepOf(out, progress, stderr, func(s *sweeper) error {
		for _, story := range stories {
			if err := s.add(story); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepOf is sweep of the tales that add adds.
func (f *simFlags) sweepOf(out *output, progress *progress, stderr io.Writer, add func(*sweeper) error) error {
	ctx, done := interruptible()
	defer done()
	workers := newPool(ctx)
	defer workers.close()
	s := &sweeper{flags: f, do: workers.run, out: out, progress: progress, began: time.Now(), waiting: map[int]report.Result{}, coverage: report.NewCoverage()}
	s.shard, _ = sweep.ParseShard(f.many.shard) // checked before
	if f.verify {
		s.do = runTwice
	}
	defer s.close()
	if err := add(s); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		fmt.Fprintf(stderr, "dreamland: interrupted after %d of %s\n", s.count(), s.goal())
	}
	if f.many.coverage {
		s.cover()
	}
	if err := out.verdict(); err != nil || ctx.Err() == nil {
		return err
	}
	return errInterrupted
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
	t.sum, t.known = report.NewSummary(t.story.Name, t.wire), map[uint64]bool{}
	journal, entries, err := s.flags.many.journal(h)
	if err != nil {
		return err
	}
	t.journal = journal
	for i := range entries {
		e := &entries[i]
		if offset := e.Seed - first; e.Seed >= first && offset < uint64(s.flags.seeds) && s.shard.Has(offset) && !t.known[offset] {
			t.known[offset] = true
			t.sum.Add(&e.Result)
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

// runs reports whether a seed is to be run.
func (s *sweeper) runs(t *tale, offset uint64) bool {
	return s.shard.Has(offset) && !t.known[offset] && s.flags.seed.or(t.story.Seed) <= math.MaxUint64-offset
}

func (s *sweeper) close() {
	for _, t := range s.tales {
		if t.journal != nil {
			_ = t.journal.Close() // each line has been written already
		}
	}
}

// ended is a run that has come to its end.
type ended struct {
	tale   *tale
	offset uint64
	number int
	result report.Result
}

func (s *sweeper) run(ctx context.Context) error {
	results := make(chan ended, s.flags.jobs) // never full: nobody waits to tell
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	defer s.progress.clear()
	for running := 0; ; {
		for running < s.flags.jobs {
			begun, err := s.begin(results)
			if err != nil {
				return err
			}
			if !begun {
				break
			}
			running++
		}
		if running == 0 || s.stopped {
			break
		}
		select {
		case e := <-results:
			running--
			if ctx.Err() != nil { // it was killed
				s.stopped = true
				continue
			}
			if err := s.take(e); err != nil {
				return err
			}
		case <-ctx.Done():
			s.stopped = true
		case <-ticker.C:
		}
		s.show()
	}
	s.progress.clear()
	return s.tellAll()
}

// begin begins the next run, if there is one and time for it.
func (s *sweeper) begin(results chan<- ended) (bool, error) {
	if s.stopped || s.late() {
		return false, nil
	}
	t := s.pick()
	if t == nil {
		return false, nil
	}
	offset := t.next
	if may, err := t.may(offset); !may || err != nil {
		return false, err
	}
	j, err := t.job(offset)
	if err != nil {
		return false, err
	}
	t.next++
	if s.flags.many.limit > 0 {
		s.turn++ // the time may not be enough for all: one of each
	}
	number := s.begun
	s.begun++
	go func() { results <- ended{t, offset, number, s.do(j)} }()
	return true, nil
}

func (s *sweeper) late() bool {
	return s.flags.many.limit > 0 && time.Since(s.began) >= s.flags.many.limit
}

// pick returns the scenario of the next run, with next set to its seed: all of one
// scenario after the other, or, if the time may not be enough for all, one of each in
// turn. nil: all have begun.
func (s *sweeper) pick() *tale {
	for range s.tales {
		t := s.tales[s.turn%len(s.tales)]
		for t.next < uint64(s.flags.seeds) && !s.runs(t, t.next) {
			t.next++
		}
		if t.next < uint64(s.flags.seeds) {
			return t
		}
		s.turn++
	}
	return nil
}

// take notes what a run came to.
func (s *sweeper) take(e ended) error {
	r := &e.result
	s.made++
	e.tale.open--
	if err := e.tale.ended(e.offset, r); err != nil {
		return err
	}
	e.tale.sum.Add(r)
	s.coverage.Add(&r.Exercised)
	if s.flags.seeds == 1 {
		e.tale.only = r
	}
	if e.tale.journal != nil {
		if err := e.tale.journal.Add(sweep.Entry{Result: *r}); err != nil {
			return fmt.Errorf("--results: %w", err)
		}
	}
	s.stopped = s.flags.many.stopOnFailure && r.Verdict != report.Held
	s.waiting[e.number] = *r
	for {
		r, here := s.waiting[s.next]
		if !here {
			return s.tellDone()
		}
		delete(s.waiting, s.next)
		s.next++
		s.progress.clear()
		if err := s.out.run(r); err != nil {
			return err
		}
	}
}

// tellDone prints the scenarios of which all runs have ended, in order.
func (s *sweeper) tellDone() error {
	for s.told < len(s.tales) && s.tales[s.told].open == 0 {
		if err := s.tell(s.tales[s.told]); err != nil {
			return err
		}
	}
	return nil
}

// tellAll prints what is known of all others.
func (s *sweeper) tellAll() error {
	for n := s.next; n < s.begun; n++ {
		if r, here := s.waiting[n]; here {
			if err := s.out.run(r); err != nil {
				return err
			}
		}
	}
	for s.told < len(s.tales) {
		if err := s.tell(s.tales[s.told]); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweeper) tell(t *tale) error {
	s.told++
	s.progress.clear()
	if t.sum.Runs() == 0 {
		return nil // interrupted before
	}
	if t.only != nil {
		return s.out.one(t.story, t.only)
	}
	return s.out.many(t.story, t.sum)
}

// count is how many runs are known, those of earlier calls included.
func (s *sweeper) count() (n int) {
	for _, t := range s.tales {
		n += t.sum.Runs()
	}
	return n
}

// goal is how many there are to be.
func (s *sweeper) goal() string {
	if s.flags.many.open {
		return s.flags.many.limit.String()
	}
	n := s.count()
	for _, t := range s.tales {
		n += t.open
	}
	return fmt.Sprintf("%d seeds", n)
}

// show brings the line on the terminal up to date.
func (s *sweeper) show() {
	var failed, open int
	var virtual time.Duration
	for _, t := range s.tales {
		failed += t.sum.Failed()
		open += t.open
		virtual += time.Duration(t.sum.VirtualMS()) * time.Millisecond
	}
	past := time.Since(s.began)
	rate := float64(s.made) / past.Seconds()
	s.progress.show("%d of %s, %d failed, %.1f seeds/s, %.1f virtual hours%s", s.count(), s.goal(), failed, rate, virtual.Hours(), s.left(past, open))
}

// left is how long it will take, "" while nobody knows.
func (s *sweeper) left(past time.Duration, open int) string {
	left := time.Duration(math.MaxInt64)
	if s.made > 0 && !s.flags.many.open {
		left = time.Duration(float64(past) / float64(s.made) * float64(open))
	}
	if limit := s.flags.many.limit; limit > 0 {
		left = min(left, max(0, limit-past))
	}
	if left == math.MaxInt64 {
		return ""
	}
	return fmt.Sprintf(", %s to go", left.Round(time.Second))
}

package dreamland

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/sweep"
)

// sweeper makes the runs of many seeds, and tells what they come to.
type sweeper struct {
	flags    *simFlags
	shard    sweep.Shard
	do       func(job) report.Result
	out      *output
	stderr   io.Writer // for what people are told beside --json
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
	s := &sweeper{flags: f, do: workers.run, out: out, stderr: stderr, progress: progress, began: time.Now(), waiting: map[int]report.Result{}, coverage: report.NewCoverage()}
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
		if err := s.cover(); err != nil {
			return err
		}
	}
	if err := out.verdict(); err != nil || ctx.Err() == nil {
		return err
	}
	return errInterrupted
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
	e.tale.add(r)
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

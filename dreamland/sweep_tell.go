package dreamland

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

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
		s.tellNothing(t)
		return nil
	}
	if t.only != nil {
		return s.out.one(t.story, t.only)
	}
	if err := s.out.many(t.story, t.sum); err != nil {
		return err
	}
	never := t.never()
	if len(never) == 0 {
		return nil
	}
	s.out.failed = true
	if s.flags.json {
		if err := writeJSON(s.out.out, neverJSON{t.story.Name, t.sum.Runs(), never}); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.verdicts(), "FAILED  %s: no seed of %d has hit what some should: %s\n", t.story.Name, t.sum.Runs(), strings.Join(never, ", "))
	return nil
}

// neverJSON are marks that some of the seeds of a scenario should have hit, and none has.
type neverJSON struct {
	Scenario string   `json:"scenario"`
	Seeds    int      `json:"seeds"`
	Never    []string `json:"sometimes_never"`
}

// tellNothing says of a scenario without a run that there is none to make in the shard,
// unless it is that somebody interrupted or the time was over.
func (s *sweeper) tellNothing(t *tale) {
	for offset := range uint64(s.flags.seeds) {
		if s.runs(t, offset) {
			return
		}
	}
	fmt.Fprintf(s.verdicts(), "nothing to run  %s: no seed of %d..%d is in shard %d/%d\n", t.story.Name, t.first, t.first+uint64(s.flags.seeds)-1, s.shard.Part, s.shard.Of)
}

// verdicts is where people read what is no result of a single run.
func (s *sweeper) verdicts() io.Writer {
	if s.flags.json {
		return s.stderr
	}
	return s.out.out
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

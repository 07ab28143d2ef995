package clock

import (
	"fmt"
	"log/slog"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// LongTurn is how long a turn of a live loop may take: all other tasks of the loop wait
	// meanwhile. Longer work parks in between, or leaves with Offload.
	LongTurn = 50 * time.Millisecond
	// warnInterval is how often a loop warns at most.
	warnInterval = time.Second
	// turnBuckets is the length of the histogram: the last bucket begins at
	// 2^23 us, which is 8.4 s.
	turnBuckets = 25
)

// TurnMeter is a loop that measures its turns, as live loops do. A simulated
// turn takes no time.
type TurnMeter interface {
	// Turns is the statistics since the loop began. It may be called from anywhere.
	Turns() TurnStats
}

// TurnStats is the distribution of the durations of a loop's turns.
type TurnStats struct {
	// Buckets[0] counts turns of less than 1 us, Buckets[i] those of 2^(i-1) to
	// 2^i us, and the last one all that took longer.
	Buckets [turnBuckets]uint64
	// Long counts turns of more than LongTurn.
	Long uint64
	// Longest is the longest turn.
	Longest time.Duration
}

// Count is how many turns there were.
func (s TurnStats) Count() (n uint64) {
	for _, b := range s.Buckets {
		n += b
	}
	return n
}

// Quantile is a bound that a share q of all turns, from 0 to 1, did not exceed:
// the end of a bucket, so up to twice as much as the true quantile. It is 0 if
// there were no turns.
func (s TurnStats) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(s.Count()))
	var seen uint64
	for i, b := range s.Buckets {
		if seen += b; b > 0 && seen >= rank {
			return min(s.Longest, bucketEnd(i))
		}
	}
	return s.Longest
}

func (s TurnStats) String() string {
	return fmt.Sprintf("%d turns, half within %s, 99%% within %s, longest %s, %d over %s",
		s.Count(), s.Quantile(0.5), s.Quantile(0.99), s.Longest, s.Long, LongTurn)
}

// bucketOf is the bucket of a duration.
func bucketOf(d time.Duration) int {
	return min(bits.Len64(uint64(max(0, d)/time.Microsecond)), turnBuckets-1)
}

// bucketEnd is the least duration that is too long for bucket i; the last one
// has no end.
func bucketEnd(i int) time.Duration {
	if i == turnBuckets-1 {
		return 1<<63 - 1
	}
	return time.Microsecond << i
}

// turnMeter measures the turns of one loop. It is read while it is written.
type turnMeter struct {
	buckets [turnBuckets]atomic.Uint64
	long    atomic.Uint64
	longest atomic.Int64

	log     *slog.Logger // nil: no warnings
	warned  atomic.Int64 // when, by processStart; 0: never
	unsaid  atomic.Uint64
	elapsed func() time.Duration // for tests; nil: since processStart
}

// add counts a turn and reports whether it was a long one.
func (m *turnMeter) add(took time.Duration) (long bool) {
	m.buckets[bucketOf(took)].Add(1)
	for {
		before := m.longest.Load()
		if int64(took) <= before || m.longest.CompareAndSwap(before, int64(took)) {
			break
		}
	}
	if took <= LongTurn {
		return false
	}
	m.long.Add(1)
	return true
}

// warn logs the task of a long turn, at most once in warnInterval; the next warning says how many
// there were in between.
func (m *turnMeter) warn(loop string, task fmt.Stringer, took time.Duration) {
	if m.log == nil {
		return
	}
	now := time.Since(processStart)
	if m.elapsed != nil {
		now = m.elapsed()
	}
	before := m.warned.Load()
	if before != 0 && now-time.Duration(before) < warnInterval || !m.warned.CompareAndSwap(before, max(1, int64(now))) {
		m.unsaid.Add(1)
		return
	}
	m.log.Warn("a turn took long: everything else on its loop waited",
		slog.String("loop", loop), slog.String("task", task.String()), slog.Duration("took", took),
		slog.Uint64("not-reported-before", m.unsaid.Swap(0)))
}

func (m *turnMeter) stats() (s TurnStats) {
	for i := range m.buckets {
		s.Buckets[i] = m.buckets[i].Load()
	}
	s.Long, s.Longest = m.long.Load(), time.Duration(m.longest.Load())
	return s
}

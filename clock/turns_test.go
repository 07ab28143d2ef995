package clock

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		bucket int
	}{
		{-time.Second, 0}, {0, 0}, {999 * time.Nanosecond, 0},
		{time.Microsecond, 1}, {1999 * time.Nanosecond, 1},
		{2 * time.Microsecond, 2}, {3 * time.Microsecond, 2}, {4 * time.Microsecond, 3},
		{time.Millisecond, 10}, {50 * time.Millisecond, 16},
		{1<<23*time.Microsecond - 1, 23}, {1 << 23 * time.Microsecond, 24}, {time.Hour, 24},
	} {
		require.Equal(t, c.bucket, bucketOf(c.d), c.d.String())
	}
}

// TestQuantiles compares with all turns, sorted: a quantile is never too small
// and never twice as much as the true one or more.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "ns")) >> rapid.IntRange(0, 30).Draw(t, "shift")
		}), 1, 200).Draw(t, "turns")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var m turnMeter
		long := 0
		for _, d := range turns {
			if m.add(d) {
				long++
			}
		}
		s := m.stats()
		slices.Sort(turns)
		require.EqualValues(t, len(turns), s.Count())
		require.EqualValues(t, long, s.Long)
		require.Equal(t, turns[len(turns)-1], s.Longest)
		truth := turns[max(0, int(q*float64(len(turns)))-1)]
		got := s.Quantile(q)
		require.GreaterOrEqual(t, got, truth)
		require.LessOrEqual(t, got, max(time.Microsecond, 2*truth, min(s.Longest, bucketEnd(bucketOf(truth)))))
	})
	require.Zero(t, TurnStats{}.Quantile(0.5))
}

// A turn is long from beyond LongTurn on, and of the last bucket only the longest turn says how long they were.
func TestTheLongestTurns(t *testing.T) {
	var m turnMeter
	require.False(t, m.add(LongTurn))
	require.True(t, m.add(LongTurn+1))
	require.EqualValues(t, 1, m.stats().Long)
	require.True(t, m.add(5*time.Hour))
	require.Equal(t, 5*time.Hour, m.stats().Quantile(1))
	require.Equal(t, 5*time.Hour, m.stats().Longest)
	require.Less(t, m.stats().Quantile(0.5), 2*LongTurn)
	for i := range turnBuckets - 1 {
		require.Equal(t, i, bucketOf(bucketEnd(i)-1))
		require.Equal(t, i+1, bucketOf(bucketEnd(i)))
	}
}

func TestWarningsAreRare(t *testing.T) {
	var out bytes.Buffer
	now := time.Hour
	m := turnMeter{log: slog.New(slog.NewTextHandler(&out, nil)), elapsed: func() time.Duration { return now }}
	for range 10 {
		m.warn("tns", &liveTask{name: "serve"}, time.Second)
		now += warnInterval / 4
	}
	require.Equal(t, 3, strings.Count(out.String(), "a turn took long"))
	require.Equal(t, 2, strings.Count(out.String(), "not-reported-before=3"))
	(&turnMeter{}).warn("tns", &liveTask{}, time.Second) // without a log
}

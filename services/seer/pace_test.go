package seer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A message that is sent at, and under way for, so many seconds; and the delay
// that the receiver should see in it.
type sending struct{ sent, wayS, want float64 }

func TestPaceSeesExtraDelay(t *testing.T) {
	tests := map[string][]sending{
		"even":             {{0, 0.5, 0}, {1, 0.5, 0}, {2, 0.5, 0}},
		"one late":         {{0, 0.1, 0}, {1, 1.6, 1.5}, {2.7, 0.1, 0}},
		"held and burst":   {{0, 0, 0}, {1, 0, 0}, {2, 58, 57.9}, {3, 57, 56.9}, {4, 56, 55.9}, {59, 1, 0.9}},
		"drift of 500 ppm": {{0, 0, 0}, {100, 0.05, 0}, {200, 0.1, 0}, {300, 0.15, 0}},
		"shorter from now": {{0, 2, 0}, {1, 1, 0}, {2, 1, 0}},
		"lasting change":   {{0, 0, 0}, {1, 3, 3}, {2, 3, 3}, {3, 3, 3}, {6, 3, 3}, {9, 3, 3}},
	}
	for name, sendings := range tests {
		t.Run(name, func(t *testing.T) {
			var p pace
			for _, s := range sendings {
				const theirClock = 1000 // its zero is not ours
				got := p.delay(seconds(s.sent+s.wayS), seconds(s.sent+theirClock))
				require.Equal(t, seconds(s.want), got.Round(100*time.Millisecond), "sent at %v", s.sent)
			}
		})
	}
}

func TestPaceBelievesAnswers(t *testing.T) {
	var p pace
	require.Zero(t, p.delay(seconds(10), seconds(0)))
	// Its clock stood still for a minute.
	require.Equal(t, 60*time.Second, p.delay(seconds(80), seconds(10)).Round(time.Second))
	p.answered(seconds(81), seconds(10.5), seconds(1))
	require.Equal(t, seconds(1), p.delay(seconds(81), seconds(10.5)), "as slow as the whole round trip")
	require.Equal(t, seconds(0.5), p.delay(seconds(81.5), seconds(11.5)).Round(time.Millisecond))
}

func TestPaceNeverOverstates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		now, constant := time.Duration(0), time.Duration(rapid.Int64().Draw(t, "constant")/4)
		for range rapid.IntRange(1, 50).Draw(t, "messages") {
			now += time.Duration(rapid.Int64Range(0, 10e9).Draw(t, "later"))
			way := time.Duration(rapid.Int64Range(0, 60e9).Draw(t, "way"))
			delay := p.delay(now, now-way+constant)
			require.GreaterOrEqual(t, delay, time.Duration(0))
			require.LessOrEqual(t, delay, way)
		}
	})
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

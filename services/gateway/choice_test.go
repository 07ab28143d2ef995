package gateway

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

func drawn(r *rand.Rand) Candidate {
	c := Candidate{InFlight: r.IntN(5), Load: float64(r.IntN(3)) / 2, Latency: time.Duration(r.IntN(4)) * 10 * time.Millisecond, Idle: time.Duration(r.IntN(3)) * 15 * time.Second, Warm: r.IntN(2) == 0}
	c.Peer[0] = byte(r.IntN(200))
	return c
}

// TestScoreIsATotalOrder: who is better than the better one is better; equal are only equals.
func TestScoreIsATotalOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		a, b, c := drawn(r), drawn(r), drawn(r)
		require.Equal(t, a.Compare(b), -b.Compare(a))
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 {
			require.LessOrEqual(t, a.Compare(c), 0)
		}
		if a.Compare(b) == 0 {
			require.Equal(t, a.Peer, b.Peer)
		}
	}
}

// TestScorePrefers what a request waits less for.
func TestScorePrefers(t *testing.T) {
	base := Candidate{InFlight: 2, Load: 0.5, Latency: 20 * time.Millisecond, Warm: true}
	for name, worse := range map[string]func(c *Candidate){
		"more requests": func(c *Candidate) { c.InFlight++ },
		"more load":     func(c *Candidate) { c.Load = 1 },
		"slower":        func(c *Candidate) { c.Latency *= 2 },
		"cold":          func(c *Candidate) { c.Warm = false },
	} {
		c := base
		worse(&c)
		require.Greater(t, c.Score(), base.Score(), name)
	}
	slow := base
	slow.Latency, slow.Idle = time.Second, 2*time.Minute
	require.Less(t, slow.Score(), base.Score()*2, "it was long ago")
}

// TestChooseTakesTheBetterOfTwo: each pair is as likely as any other, and the worst of several is never taken.
func TestChooseTakesTheBetterOfTwo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var list []Candidate
	for i := range 4 {
		c := Candidate{Latency: time.Duration(i+1) * 10 * time.Millisecond}
		c.Peer[0] = byte(i)
		list = append(list, c)
	}
	counts := make([]int, 4)
	for range 6000 {
		counts[Choose(list, r.IntN).Peer[0]]++
	}
	require.Zero(t, counts[3])
	require.InDelta(t, 3000, counts[0], 200)
	require.InDelta(t, 2000, counts[1], 200)
	require.InDelta(t, 1000, counts[2], 200)
	require.Equal(t, list[2], Choose(list[2:3], nil))
}

// TestEjection: after some failures in a row, or a grave one, for longer each time; an answer ends it.
func TestEjection(t *testing.T) {
	s := DefaultSettings()
	var h health
	require.Equal(t, unclear, h.failed(false, s))
	require.Equal(t, unclear, h.failed(false, s))
	require.Equal(t, doubtful, h.failed(false, s))
	h.eject(0, s)
	require.Equal(t, s.EjectFor, h.until)
	require.Equal(t, unclear, h.failed(true, s), "it is out already")
	var waits []time.Duration
	for range 7 {
		h.eject(0, s)
		waits = append(waits, h.until)
	}
	require.True(t, slices.IsSorted(waits))
	require.Equal(t, 2*s.EjectFor, waits[0])
	require.Equal(t, s.EjectMax, waits[6])
	h.succeeded()
	require.Equal(t, health{}, h)
	require.Equal(t, gone, h.failed(true, s))
	_ = transport.Peer{}
}

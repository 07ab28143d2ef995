package gateway

import (
	"cmp"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

// Candidate is a substrate that may be asked, as it was seen last.
type Candidate struct {
	Peer transport.Peer
	// InFlight are this gateway's own requests there.
	InFlight int
	// Load is the part of the requests that it can serve which it serves, by its own word: from 0 to 1.
	Load float64
	// Latency is how long the heads of its responses took lately, 0 if nothing is known; Idle for how long it was not asked.
	Latency, Idle time.Duration
	// Warm: it has answered for this host before, so what answers is there.
	Warm bool
}

const (
	// latencyFloor is added to each latency: differences below are noise.
	latencyFloor = time.Millisecond
	// latencyHalves is the time in which an old latency counts half: who was slow is tried again now and then.
	latencyHalves = 10 * time.Second
)

// Score is how much a request is expected to wait there; less is better. It is the latency, times the requests that are
// there already, twice as much where all that can be served is, half as much again where assets are to be fetched first.
func (c Candidate) Score() float64 {
	latency := float64(c.Latency)
	for idle := c.Idle; idle >= latencyHalves && latency > 1; idle -= latencyHalves {
		latency /= 2
	}
	score := (latency + float64(latencyFloor)) * float64(1+c.InFlight) * (1 + c.Load)
	if !c.Warm {
		score *= 1.5
	}
	return score
}

// Compare is a total order: the better one is less; of equals, the one with the lesser peer.
func (c Candidate) Compare(d Candidate) int {
	return cmp.Or(cmp.Compare(c.Score(), d.Score()), c.Peer.Compare(d.Peer))
}

// Choose picks two candidates by lot and takes the better one, so that all gateways do not ask the best at once. draw
// returns a number below n. There is a candidate.
func Choose(list []Candidate, draw func(n int) int) Candidate {
	if len(list) == 1 {
		return list[0]
	}
	i, j := draw(len(list)), draw(len(list)-1)
	if j >= i {
		j++
	}
	return slices.MinFunc([]Candidate{list[i], list[j]}, Candidate.Compare)
}

// health is whether a substrate may be asked.
type health struct {
	failures  int // in a row
	ejections int // in a row
	// until it is not asked; then it is probed before it is.
	until   time.Duration
	ejected bool
}

// verdict is what a failure says of a substrate.
type verdict int

const (
	unclear  verdict = iota
	doubtful         // ask it how it is
	gone             // it is not there
)

// failed notes a failure. Grave ones, such as that nobody is there, eject it alone; of others several in a row raise doubts.
func (h *health) failed(grave bool, s *Settings) verdict {
	h.failures++
	switch {
	case h.ejected:
		return unclear
	case grave:
		return gone
	case h.failures >= s.EjectAfter:
		return doubtful
	}
	return unclear
}

func (h *health) eject(now time.Duration, s *Settings) {
	wait := s.EjectFor
	for range h.ejections {
		wait = min(2*wait, s.EjectMax)
	}
	h.ejected, h.until = true, now+min(wait, s.EjectMax)
	h.ejections++
}

// succeeded notes an answer.
func (h *health) succeeded() { *h = health{} }

package transport

import (
	"errors"
	"time"
)

const (
	// windowMin, windowMax and windowFirst bound, in bytes, what a session has
	// sent and the peer has not yet said it has: from half a second of a link of
	// 8 kB/s to a link of 40 MB/s and 100 ms.
	windowMin   = 4 << 10
	windowFirst = 16 << 10
	windowMax   = 4 << 20
	// queueTarget is the queueing delay that a window aims at: urgent frames wait that long behind
	// those in flight.
	queueTarget = 250 * time.Millisecond
	// rttMemory is how long the least round trip is believed, or this many round
	// trips, before it is measured again with nothing else on the way.
	rttMemory      = 10 * time.Second
	rttMemoryTrips = 20
	// rttLatest is how many answers are compared: the quickest gives the delay, since a queue delays them all, a link that
	// jitters only some. One answer is enough if it is lateFactor times as late as a window aims at: a link that has become
	// slow takes very long for three more, and jitter of over half a second is as bad as a queue.
	rttLatest  = 4
	lateFactor = 2
)

// window bounds the bytes in flight of a session, all its traffic together (the window of one
// stream is an inflow): enough to keep a link busy and no more, whatever its speed, so that beacons
// and calls do not wait behind a long queue. Frames that a socket has taken cannot be overtaken,
// and sockets take megabytes.
//
// Every now and then a sender asks whether all up to a position has arrived. The answer gives the round trip:
// its excess over the recent minimum is queueing, and the window grows while that is below queueTarget and
// shrinks while it is above (the idea of LEDBAT, RFC 6817, and its filter of the delay, with BBR's way to
// measure the least round trip: let the queue run empty).
type window struct {
	size    int
	sent    uint64 // bytes since the session began
	arrived uint64 // of those, as far as we know
	asked   []question

	least      time.Duration // the least round trip of late, seen at leastSince
	leastSince time.Duration
	latest     [rttLatest]time.Duration // the last round trips, in a ring; 0: none yet
	answers    int
	probing    int    // the size to return to; 0 when the round trip is not being measured
	probeFrom  uint64 // answers to questions from here on measure it
	limited    bool   // something waited for the window since the last answer
	shrinkFrom uint64 // questions before this were asked before the window shrank
	settled    bool   // it has shrunk
}

// question is an ask frame that is not answered.
type question struct {
	position uint64
	at       time.Duration
}

var errAnswer = errors.New("an answer to no question")

func newWindow() window { return window{size: windowFirst} }

// onTheWay is how many bytes are in flight, as far as is known.
func (w *window) onTheWay() int { return int(w.sent - w.arrived) }

// due reports whether it is time to ask: a quarter of the window was sent since the last question,
// or frames wait and no answer is coming, or nothing is left to send and much would be counted as
// in flight for long.
func (w *window) due(waits, idle bool) bool {
	since := w.sent - w.lastAsked()
	switch {
	case waits && len(w.asked) == 0:
		return since > 0
	case idle:
		return since >= windowMin
	}
	return since >= uint64(max(w.size, windowMin)/4)
}

func (w *window) lastAsked() uint64 {
	if n := len(w.asked); n > 0 {
		return w.asked[n-1].position
	}
	return w.arrived
}

// ask records a question and returns its position.
func (w *window) ask(now time.Duration) uint64 {
	w.asked = append(w.asked, question{position: w.sent, at: now})
	return w.sent
}

// answer handles the answer to the oldest question.
func (w *window) answer(position uint64, now time.Duration) error {
	if len(w.asked) == 0 || w.asked[0].position != position {
		return errAnswer
	}
	rtt := now - w.asked[0].at
	w.asked = w.asked[1:]
	arrived := int(position - w.arrived)
	w.arrived = position
	if w.probing > 0 {
		w.probe(position, rtt, now)
		return nil
	}
	if w.least == 0 || rtt <= w.least {
		w.least, w.leastSince = max(rtt, 1), now
	}
	w.adjust(position, arrived, rtt, w.quickest(rtt))
	if w.limited && now-w.leastSince > max(rttMemory, rttMemoryTrips*w.least) {
		w.probing, w.probeFrom, w.size = w.size, w.sent, 1
	}
	w.limited = false
	return nil
}

// quickest is the least round trip of the latest answers and this one, or this one if
// that is very late.
func (w *window) quickest(rtt time.Duration) time.Duration {
	w.latest[w.answers%rttLatest] = rtt
	w.answers++
	if rtt > lateFactor*(w.least+queueTarget) {
		return rtt
	}
	for _, other := range w.latest {
		if other > 0 {
			rtt = min(rtt, other)
		}
	}
	return rtt
}

// adjust grows or shrinks the window by the delay of one answer. It doubles in a
// round trip until it was too large for the first time; from then on it grows by
// what fills the room that is left.
func (w *window) adjust(position uint64, arrived int, rtt, quickest time.Duration) {
	room := w.least + queueTarget - rtt
	switch {
	case room > 0 && w.limited:
		gain := 1.0
		if w.settled {
			gain = min(gain, float64(room)/float64(rtt))
		}
		w.size = min(windowMax, w.size+int(gain*float64(arrived)))
	case w.least+queueTarget < quickest && position > w.shrinkFrom:
		w.size = max(windowMin, int(float64(w.size)*float64(w.least+queueTarget)/float64(quickest)))
		w.shrinkFrom = w.sent
		w.settled = true
	}
}

// probe ends the measurement with the first answer to a question that was asked
// after the queue had run empty.
func (w *window) probe(position uint64, rtt, now time.Duration) {
	if position <= w.probeFrom {
		return
	}
	w.least, w.leastSince = max(rtt, 1), now
	w.size, w.probing = w.probing, 0
	w.shrinkFrom = w.sent
}

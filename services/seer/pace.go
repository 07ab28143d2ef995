package seer

import "time"

// driftDivisor is the reciprocal of the drift between two clocks that is accepted without asking:
// more than quartz error and NTP slewing together.
const driftDivisor = 1024

// pace estimates how much longer than the fastest a sender's message was in transit, from the
// sender's clock in the message and the receiver's on arrival. The difference of the two clocks is
// the delay plus a constant; a message that was held for a minute arrives with a difference a
// minute larger than that of the fastest one.
//
// A sender whose clock is slow, or stood still, looks the same: only an answer to a question
// (answered) distinguishes the two.
//
// The zero value has seen no message.
type pace struct {
	heard bool
	low   time.Duration // the least difference, raised by the drift that clocks have
	at    time.Duration // when low was last raised
}

// delay records a message that its sender stamped with sent and that arrived at now, and returns
// its delay beyond the recent minimum.
func (p *pace) delay(now, sent time.Duration) time.Duration {
	difference := now - sent
	if !p.heard {
		*p = pace{heard: true, low: difference, at: now}
	}
	p.low = min(p.low+(now-p.at)/driftDivisor, difference)
	p.at = now
	return difference - p.low
}

// answered records, before delay, that the message answers a question that was asked roundTrip ago,
// and so was in transit for at most that long.
func (p *pace) answered(now, sent, roundTrip time.Duration) {
	if sure := now - sent - roundTrip; p.heard && sure > p.low {
		slowClock.HitIf(sure > p.low+time.Second)
		*p = pace{heard: true, low: sure, at: now}
	}
}

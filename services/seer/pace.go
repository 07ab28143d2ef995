package seer

import "time"

// driftDivisor bounds the drift between two clocks that needs no question: one
// part in so many, more than crystals and the slewing of NTP add up to.
const driftDivisor = 1024

// pace tells how much longer than others a message of one sender was under way,
// from the sender's clock in it and the receiver's on arrival. Neither clock
// says anything by itself, but their difference is the delay plus a constant; a
// message that was held for a minute arrives with a difference a minute larger
// than that of the quickest.
//
// A sender whose clock is slow, or stood still, looks the same: only an answer
// to a question (answered) tells the two apart.
//
// The zero value has not heard anything.
type pace struct {
	heard bool
	low   time.Duration // the least difference, raised by the drift that clocks have
	at    time.Duration // when low was last raised
}

// delay takes note of a message that its sender stamped with sent and that
// arrived at now, and returns its delay beyond the least of late.
func (p *pace) delay(now, sent time.Duration) time.Duration {
	difference := now - sent
	if !p.heard {
		*p = pace{heard: true, low: difference, at: now}
	}
	p.low = min(p.low+(now-p.at)/driftDivisor, difference)
	p.at = now
	return difference - p.low
}

// answered takes note, before delay, that the message answers a question that
// was asked roundTrip ago, and so was not under way for longer.
func (p *pace) answered(now, sent, roundTrip time.Duration) {
	if sure := now - sent - roundTrip; p.heard && sure > p.low {
		*p = pace{heard: true, low: sure, at: now}
	}
}

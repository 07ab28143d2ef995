package seer

import "time"

// paceWindow is how long the shortest delay is remembered, at least once and at
// most twice: long beside a burst of held messages, short beside the drift of
// two clocks, even of one that runs at half its speed.
const paceWindow = 2 * time.Second

// pace tells how much longer than others a message of one sender was under way,
// from the sender's clock in it and the receiver's on arrival. Neither clock
// says anything by itself, but their difference is the delay plus a constant; a
// message that was held for a minute arrives with a difference a minute larger
// than that of its predecessors. A lasting change (a longer route, a machine
// that was suspended) counts as delay for one or two windows only.
//
// The zero value has not heard anything.
type pace struct {
	heard         bool
	previous, low time.Duration // the least difference in the last window, in this one
	since         time.Duration // when this window began
}

// delay takes note of a message that its sender stamped with sent and that
// arrived at now, and returns its delay beyond the least of late.
func (p *pace) delay(now, sent time.Duration) time.Duration {
	difference := now - sent
	switch {
	case !p.heard:
		*p = pace{heard: true, previous: difference, low: difference, since: now}
	case now-p.since >= paceWindow:
		p.previous, p.low, p.since = p.low, difference, now
	default:
		p.low = min(p.low, difference)
	}
	return difference - min(p.previous, p.low)
}

package transport

import (
	"slices"
	"time"
)

// failed remembers that a peer could not be dialed: who wants to call it is told
// so at once, and does not wait for the next dial, which finds out whether the
// peer is back. So a dead peer costs one wait, not one for each call.
func (e *Engine) failed(l *link, a *actions) {
	now := e.loop.Elapsed()
	l.backoff = min(max(2*l.backoff, backoffMin), backoffMax)
	l.retryAt, l.failedAt = now+l.backoff, now
	e.dead = slices.DeleteFunc(e.dead, func(d *link) bool { return d == l })
	e.dead = append(e.dead, l)
	for len(e.dead) > deadLenMax {
		e.forgetOldest()
	}
	if !e.forgetting {
		e.forgetting = true
		a.add(func() { e.loop.AfterFunc(deadMemory, e.forgetDead) })
	}
}

// alive forgets that a peer was dead.
func (e *Engine) alive(l *link) {
	if l.backoff > 0 {
		e.dead = slices.DeleteFunc(e.dead, func(d *link) bool { return d == l })
	}
	l.backoff, l.retryAt = 0, 0
}

// forgetOldest forgets the peer whose last dial failed longest ago.
func (e *Engine) forgetOldest() {
	l := e.dead[0]
	e.alive(l)
	if l.idle() && e.links[l.peer] == l {
		delete(e.links, l.peer)
	}
}

// forgetDead forgets those who have been dead for long, and comes back for the
// others.
func (e *Engine) forgetDead() {
	e.do(func(a *actions) {
		now := e.loop.Elapsed()
		for len(e.dead) > 0 && e.dead[0].failedAt+deadMemory <= now {
			e.forgetOldest()
		}
		if e.forgetting = len(e.dead) > 0; e.forgetting {
			next := e.dead[0].failedAt + deadMemory - now
			a.add(func() { e.loop.AfterFunc(max(next, time.Millisecond), e.forgetDead) })
		}
	})
}

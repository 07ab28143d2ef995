package transport

import (
	"slices"
	"time"
)

// failed remembers that a peer could not be dialed: calls to it fail at once instead of waiting for
// the next dial, which finds out whether the peer is back. So a dead peer costs one wait, not one
// for each call.
func (e *Engine) failed(r *remote, cause *Error, a *actions) {
	now := e.loop.Elapsed()
	r.backoff = min(max(2*r.backoff, backoffMin), backoffMax)
	r.retryAt, r.failedAt, r.refusal = now+r.backoff, now, nil
	if cause.Kind == Refused || cause.Kind == NotAllowed {
		r.refusal = cause
	}
	e.dead = slices.DeleteFunc(e.dead, func(d *remote) bool { return d == r })
	e.dead = append(e.dead, r)
	for len(e.dead) > deadLenMax {
		e.forgetOldest()
	}
	if !e.forgetting {
		e.forgetting = true
		a.add(func() { e.loop.AfterFunc(deadMemory, e.forgetDead) })
	}
}

// alive forgets that a peer was dead.
func (e *Engine) alive(r *remote) {
	if r.backoff > 0 {
		e.dead = slices.DeleteFunc(e.dead, func(d *remote) bool { return d == r })
	}
	r.backoff, r.retryAt, r.refusal = 0, 0, nil
}

// forgetOldest forgets the peer whose last dial failed longest ago.
func (e *Engine) forgetOldest() {
	r := e.dead[0]
	e.alive(r)
	e.forgetIdle(r)
}

// forgetDead forgets peers that have been dead for long, and runs again for the others.
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

package sim

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
)

// branch is a loop of which the world has no turns: its tasks, timers and parks are
// those of its trunk, with the same numbers and in the same order as without it. It
// knows which of them are its own, so that the world notices what would be a race in a
// real node.
type branch struct{ trunk *loop }

// Branch implements clock.Loop.
func (l *loop) Branch() clock.Loop { return &branch{l} }

// HasTurn is what clock.Owned asks.
func (l *loop) HasTurn() bool { return l.w.isTurnOf(l) }

// Branch implements clock.Loop.
func (b *branch) Branch() clock.Loop { return b.trunk.Branch() }

// HasTurn is what clock.Owned asks.
func (b *branch) HasTurn() bool { return b.trunk.w.isTurnOf(b) }

// Now implements clock.Clock.
func (b *branch) Now() time.Time { return b.trunk.Now() }

// Elapsed implements clock.Clock.
func (b *branch) Elapsed() time.Duration { return b.trunk.Elapsed() }

// AfterFunc implements clock.Clock.
func (b *branch) AfterFunc(d time.Duration, f func()) clock.Timer { return b.trunk.afterFunc(b, d, f) }

// Go implements clock.Loop.
func (b *branch) Go(name string, f func(ctx context.Context)) { b.trunk.start(b, name, f) }

// Enter implements clock.Loop.
func (b *branch) Enter(name string, f func(ctx context.Context)) <-chan struct{} {
	return b.trunk.startForeign(b, name, f)
}

// Park implements clock.Loop.
func (b *branch) Park(ctx context.Context, arm func(wake func())) error {
	return b.trunk.park(b, ctx, arm)
}

// Leave implements clock.Loop.
func (b *branch) Leave(ctx context.Context, f func()) error { return b.trunk.leave(b, ctx, f) }

// isTurnOf reports whether the turn is a task's or a timer's of a loop or branch, or
// nobody's: then it is the world that looks.
func (w *World) isTurnOf(l clock.Loop) bool {
	if t := w.current; t != nil {
		return t.on == l
	}
	return w.timerOn == nil || w.timerOn == l
}

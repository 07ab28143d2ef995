package nodetest

import (
	"context"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/taucloud/tau/clock"
)

// Sleep moves time, and returns when all that is due by then has been done: a test sees the same,
// whichever of several things of one instant came first. What a test and its stand-ins share needs no
// lock: their turns and the test's are one after the other, also to the race detector. Turns of two
// machines may be at the same time: what the stand-ins of several machines share does need one.
func Sleep(d time.Duration) {
	order()
	time.Sleep(d)
	synctest.Wait()
	order()
}

// order lets what was done before be seen by all turns that begin later.
func order() { turns.Add(1) }

var turns atomic.Int64

// loop is a live loop whose clock begins with the bubble.
type loop struct {
	*clock.Live
	began time.Time
}

func newLoop() *loop { return &loop{clock.NewLive(), bubbleBegan} }

// bubbleBegan is the instant at which every bubble begins.
var bubbleBegan = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour)

// Elapsed implements clock.Clock.
func (l *loop) Elapsed() time.Duration { return time.Since(l.began) }

// Branch implements clock.Loop.
func (l *loop) Branch() clock.Loop { return &loop{l.Live.Branch().(*clock.Live), l.began} }

// AfterFunc implements clock.Clock.
func (l *loop) AfterFunc(d time.Duration, f func()) clock.Timer {
	return l.Live.AfterFunc(d, func() {
		order()
		defer order()
		f()
	})
}

// Go implements clock.Loop.
func (l *loop) Go(name string, f func(ctx context.Context)) {
	order()
	l.Live.Go(name, inOrder(f))
}

// Enter implements clock.Loop.
func (l *loop) Enter(name string, f func(ctx context.Context)) (lost <-chan struct{}) {
	order()
	return l.Live.Enter(name, inOrder(f))
}

func inOrder(f func(ctx context.Context)) func(ctx context.Context) {
	return func(ctx context.Context) {
		order()
		defer order()
		f(ctx)
	}
}

// Park implements clock.Loop.
func (l *loop) Park(ctx context.Context, arm func(wake func())) error {
	order()
	defer order()
	return l.Live.Park(ctx, arm)
}

// Leave implements clock.Loop.
func (l *loop) Leave(ctx context.Context, f func()) error {
	order()
	defer order()
	return l.Live.Leave(ctx, f)
}

package clock

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep parks for d. It returns early with the cause of ctx's end.
func Sleep(ctx context.Context, l Loop, d time.Duration) error {
	var timer Timer
	err := l.Park(ctx, func(wake func()) { timer = l.AfterFunc(d, wake) })
	if err != nil {
		timer.Stop()
	}
	return err
}

// Jittered draws a duration between 75% and 125% of d, so that what many nodes do
// once per d does not stay in step.
func Jittered(r *rand.Rand, d time.Duration) time.Duration {
	return d*3/4 + time.Duration(r.Int64N(int64(d)/2+1))
}

// deadlineKey finds the innermost deadline in a context.
type deadlineKey struct{}

type deadline struct {
	loop Loop
	at   time.Duration // in loop.Elapsed
}

// WithTimeout returns a context that ends with context.DeadlineExceeded as its
// cause when d has passed on l's monotonic clock. Call cancel in a turn of l
// when done with it.
func WithTimeout(ctx context.Context, l Loop, d time.Duration) (context.Context, context.CancelFunc) {
	if left, ok := Remaining(ctx); ok && left < d {
		d = left
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ctx = context.WithValue(ctx, deadlineKey{}, deadline{loop: l, at: l.Elapsed() + d})
	timer := l.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}

// Remaining is the time left until ctx's deadline, and whether it has one. The
// standard library's Deadline is not used: it speaks of a wall clock.
func Remaining(ctx context.Context) (time.Duration, bool) {
	d, ok := ctx.Value(deadlineKey{}).(deadline)
	if !ok {
		return 0, false
	}
	return max(0, d.at-d.loop.Elapsed()), true
}

// First runs f(ctx, 0) to f(ctx, n-1) as tasks and returns when need of them
// have succeeded (nil) or so many have failed that need cannot be reached (the
// first error that was returned). The context of those still running ends
// then. need of n waits for all; need <= 0 returns at once. ctx is the caller's,
// a task of l, so it ends with l.
func First(ctx context.Context, l Loop, n, need int, f func(ctx context.Context, i int) error) error {
	if need <= 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wake func()
	var first error
	succeeded, failed := 0, 0
	settled := func() bool { return succeeded >= need || failed > n-need }
	for i := range n {
		l.Go("first", func(context.Context) {
			err := f(ctx, i)
			if err == nil {
				succeeded++
			} else {
				failed++
				if first == nil {
					first = err
				}
			}
			if settled() && wake != nil {
				wake()
			}
		})
	}
	if settled() { // need > n
		return context.Canceled
	}
	if err := l.Park(ctx, func(w func()) { wake = w }); err != nil {
		return err
	}
	if succeeded >= need {
		return nil
	}
	return first
}

// Every runs f again and again as one task, interval after its last return,
// until ctx ends or f returns false. The first run is one interval from now.
func Every(ctx context.Context, l Loop, interval time.Duration, f func(ctx context.Context) bool) error {
	for {
		if err := Sleep(ctx, l, interval); err != nil {
			return err
		}
		if !f(ctx) {
			return nil
		}
	}
}

// Do runs f as a task of l and waits for it. It is how foreign goroutines (an HTTP handler, a
// library's callback) enter a loop, and must not be called by a task of l. f's context has the
// values of ctx and ends when ctx does or when l stops. Do returns ErrStopped if the loop stopped
// before f returned.
func Do(ctx context.Context, l Loop, f func(ctx context.Context)) error {
	if live, is := l.(*Live); is {
		return live.do(ctx, f)
	}
	done := make(chan error, 1)
	started := make(chan context.CancelCauseFunc, 1)
	lost := l.Enter("do", func(loopCtx context.Context) {
		inner, cancel := context.WithCancelCause(entered{loopCtx, ctx})
		result := ErrStopped
		defer func() {
			cancel(context.Canceled)
			done <- result
		}()
		started <- cancel
		if ctx.Err() != nil {
			cancel(context.Cause(ctx))
		}
		f(inner)
		result = nil
	})
	select {
	case err := <-done:
		return err
	case <-lost:
		return ErrStopped
	case <-ctx.Done():
	}
	select {
	case cancel := <-started:
		cancel(context.Cause(ctx))
		return <-done
	case <-lost:
		return ErrStopped
	}
}

// entered is a context that ends with its loop and has the values of another.
type entered struct {
	context.Context
	outer context.Context
}

// Value implements context.Context. The loop's come first: its only value is the one by which the
// standard library finds the parent to cancel with.
func (c entered) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.outer.Value(key)
}

// Offload gives up the turn, runs f outside of the loop and takes the turn again. It is for
// CPU-heavy or blocking work; f must not touch anything that the loop owns. It waits for f even
// when ctx ends meanwhile or the loop stops, because f may write to its caller's variables; the
// turn is free all that time. It returns ErrStopped or the cause of ctx's end if the loop or ctx
// has ended when f returns; f does not run if one had ended before the call.
func Offload(ctx context.Context, l Loop, f func()) error { return l.Leave(ctx, f) }

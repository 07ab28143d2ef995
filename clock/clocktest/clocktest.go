// Package clocktest is the conformance suite of clock.Loop. The live loop and the simulated loop
// must both pass it: it specifies what services rely on.
package clocktest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/taucloud/tau/clock"
)

// World makes one loop and runs body as its task; it returns when body has.
// stop ends the loop in order, as the node would.
type World func(t *testing.T, body func(ctx context.Context, l clock.Loop, stop func()))

// Run runs the suite.
func Run(t *testing.T, world World) {
	cases := []struct {
		name string
		body func(t *testing.T, ctx context.Context, l clock.Loop, stop func())
	}{
		{"a task keeps its turn until it parks", keepsTurn},
		{"sleep takes its time", sleepTakesTime},
		{"a stopped timer does not run", stoppedTimer},
		{"wake counts also when it comes at once or twice", earlyWake},
		{"park ends with its context", parkContext},
		{"timeouts nest and name their cause", timeouts},
		{"first waits for as many as needed", first},
		{"a bounded queue waits for room", queueRoom},
		{"a queue loses no wake to a waiter that left", queueCancel},
		{"a closed queue drains and then says so", queueClose},
		{"every repeats until told to stop", every},
		{"do and offload leave and enter the loop", doOffload},
		{"a stop ends those that wait", stopEndsWaiters},
		{"a wake counts, whatever else ends in the same turn", wakeCounts},
		{"a stop hides the contexts that it ends", stopHidesContexts},
		{"first ends the contexts of its tasks with its loop", firstEnds},
		{"offload leaves the turn to others, whatever ends", offloadIsOutside},
		{"offload does nothing for who has been cancelled", offloadTooLate},
		{"do brings values and an end from outside", doContext},
		{"a task that was started after the stop hears of it", startedAfterStop},
		{"a branch does all that a loop does", branchWorks},
		{"a branch stops with its loop", branchStops},
		{"within is a turn of the other loop", withinTakesTurns},
		{"within waits for what it has begun", withinEnds},
		{"what loops share is used in turns", ownedInTurns},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			world(t, func(ctx context.Context, l clock.Loop, stop func()) { c.body(t, ctx, l, stop) })
		})
	}
}

func keepsTurn(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	const tasks, rounds = 8, 20
	inside := 0
	err := clock.First(ctx, l, tasks, tasks, func(ctx context.Context, i int) error {
		for range rounds {
			inside++
			for range 100 {
				if inside != 1 {
					return errors.New("two tasks ran at once")
				}
			}
			inside--
			if err := clock.Sleep(ctx, l, time.Microsecond*time.Duration(i)); err != nil {
				return err
			}
		}
		return nil
	})
	assert.NoError(t, err)
}

func sleepTakesTime(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	delays := []time.Duration{60 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 0}
	err := clock.First(ctx, l, len(delays), len(delays), func(ctx context.Context, i int) error {
		start := l.Elapsed()
		err := clock.Sleep(ctx, l, delays[i])
		assert.GreaterOrEqual(t, l.Elapsed()-start, delays[i])
		return err
	})
	assert.NoError(t, err)
}

func stoppedTimer(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	ran := 0
	stopped := l.AfterFunc(0, func() { ran++ })
	kept := l.AfterFunc(0, func() { ran += 10 })
	assert.True(t, stopped.Stop(), "a timer that has not run can be stopped, however late")
	assert.False(t, stopped.Stop(), "only once")
	assert.NoError(t, clock.Sleep(ctx, l, 5*time.Millisecond))
	assert.Equal(t, 10, ran)
	assert.False(t, kept.Stop(), "it has run")
}

func earlyWake(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	assert.NoError(t, l.Park(ctx, func(wake func()) { wake(); wake() }))
	var late func()
	assert.NoError(t, l.Park(ctx, func(wake func()) { late = wake; wake() }))
	late() // of a park that is over: nothing
	start := l.Elapsed()
	assert.NoError(t, clock.Sleep(ctx, l, 5*time.Millisecond))
	assert.GreaterOrEqual(t, l.Elapsed()-start, 5*time.Millisecond)
}

func parkContext(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	cause := errors.New("enough")
	sub, cancel := context.WithCancelCause(ctx)
	l.AfterFunc(time.Millisecond, func() { cancel(cause) })
	assert.ErrorIs(t, clock.Sleep(sub, l, time.Hour), cause)
	armed := false
	assert.ErrorIs(t, l.Park(sub, func(func()) { armed = true }), cause, "it has ended before")
	assert.True(t, armed, "arm runs in any case")
}

func timeouts(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	outer, cancel := clock.WithTimeout(ctx, l, 10*time.Millisecond)
	defer cancel()
	inner, cancelInner := clock.WithTimeout(outer, l, time.Hour)
	defer cancelInner()
	left, ok := clock.Remaining(inner)
	assert.True(t, ok)
	assert.LessOrEqual(t, left, 10*time.Millisecond, "the outer one is nearer")
	assert.ErrorIs(t, clock.Sleep(inner, l, time.Hour), context.DeadlineExceeded)
	_, ok = clock.Remaining(ctx)
	assert.False(t, ok)
}

func first(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	bad := errors.New("bad")
	run := func(need int, results ...error) (int, error) {
		finished := 0
		err := clock.First(ctx, l, len(results), need, func(ctx context.Context, i int) error {
			wait := time.Duration(i+1) * 2 * time.Millisecond
			if i == 3 {
				wait = time.Hour
			}
			if err := clock.Sleep(ctx, l, wait); err != nil {
				return err
			}
			finished++
			return results[i]
		})
		return finished, err
	}
	finished, err := run(2, nil, bad, nil, nil)
	assert.NoError(t, err)
	assert.Contains(t, []int{2, 3}, finished, "it does not wait for the fourth, nor for a failure that comes late")
	_, err = run(2, bad, nil, bad)
	assert.ErrorIs(t, err, bad)
	_, err = run(0)
	assert.NoError(t, err)
	_, err = run(1)
	assert.Error(t, err, "one of none cannot be")
}

func queueRoom(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	q := clock.NewQueue[int](l, 2)
	l.Go("producer", func(ctx context.Context) {
		for i := range 10 {
			assert.NoError(t, q.Push(ctx, i))
			assert.LessOrEqual(t, q.Len(), 2)
		}
	})
	for want := range 10 {
		got, err := q.Pop(ctx)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	assert.NoError(t, q.TryPush(1))
	assert.NoError(t, q.TryPush(2))
	assert.ErrorIs(t, q.TryPush(3), clock.ErrFull)
}

func queueCancel(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	q := clock.NewQueue[int](l, 1)
	short, cancel := clock.WithTimeout(ctx, l, time.Millisecond)
	defer cancel()
	got := 0
	l.Go("leaves", func(context.Context) {
		_, err := q.Pop(short)
		assert.Error(t, err)
	})
	l.Go("stays", func(ctx context.Context) { got, _ = q.Pop(ctx) })
	assert.NoError(t, clock.Sleep(ctx, l, 10*time.Millisecond))
	assert.NoError(t, q.TryPush(7))
	assert.NoError(t, clock.Sleep(ctx, l, 10*time.Millisecond))
	assert.Equal(t, 7, got)
}

func queueClose(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	q := clock.NewQueue[int](l, 4)
	assert.NoError(t, q.TryPush(1))
	q.Close()
	got, err := q.Pop(ctx)
	assert.NoError(t, err)
	assert.Equal(t, 1, got)
	_, err = q.Pop(ctx)
	assert.ErrorIs(t, err, clock.ErrStopped)
	assert.ErrorIs(t, q.Push(ctx, 2), clock.ErrStopped)
}

func every(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	n := 0
	err := clock.Every(ctx, l, time.Millisecond, func(context.Context) bool { n++; return n < 3 })
	assert.NoError(t, err)
	assert.Equal(t, 3, n)
}

func doOffload(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	var entered bool
	var doErr error
	err := clock.Offload(ctx, l, func() {
		// This is a foreign goroutine: it enters the loop with Do.
		doErr = clock.Do(context.Background(), l, func(ctx context.Context) {
			entered = clock.Sleep(ctx, l, time.Millisecond) == nil
		})
	})
	assert.NoError(t, err)
	assert.NoError(t, doErr)
	assert.True(t, entered)
}

func stopEndsWaiters(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	l.AfterFunc(time.Millisecond, stop)
	assert.ErrorIs(t, clock.Sleep(ctx, l, time.Hour), clock.ErrStopped)
	assert.ErrorIs(t, clock.Sleep(ctx, l, time.Hour), clock.ErrStopped)
	assert.Error(t, ctx.Err(), "a task's context ends with its loop")
}

func wakeCounts(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	for _, wakeFirst := range []bool{true, false} {
		sub, cancel := context.WithCancel(ctx)
		err := l.Park(sub, func(wake func()) {
			l.AfterFunc(time.Millisecond, func() {
				if wakeFirst {
					wake()
				}
				cancel()
				wake()
			})
		})
		assert.NoError(t, err, "woken first: %t", wakeFirst)
	}
}

func stopHidesContexts(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	sub, cancel := clock.WithTimeout(ctx, l, time.Hour)
	defer cancel()
	l.AfterFunc(time.Millisecond, stop)
	assert.ErrorIs(t, clock.Sleep(sub, l, time.Hour), clock.ErrStopped)
	assert.ErrorIs(t, context.Cause(sub), clock.ErrStopped, "it has ended, too")
}

func firstEnds(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	left := 2
	l.AfterFunc(time.Millisecond, stop)
	err := clock.First(ctx, l, 2, 2, func(ctx context.Context, _ int) error {
		err := clock.Sleep(ctx, l, time.Hour)
		assert.Error(t, ctx.Err())
		left--
		return err
	})
	assert.ErrorIs(t, err, clock.ErrStopped)
	assert.LessOrEqual(t, left, 2) // first does not wait for them; the world does
}

// patience bounds a test that would wait for ever.
const patience = 5 * time.Second

func offloadIsOutside(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	for _, stops := range []bool{false, true} {
		sub, cancel := context.WithCancel(ctx)
		release := make(chan struct{})
		l.Go("other", func(context.Context) {
			cancel()
			if stops {
				stop()
			}
			l.Go("another", func(ctx context.Context) {
				if stops {
					<-ctx.Done() // at once; a node stops its loops from outside
				}
				close(release)
			})
		})
		finished := false
		err := clock.Offload(sub, l, func() {
			select {
			case <-release:
				finished = true
			case <-time.After(patience):
			}
		})
		assert.True(t, finished, "others have no turn while work is done outside (the loop stops: %t)", stops)
		if stops {
			assert.ErrorIs(t, err, clock.ErrStopped)
		} else {
			assert.ErrorIs(t, err, context.Canceled)
		}
	}
}

func offloadTooLate(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	sub, cancel := context.WithCancel(ctx)
	cancel()
	ran := false
	assert.ErrorIs(t, clock.Offload(sub, l, func() { ran = true }), context.Canceled)
	assert.False(t, ran)
}

func doContext(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	type key struct{}
	cause := errors.New("the caller has gone")
	outer, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, "value"))
	l.AfterFunc(time.Millisecond, func() { cancel(cause) })
	assert.NoError(t, clock.Offload(ctx, l, func() {
		assert.NoError(t, clock.Do(outer, l, func(ctx context.Context) {
			assert.Equal(t, "value", ctx.Value(key{}))
			assert.ErrorIs(t, clock.Sleep(ctx, l, time.Hour), cause)
			below, stop := context.WithCancel(ctx)
			defer stop()
			assert.ErrorIs(t, context.Cause(below), cause)
		}))
		ran := false
		assert.NoError(t, clock.Do(outer, l, func(ctx context.Context) { ran = ctx.Err() != nil }))
		assert.True(t, ran, "it runs and knows that its caller has gone")
	}))
}

func startedAfterStop(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	l.AfterFunc(time.Millisecond, stop)
	assert.ErrorIs(t, clock.Sleep(ctx, l, time.Hour), clock.ErrStopped)
	var heard error
	l.Go("late", func(ctx context.Context) { heard = clock.Sleep(ctx, l, time.Hour) })
	t.Cleanup(func() { assert.ErrorIs(t, heard, clock.ErrStopped) }) // when all tasks have returned
}

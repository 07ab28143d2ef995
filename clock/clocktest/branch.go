package clocktest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/taucloud/tau/clock"
)

// branchWorks: tasks, timers, parks, queues and Do, on the branch of a branch, too.
func branchWorks(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	for _, b := range []clock.Loop{l.Branch(), l.Branch().Branch()} {
		result := errors.New("it has not run")
		assert.NoError(t, l.Park(ctx, func(wake func()) {
			b.Go("branch", func(ctx context.Context) {
				defer wake()
				result = onBranch(t, ctx, b)
			})
		}))
		assert.NoError(t, result)
	}
}

func onBranch(t *testing.T, ctx context.Context, b clock.Loop) error {
	began := b.Elapsed()
	assert.NoError(t, clock.Sleep(ctx, b, 5*time.Millisecond))
	assert.GreaterOrEqual(t, b.Elapsed()-began, 5*time.Millisecond)
	short, cancel := clock.WithTimeout(ctx, b, time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, clock.Sleep(short, b, time.Hour), context.DeadlineExceeded)
	q := clock.NewQueue[int](b, 1)
	b.AfterFunc(time.Millisecond, func() { assert.NoError(t, q.TryPush(7)) })
	got, err := q.Pop(ctx)
	assert.NoError(t, err)
	assert.Equal(t, 7, got)
	entered := false
	assert.NoError(t, clock.Offload(ctx, b, func() {
		assert.NoError(t, clock.Do(context.Background(), b, func(ctx context.Context) {
			entered = clock.Sleep(ctx, b, time.Millisecond) == nil
		}))
	}))
	assert.True(t, entered)
	return clock.First(ctx, b, 2, 2, func(ctx context.Context, _ int) error { return clock.Sleep(ctx, b, time.Millisecond) })
}

// branchStops: it hears of the stop, its timers do not run any more, and what it starts
// while others of the loop go on still runs.
func branchStops(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	b := l.Branch()
	var slept, late error
	ran := false
	b.Go("sleeps", func(ctx context.Context) {
		slept = clock.Sleep(ctx, b, time.Hour)
		b.AfterFunc(0, func() { ran = true })
		b.Go("late", func(ctx context.Context) { late = clock.Sleep(ctx, b, time.Hour) })
	})
	t.Cleanup(func() { // when all tasks have returned
		assert.ErrorIs(t, slept, clock.ErrStopped)
		assert.ErrorIs(t, late, clock.ErrStopped)
		assert.False(t, ran)
	})
	assert.NoError(t, clock.Sleep(ctx, l, time.Millisecond))
	l.AfterFunc(time.Millisecond, stop)
	assert.ErrorIs(t, clock.Sleep(ctx, l, time.Hour), clock.ErrStopped)
}

// withinTakesTurns: f runs in a turn of the other loop, may park there, and the caller
// gives up its own turn meanwhile.
func withinTakesTurns(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	b, inside := l.Branch(), 0
	others := 0
	l.Go("other", func(ctx context.Context) {
		for clock.Sleep(ctx, l, time.Millisecond) == nil && others < 1000 {
			others++
		}
	})
	var result error
	assert.NoError(t, l.Park(ctx, func(wake func()) {
		b.Go("branch", func(ctx context.Context) {
			defer wake()
			for range 3 {
				result = errors.Join(result, clock.Within(ctx, b, l, func(ctx context.Context) {
					assert.NoError(t, clock.Sleep(ctx, l, 5*time.Millisecond))
					inside++
				}))
				assert.NoError(t, clock.Sleep(ctx, b, 0), "its own loop again")
			}
		})
	}))
	assert.NoError(t, result)
	assert.Equal(t, 3, inside)
	assert.NotZero(t, others)
	others = 1000
}

// withinEnds: who has been cancelled waits for what it has begun, and nothing else begins.
func withinEnds(t *testing.T, ctx context.Context, l clock.Loop, stop func()) {
	b := l.Branch()
	cause := errors.New("enough")
	var begun, slept, before, after error
	ran := false
	b.Go("branch", func(ctx context.Context) {
		sub, cancel := context.WithCancelCause(ctx)
		b.AfterFunc(time.Millisecond, func() { cancel(cause) })
		begun = clock.Within(sub, b, l, func(ctx context.Context) { slept = clock.Sleep(ctx, l, time.Hour) })
		before = clock.Within(sub, b, l, func(context.Context) { ran = true })
		assert.NoError(t, clock.Within(ctx, b, l, func(context.Context) { stop() }))
		assert.ErrorIs(t, clock.Sleep(ctx, b, time.Hour), clock.ErrStopped)
		after = clock.Within(ctx, b, l, func(context.Context) { ran = true })
	})
	t.Cleanup(func() { // when all tasks have returned
		assert.NoError(t, begun, "f has returned")
		assert.ErrorIs(t, slept, cause)
		assert.ErrorIs(t, before, cause)
		assert.ErrorIs(t, after, clock.ErrStopped)
		assert.False(t, ran)
	})
	assert.ErrorIs(t, clock.Sleep(ctx, l, time.Hour), clock.ErrStopped)
}

// ownedInTurns: what many branches count is not lost.
func ownedInTurns(t *testing.T, ctx context.Context, l clock.Loop, _ func()) {
	const branches, rounds = 4, 50
	count := clock.Own(l, 0)
	assert.NoError(t, clock.First(ctx, l, branches, branches, func(ctx context.Context, _ int) error {
		b := l.Branch()
		var result error
		err := l.Park(ctx, func(wake func()) {
			b.Go("branch", func(ctx context.Context) {
				defer wake()
				for range rounds {
					result = errors.Join(result, count.With(ctx, b, func(n *int) { *n++ }))
				}
			})
		})
		*count.Here() += 1000
		return errors.Join(err, result)
	}))
	assert.Equal(t, branches*(rounds+1000), *count.Here())
}

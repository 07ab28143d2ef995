package clock_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/clock/clocktest"
	"go.uber.org/goleak"
)

func TestLiveLoopConforms(t *testing.T) {
	clocktest.Run(t, func(t *testing.T, body func(context.Context, clock.Loop, func())) {
		l := clock.NewLive()
		done := make(chan struct{})
		l.Go("body", func(ctx context.Context) {
			defer close(done)
			body(ctx, l, func() { go l.Stop(time.Second) })
		})
		<-done
		require.True(t, l.Stop(5*time.Second), "tasks are left after the stop")
	})
	goleak.VerifyNone(t)
}

// TestNothingRunsAfterStop: when Stop has returned true, no task runs, however
// many were just being started.
func TestNothingRunsAfterStop(t *testing.T) {
	for range 200 {
		l := clock.NewLive()
		var running, after atomic.Int64
		var starters sync.WaitGroup
		for range 4 {
			starters.Go(func() {
				for range 20 {
					l.Go("task", func(ctx context.Context) {
						running.Add(1)
						_ = clock.Sleep(ctx, l, time.Millisecond)
						running.Add(-1)
						after.Add(1)
					})
				}
			})
		}
		require.True(t, l.Stop(5*time.Second))
		ran := after.Load()
		require.Zero(t, running.Load())
		starters.Wait()
		time.Sleep(10 * time.Microsecond)
		require.Equal(t, ran, after.Load(), "a task has run after the stop")
	}
	goleak.VerifyNone(t)
}

// TestStopEndsContextsFirst: contexts end one after another, and a task that hears of the stop meanwhile
// finds all of them ended.
func TestStopEndsContextsFirst(t *testing.T) {
	const tasks, others = 4, 20_000
	l := clock.NewLive()
	var ready, early atomic.Int64
	for range tasks {
		l.Go("task", func(ctx context.Context) {
			for range others {
				sub, cancel := context.WithCancel(ctx)
				defer cancel()
				defer func() {
					if sub.Err() == nil {
						early.Add(1)
					}
				}()
			}
			ready.Add(1)
			_ = clock.Sleep(ctx, l, time.Hour)
		})
	}
	require.Eventually(t, func() bool { return ready.Load() == tasks }, 20*time.Second, time.Millisecond)
	require.True(t, l.Stop(20*time.Second))
	require.Zero(t, early.Load(), "contexts that had not ended when their task went on")
	goleak.VerifyNone(t)
}

func TestEnterAfterStop(t *testing.T) {
	l := clock.NewLive()
	require.True(t, l.Stop(0), "nothing was running")
	require.True(t, l.Stop(0), "a second stop waits for the same")
	ran := false
	err := clock.Do(context.Background(), l, func(context.Context) { ran = true })
	require.ErrorIs(t, err, clock.ErrStopped)
	require.False(t, ran)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, clock.Do(ended, l, func(context.Context) { ran = true }), clock.ErrStopped)
	l.AfterFunc(0, func() { ran = true })
	l.Go("late", func(context.Context) { ran = true })
	time.Sleep(10 * time.Millisecond)
	require.False(t, ran)
	goleak.VerifyNone(t)
}

// TestStopWithoutPatience: who does not return in time goes on, and so do the
// tasks that it starts, until all have returned.
func TestStopWithoutPatience(t *testing.T) {
	l := clock.NewLive()
	entered, release, last := make(chan struct{}), make(chan struct{}), make(chan struct{})
	l.Go("slow", func(ctx context.Context) {
		_ = clock.Offload(ctx, l, func() { close(entered); <-release })
		l.Go("last", func(context.Context) { close(last) })
	})
	<-entered
	require.False(t, l.Stop(time.Millisecond))
	close(release)
	<-last
	require.True(t, l.Stop(5*time.Second))
	goleak.VerifyNone(t)
}

func TestLongTurnsAreNoticed(t *testing.T) {
	var out bytes.Buffer
	l := clock.NewNamedLive("hoarder", slog.New(slog.NewTextHandler(&out, nil)))
	require.NoError(t, clock.Do(context.Background(), l, func(ctx context.Context) {
		_ = clock.Sleep(ctx, l, clock.LongTurn+20*time.Millisecond) // parked: that is no turn
		_ = clock.Offload(ctx, l, func() { time.Sleep(clock.LongTurn + 20*time.Millisecond) })
	}))
	quiet := l.Turns()
	require.Zero(t, out.String())
	l.Go("sweep", func(context.Context) { time.Sleep(clock.LongTurn + 20*time.Millisecond) })
	l.AfterFunc(time.Millisecond, slowTimer)
	require.True(t, l.Stop(5*time.Second))
	stats := l.Turns()
	require.Equal(t, quiet.Long+1, stats.Long)
	require.Greater(t, stats.Longest, clock.LongTurn)
	require.Greater(t, stats.Count(), quiet.Count())
	require.Contains(t, out.String(), "loop=hoarder task=sweep took=")
}

func slowTimer() { time.Sleep(clock.LongTurn + 20*time.Millisecond) }

func TestLongTimersAreNamed(t *testing.T) {
	var out bytes.Buffer
	l := clock.NewNamedLive("tns", slog.New(slog.NewTextHandler(&out, nil)))
	l.AfterFunc(0, slowTimer)
	require.Eventually(t, func() bool { return l.Turns().Long == 1 }, time.Minute, time.Millisecond)
	require.True(t, l.Stop(5*time.Second))
	require.Contains(t, out.String(), "clock_test.slowTimer")
}

func BenchmarkLivePark(b *testing.B) {
	l := clock.NewLive()
	defer l.Stop(time.Second)
	done := make(chan struct{})
	l.Go("bench", func(ctx context.Context) {
		defer close(done)
		for b.Loop() {
			_ = l.Park(ctx, func(wake func()) { wake() })
		}
	})
	<-done
}

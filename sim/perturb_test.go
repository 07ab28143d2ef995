package sim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim"
)

// TestPerturbedTrace: whatever goroutines do in real time, the trace is the same.
func TestPerturbedTrace(t *testing.T) {
	_, want := chatter(t, sim.Config{Seed: 7}, 8, 5*time.Second)
	for perturb, wire := range []sim.WireKind{sim.Direct, sim.Direct, sim.Mocknet, sim.Mocknet} {
		_, got := chatter(t, sim.Config{Seed: 7, Wire: wire, Perturb: uint64(perturb) + 1}, 8, 5*time.Second)
		require.Equal(t, want, got)
	}
}

// endings is a world of what once raced: loops that stop and contexts that end
// while others are woken, all in the same turns.
func endings(perturb uint64) (sim.Outcome, error) {
	return sim.Run(sim.Config{Seed: 3, Perturb: perturb}, func(w *sim.World) error {
		for i := range 6 {
			name := fmt.Sprintf("n%d", i)
			b, err := w.AddBare(name)
			if err != nil {
				return err
			}
			var wakes []func()
			ctx, cancel := context.WithCancel(context.Background())
			for k := range 10 {
				b.Loop.Go("waits", func(own context.Context) {
					sub, done := clock.WithTimeout(own, b.Loop, time.Hour)
					defer done()
					if k%2 == 0 {
						sub = ctx
					}
					err := b.Loop.Park(sub, func(wake func()) { wakes = append(wakes, wake) })
					w.Observe(name, "waits", fmt.Sprintf("%d %v", k, err), nil)
					_ = clock.First(own, b.Loop, 3, 2, func(ctx context.Context, i int) error {
						return clock.Sleep(ctx, b.Loop, time.Duration(i)*time.Millisecond)
					})
				})
			}
			w.At(time.Second, "end", func() {
				cancel()
				wakes[i]()
				b.Stop()
				wakes[9-i]()
			})
		}
		return w.RunUntil(2 * time.Second)
	})
}

func TestEndsAreTheWorldsDecision(t *testing.T) {
	want, err := endings(0)
	require.NoError(t, err)
	for perturb := range uint64(20) {
		got, err := endings(perturb)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestOnlyTurnsGiveNumbers: under perturbation a goroutine without a turn that
// starts tasks or timers is caught in the act, whether or not it was slow.
func TestOnlyTurnsGiveNumbers(t *testing.T) {
	_, err := sim.Run(sim.Config{Seed: 1, Perturb: 1}, func(w *sim.World) error {
		b, err := w.AddBare("a")
		if err != nil {
			return err
		}
		return w.RunTask(b, func(ctx context.Context) {
			err := clock.Offload(ctx, b.Loop, func() {
				require.Panics(t, func() { b.Loop.Go("x", func(context.Context) {}) })
				require.Panics(t, func() { b.Loop.AfterFunc(0, func() {}) })
				require.NoError(t, clock.Do(context.Background(), b.Loop, func(context.Context) {
					b.Loop.Go("y", func(context.Context) {})
				}))
			})
			require.NoError(t, err)
		})
	})
	require.NoError(t, err)
}

// TestTwoCannotEnterAtOnce: nobody could say which of them is first.
func TestTwoCannotEnterAtOnce(t *testing.T) {
	_, err := sim.Run(sim.Config{Seed: 1, Perturb: 1}, func(w *sim.World) error {
		b, err := w.AddBare("a")
		if err != nil {
			return err
		}
		return w.RunTask(b, func(ctx context.Context) {
			caught := make(chan any, 2)
			err := clock.Offload(ctx, b.Loop, func() {
				for range 2 {
					go func() {
						defer func() { caught <- recover() }()
						_ = clock.Do(context.Background(), b.Loop, func(context.Context) {})
					}()
				}
				first, second := <-caught, <-caught
				require.True(t, (first == nil) != (second == nil), "one is caught: %v, %v", first, second)
			})
			require.NoError(t, err)
		})
	})
	require.NoError(t, err)
}

// TestPanicOfATask is a failure of the run that says where, not the end of the
// process.
func TestPanicOfATask(t *testing.T) {
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		b, err := w.AddBare("node-1")
		if err != nil {
			return err
		}
		b.Loop.Go("other", func(ctx context.Context) { _ = clock.Sleep(ctx, b.Loop, time.Hour) })
		b.Loop.Go("bad", func(ctx context.Context) {
			_ = clock.Sleep(ctx, b.Loop, time.Second)
			panic("out of luck")
		})
		return w.RunUntil(time.Minute)
	})
	require.ErrorContains(t, err, `panic in "bad" of node on node-1 at 1s: out of luck`)
	require.ErrorContains(t, err, "TestPanicOfATask", "where it was")
}

// TestCrashOfWhoIsEntered: a foreign goroutine that waits for a task hears of
// the crash, whether the task had started or not, and none is left behind.
func TestCrashOfWhoIsEntered(t *testing.T) {
	for _, started := range []bool{true, false} {
		var got error
		_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
			b, err := w.AddBare("a")
			if err != nil {
				return err
			}
			w.SetPaused("a", !started)
			b.Loop.Go("offloads", func(ctx context.Context) {
				_ = clock.Offload(ctx, b.Loop, func() {
					if !started {
						w.SetPaused("a", true)
					}
					got = clock.Do(context.Background(), b.Loop, func(ctx context.Context) { _ = clock.Sleep(ctx, b.Loop, time.Hour) })
				})
			})
			w.SetPaused("a", false)
			w.At(time.Second, "crash", func() { w.CrashKeeping("a", 0) })
			return w.RunUntil(2 * time.Second)
		})
		require.NoError(t, err)
		require.ErrorIs(t, got, clock.ErrStopped)
	}
}

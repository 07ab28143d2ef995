package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim"
)

// onBranch runs f as a task of a branch of a simulated loop, and returns what the run
// failed of.
func onBranch(f func(ctx context.Context, branch, loop clock.Loop)) error {
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		n, err := w.AddBare("a")
		if err != nil {
			return err
		}
		return w.RunTask(n, func(ctx context.Context) {
			branch := n.Loop.Branch()
			_ = n.Loop.Park(ctx, func(wake func()) {
				branch.Go("branch", func(ctx context.Context) {
					f(ctx, branch, n.Loop)
					wake()
				})
			})
		})
	})
	return err
}

// TestOwnedValuesOfOtherLoops: what would be a race in a real node ends a simulated run
// with the reason, although its branches have turns like all other tasks.
func TestOwnedValuesOfOtherLoops(t *testing.T) {
	use := func(f func(ctx context.Context, branch, loop clock.Loop, count *clock.Owned[int])) error {
		return onBranch(func(ctx context.Context, branch, loop clock.Loop) { f(ctx, branch, loop, clock.Own(loop, 7)) })
	}
	err := use(func(_ context.Context, _, _ clock.Loop, count *clock.Owned[int]) { count.Here() })
	require.ErrorContains(t, err, "clock: a int of another loop is used here")
	err = use(func(ctx context.Context, branch, _ clock.Loop, count *clock.Owned[int]) {
		branch.AfterFunc(time.Second, func() { count.Here() })
		_ = clock.Sleep(ctx, branch, time.Minute)
	})
	require.ErrorContains(t, err, "clock: a int of another loop is used here", "in a timer")
	err = use(func(ctx context.Context, _, loop clock.Loop, count *clock.Owned[int]) {
		_ = count.With(ctx, loop, func(*int) {})
	})
	require.ErrorContains(t, err, "by what is not its running task", "the caller is not on that loop")
	err = onBranch(func(ctx context.Context, _, loop clock.Loop) { _ = clock.Sleep(ctx, loop, time.Second) })
	require.ErrorContains(t, err, "by what is not its running task")

	got := 0
	require.NoError(t, use(func(ctx context.Context, branch, loop clock.Loop, count *clock.Owned[int]) {
		require.NoError(t, count.With(ctx, branch, func(n *int) { *n++ }))
		loop.AfterFunc(time.Second, func() { got = *count.Here() })
		require.NoError(t, clock.Sleep(ctx, branch, time.Minute))
	}))
	require.Equal(t, 8, got)
}

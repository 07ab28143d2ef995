package clock_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/taucloud/tau/clock"
)

// TestBranchesRunAtOnce: a task of a branch needs no turn of its loop, nor of another
// branch.
func TestBranchesRunAtOnce(t *testing.T) {
	l := clock.NewLive()
	met := make(chan struct{})
	last := make(chan struct{})
	for range 3 {
		l.Branch().Go("meet", func(context.Context) { // without a park: each has a turn
			select {
			case met <- struct{}{}:
			case <-met:
			}
		})
	}
	require.NoError(t, clock.Do(context.Background(), l, func(context.Context) {
		select {
		case met <- struct{}{}:
		case <-met:
		}
		close(last)
	}))
	<-last
	require.True(t, l.Stop(5*time.Second))
	goleak.VerifyNone(t)
}

// TestStopWaitsForBranches as for the loop's own tasks.
func TestStopWaitsForBranches(t *testing.T) {
	l := clock.NewLive()
	entered, release := make(chan struct{}), make(chan struct{})
	l.Branch().Go("slow", func(context.Context) { close(entered); <-release })
	<-entered
	require.False(t, l.Stop(time.Millisecond))
	close(release)
	require.True(t, l.Stop(5*time.Second))
	ran := false
	l.Branch().Go("late", func(context.Context) { ran = true })
	l.Branch().AfterFunc(0, func() { ran = true })
	time.Sleep(5 * time.Millisecond)
	require.False(t, ran)
	goleak.VerifyNone(t)
}

// TestTurnsOfBranches hold up nobody, so nobody is warned of them.
func TestTurnsOfBranches(t *testing.T) {
	l := clock.NewLive()
	b := l.Branch()
	require.NoError(t, clock.Do(context.Background(), b, func(context.Context) { time.Sleep(clock.LongTurn + time.Millisecond) }))
	require.Zero(t, b.(clock.TurnMeter).Turns().Count())
	require.Zero(t, l.Turns().Long)
	require.True(t, l.Stop(time.Second))
}

func TestCheckShareable(t *testing.T) {
	type inner struct {
		limit time.Duration
		what  any
	}
	type handler struct {
		name  string
		inner inner
		list  [2]any
	}
	l := clock.NewLive()
	defer l.Stop(time.Second)
	owned := clock.Own(l, map[string]int{})
	for _, fine := range []any{
		nil, 1, "a", inner{}, time.Time{}, handler{"a", inner{1, owned}, [2]any{1, slog.Default()}},
	} {
		require.NoError(t, clock.CheckShareable(fine), "%#v", fine)
	}
	deep := any(1)
	for range 20 {
		deep = [1]any{deep}
	}
	for want, bad := range map[string]any{
		"clock_test.handler.inner.what is a map[string]int, ": handler{inner: inner{what: map[string]int{}}},
		"clock_test.handler.list[1] is a *int, ":              handler{list: [2]any{1, new(int)}},
		"func() is a func(), ":                                func() {},
		"[]int is a []int, ":                                  []int{},
		"chan int is a chan int, ":                            make(chan int),
		"*clock.Live is a *clock.Live, ":                      l,
		"nested too deep":                                     deep,
		"Owned[int].loop is a *clock.Live, ":                  *clock.Own(l, 1),
	} {
		require.ErrorContains(t, clock.CheckShareable(bad), want)
	}
}

func BenchmarkWithin(b *testing.B) {
	l := clock.NewLive()
	defer l.Stop(time.Second)
	branch, count := l.Branch(), clock.Own(l, 0)
	done := make(chan struct{})
	branch.Go("bench", func(ctx context.Context) {
		defer close(done)
		for b.Loop() {
			_ = count.With(ctx, branch, func(n *int) { *n++ })
		}
	})
	<-done
}

package clock_test

import (
	"context"
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

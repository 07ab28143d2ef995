package sim_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/clock/clocktest"
	"github.com/taucloud/tau/sim"
)

func TestSimulatedLoopConforms(t *testing.T) {
	clocktest.Run(t, func(t *testing.T, body func(context.Context, clock.Loop, func())) {
		_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
			b, err := w.AddBare("a")
			if err != nil {
				return err
			}
			return w.RunTask(b, func(ctx context.Context) { body(ctx, b.Loop, b.Stop) })
		})
		require.NoError(t, err)
	})
}

package members

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/worldtest"
	"github.com/taucloud/tau/sim"
)

// BenchmarkSeer1000 is three seers and a thousand nodes that do nothing else
// than to announce themselves.
func BenchmarkSeer1000(b *testing.B) {
	const virtual = 20 * time.Second
	for b.Loop() {
		begin := time.Now()
		out, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
			worldtest.Core(w, 1000, func(context.Context, node.Env) {})
			settled := worldtest.Judge(w, virtual, worldtest.Unaudited(Checks())...)
			if err := w.RunUntil(virtual); err != nil {
				return err
			}
			return settled()
		})
		require.NoError(b, err)
		b.ReportMetric(virtual.Seconds()/time.Since(begin).Seconds(), "virtual/real")
		b.ReportMetric(float64(out.Events)/time.Since(begin).Seconds(), "events/s")
	}
}

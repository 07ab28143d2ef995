package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/transport"
)

// BenchmarkEvent states what one event costs the world itself.
func BenchmarkEvent(b *testing.B) {
	report := func(b *testing.B, out sim.Outcome) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(out.Events), "ns/event")
	}
	b.Run("timer", func(b *testing.B) {
		out, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
			n, err := w.AddBare("a")
			if err != nil {
				return err
			}
			left := b.N
			var next func()
			next = func() {
				if left--; left > 0 {
					n.Loop.AfterFunc(time.Millisecond, next)
				}
			}
			n.Loop.AfterFunc(0, next)
			return w.RunUntil(time.Duration(b.N+1) * time.Millisecond)
		})
		require.NoError(b, err)
		report(b, out)
	})
	b.Run("sleep", func(b *testing.B) {
		out, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
			n, err := w.AddBare("a")
			if err != nil {
				return err
			}
			n.Loop.Go("sleeper", func(ctx context.Context) {
				for range b.N {
					_ = clock.Sleep(ctx, n.Loop, time.Millisecond)
				}
			})
			return w.RunUntil(time.Duration(b.N+1) * time.Millisecond)
		})
		require.NoError(b, err)
		report(b, out)
	})
	for _, wire := range wires {
		b.Run("note/"+string(wire), func(b *testing.B) {
			out, err := sim.Run(sim.Config{Seed: 1, Wire: wire}, func(w *sim.World) error {
				a, err := w.AddBare("a")
				if err != nil {
					return err
				}
				to, err := w.AddBare("b")
				if err != nil {
					return err
				}
				to.Endpoint.HandleTell("n", transport.Anyone, func(context.Context, transport.Peer, []byte) {})
				left := b.N
				var next func()
				next = func() {
					_ = a.Endpoint.Tell(to.Endpoint.Self(), "n", []byte("hello"))
					if left--; left > 0 {
						a.Loop.AfterFunc(time.Millisecond, next)
					}
				}
				a.Loop.AfterFunc(0, next)
				return w.RunUntil(time.Duration(b.N+100) * time.Millisecond)
			})
			require.NoError(b, err)
			report(b, out)
		})
	}
}

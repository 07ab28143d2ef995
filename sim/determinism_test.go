package sim_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/transport"
)

// chatter is a world in which every node calls others, sleeps and fails now and
// then, with a partition, a crash and a pause.
func chatter(t testing.TB, cfg sim.Config, nodes int, d time.Duration) (sim.Outcome, string) {
	trace := new(bytes.Buffer)
	cfg.Trace = trace
	out, err := sim.Run(cfg, func(w *sim.World) error {
		name := func(i int) string { return fmt.Sprintf("n%d", i) }
		boot := func(i int, b *sim.Bare) {
			b.Endpoint.Handle("echo", transport.Anyone, func(ctx context.Context, _ transport.Peer, req []byte) ([]byte, error) {
				return req, clock.Sleep(ctx, b.Loop, time.Millisecond)
			})
			peers, _ := b.Endpoint.Directory().Lookup("x")
			b.Loop.Go("chat", func(ctx context.Context) {
				for k := 0; ; k++ {
					sub, cancel := clock.WithTimeout(ctx, b.Loop, 2*time.Second)
					_, err := b.Endpoint.Call(sub, peers[(i+k)%len(peers)], "echo", fmt.Appendf(nil, "%d-%d", i, k))
					cancel()
					if err != nil {
						w.Observe(name(i), "chat", "error", nil)
					}
					if clock.Sleep(ctx, b.Loop, 100*time.Millisecond) != nil {
						return
					}
				}
			})
		}
		for i := range nodes {
			b, err := w.AddBare(name(i), "x")
			if err != nil {
				return err
			}
			w.At(0, "boot", func() { boot(i, b) })
		}
		w.At(d/4, "cut", func() { w.SetCut("n0", "n1", true) })
		w.At(d/4, "pause", func() { w.SetPaused("n2", true) })
		w.At(d/3, "crash", func() { w.Crash("n3", false) })
		w.At(d/2, "boot again", func() { boot(3, w.BootBare("n3")) })
		w.At(d/2, "mend", func() { w.SetCut("n0", "n1", false); w.SetPaused("n2", false) })
		return w.RunUntil(d)
	})
	require.NoError(t, err)
	return out, trace.String()
}

func TestSameSeedSameTrace(t *testing.T) {
	first, trace := chatter(t, sim.Config{Seed: 7}, 8, 20*time.Second)
	require.Greater(t, first.Events, uint64(1000))
	for range 5 {
		again, trace2 := chatter(t, sim.Config{Seed: 7}, 8, 20*time.Second)
		require.Equal(t, trace, trace2)
		require.Equal(t, first, again)
	}
	other, _ := chatter(t, sim.Config{Seed: 8}, 8, 20*time.Second)
	require.NotEqual(t, first.Digest, other.Digest)
}

func TestBothWiresSameTrace(t *testing.T) {
	direct, trace := chatter(t, sim.Config{Seed: 7, Wire: sim.Direct}, 8, 20*time.Second)
	for range 3 {
		mocknet, trace2 := chatter(t, sim.Config{Seed: 7, Wire: sim.Mocknet}, 8, 20*time.Second)
		require.Equal(t, trace, trace2)
		require.Equal(t, direct, mocknet)
	}
}

func BenchmarkWorld(b *testing.B) {
	for _, wire := range []sim.WireKind{sim.Direct, sim.Mocknet} {
		b.Run(string(wire), func(b *testing.B) {
			events := uint64(0)
			for b.Loop() {
				out, _ := chatter(b, sim.Config{Seed: 7, Wire: wire}, 20, 20*time.Second)
				events += out.Events
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
		})
	}
}

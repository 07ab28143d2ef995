package sim_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
)

// streamRate is how many bytes a second a stream of a class carries, in messages of a
// size, over a link with a round trip of 100 ms, when its windows have grown.
func streamRate(t testing.TB, class transport.Class, size, messages int) float64 {
	var rate float64
	network := sim.Network{Default: fault.Shape{LatencyMin: 50 * time.Millisecond, LatencyMax: 50*time.Millisecond + 1}}
	_, err := sim.Run(sim.Config{Seed: 1, Network: network}, func(w *sim.World) error {
		a, err := w.AddBare("a")
		if err != nil {
			return err
		}
		b, err := w.AddBare("b")
		if err != nil {
			return err
		}
		b.Endpoint.HandleStream("sink", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, s *transport.Stream) {
			var half time.Duration
			n := 0
			for ; ; n++ {
				if n == messages/2 {
					half = b.Loop.Elapsed()
				}
				if _, err := s.Recv(ctx); err != nil {
					assert.Equal(t, io.EOF, err)
					break
				}
			}
			rate = float64(size*(n-messages/2)) / (b.Loop.Elapsed() - half).Seconds()
			assert.NoError(t, s.CloseWrite())
		})
		return w.RunTask(a, func(ctx context.Context) {
			s, err := a.Endpoint.OpenStreamOn(ctx, class, b.Endpoint.Self(), "sink", nil)
			if !assert.NoError(t, err) {
				return
			}
			message := make([]byte, size)
			for range messages {
				if !assert.NoError(t, s.Send(ctx, message)) {
					return
				}
			}
			assert.NoError(t, s.CloseWrite())
			_, err = s.Recv(ctx)
			assert.Equal(t, io.EOF, err)
		})
	})
	require.NoError(t, err)
	return rate
}

// TestSmallMessagesFillLongLinks: windows are in bytes, so it does not matter how
// long messages are.
func TestSmallMessagesFillLongLinks(t *testing.T) {
	require.Greater(t, streamRate(t, transport.Bulk, 4<<10, 16<<10), 20e6)
	require.Greater(t, streamRate(t, transport.Bulk, 60<<10, 1<<10), 20e6)
	require.Greater(t, streamRate(t, transport.Control, 4<<10, 1<<10), 1e6)
}

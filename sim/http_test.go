package sim_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
	"github.com/taucloud/tau/transport/transporttest"
)

// httpRun has twenty clients on two nodes exchange bodies with a third one, over slow
// links one of which is cut for a while; some clients read slowly, some go away.
func httpRun(t *testing.T, wire sim.WireKind) (out sim.Outcome, whole, failed int) {
	network := sim.Network{Default: fault.Shape{LatencyMin: 5 * time.Millisecond, LatencyMax: 40 * time.Millisecond, Bandwidth: 2 << 20}}
	out, err := sim.Run(sim.Config{Seed: 7, Wire: wire, Network: network}, func(w *sim.World) error {
		var nodes []*sim.Bare
		for _, name := range []string{"a", "b", "c"} {
			n, err := w.AddBare(name)
			if err != nil {
				return err
			}
			nodes = append(nodes, n)
		}
		server := nodes[2]
		httpstream.Serve(server.Endpoint, "http", transport.Anyone, transporttest.Echo{})
		ended := 0
		exchange := func(ctx context.Context, n *sim.Bare, i int) {
			defer func() { ended++ }()
			length := int64(1000 << (i % 10))
			r, _ := http.NewRequest("POST", "http://c/", transporttest.NewPattern(length))
			response, err := httpstream.Do(ctx, n.Endpoint, server.Endpoint.Self(), "http", r)
			if err != nil {
				failed++
				return
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != http.StatusOK { // 408: its head did not come in time
				failed++
				return
			}
			got := transporttest.NewPattern(length)
			if i%7 == 3 {
				_, _ = io.CopyN(got, response.Body, length/2)
				return // it goes away
			}
			if i%5 == 2 {
				_ = clock.Sleep(ctx, n.Loop, 3*time.Second)
			}
			if _, err := io.Copy(got, response.Body); err != nil {
				failed++
				return
			}
			assert.True(t, got.Whole())
			whole++
		}
		for i := range 20 {
			n := nodes[i%2]
			n.Loop.AfterFunc(time.Duration(i)*50*time.Millisecond, func() {
				n.Loop.Go("client", func(ctx context.Context) { exchange(ctx, n, i) })
			})
		}
		w.After(time.Second, "cut", func() { w.SetCut("a", "c", true) })
		w.After(20*time.Second, "heal", func() { w.SetCut("a", "c", false) })
		if err := w.RunUntil(2 * time.Minute); err != nil {
			return err
		}
		assert.Equal(t, 20, ended)
		return nil
	})
	require.NoError(t, err)
	return out, whole, failed
}

// TestHTTPReplays: bodies over streams are the same run again, on either wire.
func TestHTTPReplays(t *testing.T) {
	first, whole, failed := httpRun(t, sim.Direct)
	require.Greater(t, whole, 8)
	require.Positive(t, failed, "some were cut off")
	for _, wire := range []sim.WireKind{sim.Direct, sim.Mocknet} {
		again, _, _ := httpRun(t, wire)
		require.Equal(t, first.Digest, again.Digest, string(wire))
	}
}

package libp2p_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// BenchmarkCall is a round trip between two real hosts, of a hundred bytes and
// of a megabyte.
func BenchmarkCall(b *testing.B) {
	for name, listen := range map[string]string{"tcp": tcp, "quic": quic, "ws": ws} {
		for size, bytes := range map[string]int{"100B": 100, "1MiB": 1 << 20} {
			b.Run(name+"/"+size, func(b *testing.B) { benchmarkCall(b, listen, bytes) })
		}
	}
}

func benchmarkCall(b *testing.B, listen string, size int) {
	var endpoints []*transport.Endpoint
	var known []string
	for _, seed := range []string{"a", "b"} {
		h, err := libp2p.New(transport.NewIdentity([]byte(seed)), []string{listen}, known)
		require.NoError(b, err)
		known = h.Addrs()
		loop := clock.NewLive()
		engine := transport.NewEngine(h, loop, transport.NewStaticDirectory())
		b.Cleanup(func() {
			require.NoError(b, engine.Close())
			loop.Stop(time.Second)
		})
		endpoints = append(endpoints, engine.Endpoint(loop))
	}
	server, client := endpoints[0], endpoints[1]
	server.Handle("bench/echo", transport.Anyone, func(_ context.Context, _ transport.Peer, r []byte) ([]byte, error) { return r, nil })
	request := make([]byte, size)
	b.SetBytes(int64(2 * size))
	b.ReportAllocs()
	require.NoError(b, clock.Do(context.Background(), client.Loop(), func(ctx context.Context) {
		for b.Loop() {
			if _, err := client.Call(ctx, server.Self(), "bench/echo", request); err != nil {
				b.Error(err)
			}
		}
	}))
}

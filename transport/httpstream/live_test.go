package httpstream_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/transporttest"
)

// pair are two nodes on real libp2p hosts.
func pair(t testing.TB, listen string) (client, server *transport.Endpoint) {
	var endpoints []*transport.Endpoint
	var known []string
	for _, seed := range []string{"a", "b"} {
		h, err := libp2p.New(transport.NewIdentity([]byte(seed)), []string{listen}, known)
		require.NoError(t, err)
		known = h.Addrs()
		loop := clock.NewLive()
		engine := transport.NewEngine(h, loop, transport.NewStaticDirectory())
		t.Cleanup(func() {
			require.NoError(t, engine.Close())
			require.True(t, loop.Stop(5*time.Second))
		})
		endpoints = append(endpoints, engine.Endpoint(loop))
	}
	return endpoints[1], endpoints[0]
}

// echo serves what it is sent.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })

// exchange sends a body, reads it back, and returns how much the heap had at most.
func exchange(t testing.TB, client, server *transport.Endpoint, length int64, reading func(ctx context.Context)) (heapMax uint64) {
	runtime.GC()
	require.NoError(t, clock.Do(context.Background(), client.Loop(), func(ctx context.Context) {
		r, err := http.NewRequest("POST", "http://node/", transporttest.NewPattern(length))
		require.NoError(t, err)
		response, err := httpstream.Do(ctx, client, server.Self(), "http", r)
		require.NoError(t, err)
		got, chunk := transporttest.NewPattern(length), make([]byte, 256<<10)
		for at := int64(0); at < length; {
			n, err := io.ReadFull(response.Body, chunk[:min(int64(len(chunk)), length-at)])
			require.NoError(t, err)
			_, err = got.Write(chunk[:n])
			require.NoError(t, err)
			before := at >> 24
			if at += int64(n); at>>24 != before { // once in 16 MiB
				if reading != nil {
					reading(ctx)
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				heapMax = max(heapMax, m.HeapInuse)
			}
		}
		_, err = response.Body.Read(chunk)
		require.Equal(t, io.EOF, err)
		require.True(t, got.Whole())
	}))
	return heapMax
}

// TestLongBodies go both ways at once over real hosts in bounded memory, also when the
// reader is slow.
func TestLongBodies(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	client, server := pair(t, "/ip4/127.0.0.1/tcp/0")
	httpstream.Serve(server, "http", echo)
	heap := exchange(t, client, server, 256<<20, nil)
	require.Less(t, heap, uint64(96<<20))
	heap = exchange(t, client, server, 64<<20, func(ctx context.Context) { _ = clock.Sleep(ctx, client.Loop(), 30*time.Millisecond) })
	require.Less(t, heap, uint64(96<<20), "a slow reader")
}

// BenchmarkGiB is a body of 1 GiB each way.
func BenchmarkGiB(b *testing.B) {
	for name, listen := range map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		b.Run(name, func(b *testing.B) {
			client, server := pair(b, listen)
			httpstream.Serve(server, "http", echo)
			b.SetBytes(2 << 30)
			for b.Loop() {
				b.ReportMetric(float64(exchange(b, client, server, 1<<30, nil))/(1<<20), "MiB-heap")
			}
		})
	}
}

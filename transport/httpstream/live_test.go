package httpstream_test

import (
	"context"
	"crypto/sha256"
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
	httpstream.Serve(server, "http", transport.Anyone, transporttest.Echo{})
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
			httpstream.Serve(server, "http", transport.Anyone, transporttest.Echo{})
			b.SetBytes(2 << 30)
			for b.Loop() {
				b.ReportMetric(float64(exchange(b, client, server, 1<<30, nil))/(1<<20), "MiB-heap")
			}
		})
	}
}

// meeting is a handler of which two requests must be served at once to return.
type meeting struct{ at *place }

type place struct{ met chan struct{} }

// SharedByLoops implements clock.Shared.
func (*place) SharedByLoops() {}

// ServeHTTP implements http.Handler. It keeps its turn.
func (m meeting) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	select {
	case m.at.met <- struct{}{}:
	case <-m.at.met:
	case <-time.After(time.Minute):
		w.WriteHeader(http.StatusGatewayTimeout)
	}
}

// TestRequestsAreServedAtOnce: a handler that keeps its turn holds up no other.
func TestRequestsAreServedAtOnce(t *testing.T) {
	client, server := pair(t, "/ip4/127.0.0.1/tcp/0")
	httpstream.Serve(server, "http", transport.Anyone, meeting{&place{make(chan struct{})}})
	require.NoError(t, clock.Do(context.Background(), client.Loop(), func(ctx context.Context) {
		require.NoError(t, clock.First(ctx, client.Loop(), 4, 4, func(ctx context.Context, _ int) error {
			r, err := http.NewRequest("GET", "http://node/", nil)
			require.NoError(t, err)
			response, err := httpstream.Do(ctx, client, server.Self(), "http", r)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			return response.Body.Close()
		}))
	}))
}

// hashing is a handler that works for some milliseconds on each 60 KiB of the body.
type hashing struct{}

// ServeHTTP implements http.Handler.
func (hashing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	part, sum := make([]byte, 60<<10), [sha256.Size]byte{}
	for {
		n, err := io.ReadFull(r.Body, part)
		for range 100 {
			copy(part, sum[:])
			sum = sha256.Sum256(part[:n])
		}
		if err != nil {
			break
		}
	}
	_, _ = w.Write(sum[:])
}

// oneLoop serves requests on the endpoint's own loop, for comparison.
func oneLoop(ep *transport.Endpoint, method string, h http.Handler) {
	ep.HandleStream(method, transport.Anyone, httpstream.Server(h).ServeStream)
}

// BenchmarkCores serves uploads that cost processor time, eight at once from one client,
// in turn with a loop for each and with one for all, and tells how many times as long
// the latter takes.
func BenchmarkCores(b *testing.B) {
	client, server := pair(b, "/ip4/127.0.0.1/tcp/0")
	httpstream.Serve(server, "apart", transport.Anyone, hashing{})
	oneLoop(server, "together", hashing{})
	took := map[string]time.Duration{}
	for b.Loop() {
		for _, method := range []string{"apart", "together"} {
			began := time.Now()
			uploadAtOnce(b, client, server, method)
			took[method] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took["together"])/float64(took["apart"]), "x")
}

func uploadAtOnce(b *testing.B, client, server *transport.Endpoint, method string) {
	const uploads, length = 8, 2 << 20
	require.NoError(b, clock.Do(context.Background(), client.Loop(), func(ctx context.Context) {
		require.NoError(b, clock.First(ctx, client.Loop(), uploads, uploads, func(ctx context.Context, _ int) error {
			r, err := http.NewRequest("POST", "http://node/", transporttest.NewPattern(length))
			require.NoError(b, err)
			response, err := httpstream.Do(ctx, client, server.Self(), method, r)
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, response.Body)
			return err
		}))
	}))
}

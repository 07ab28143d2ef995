package services_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/gateway"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// atMost answers so many requests at once, each after a time, and refuses others.
func atMost(n int64, most *atomic.Int64, refused *atomic.Int64, took time.Duration) http.HandlerFunc {
	var now atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		at := now.Add(1)
		defer now.Add(-1)
		if at > n {
			refused.Add(1)
			w.Header().Set(substrateapi.HeaderRefused, substrateapi.Busy)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		most.Store(max(most.Load(), at))
		_ = clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), took)
		_, _ = w.Write([]byte("done"))
	}
}

// atOnce asks so many times at once, of hosts by turns, and returns how many answers there are of each status, by host.
func (g *gate) atOnce(n int, hosts ...string) map[string]map[int]int {
	statuses := map[string]map[int]int{}
	for _, host := range hosts {
		statuses[host] = map[int]int{}
	}
	g.user.Do(func(ctx context.Context) {
		_ = clock.First(ctx, g.user.Env.Loop, n, n, func(ctx context.Context, i int) error {
			host := hosts[i%len(hosts)]
			statuses[host][g.askOf(ctx, host, "GET", nil).status]++
			return nil
		})
	})
	return statuses
}

// TestABurstWaits: more requests come than a substrate takes at once. They wait and are all answered, as many at once as it takes, and few are refused on the way.
func TestABurstWaits(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		var most, refused atomic.Int64
		g.all(atMost(8, &most, &refused, 100*time.Millisecond))
		require.Equal(t, map[int]int{200: 200}, g.atOnce(200, "a.example.com")["a.example.com"])
		require.EqualValues(t, 8, most.Load())
		require.Less(t, refused.Load(), int64(400))
		require.Zero(t, g.status().InFlight)
	})
}

// TestAFloodIsToldToComeAgain: who has waited for as long as it may is refused, and the gateway is as before.
func TestAFloodIsToldToComeAgain(t *testing.T) {
	atGate(t, 2, func(s *gateway.Settings) { s.QueueTimeout = time.Second }, func(g *gate) {
		var most, refused atomic.Int64
		g.all(atMost(4, &most, &refused, 250*time.Millisecond))
		is := g.atOnce(100, "a.example.com")["a.example.com"]
		require.Equal(t, 100, is[200]+is[503], "%v", is)
		require.GreaterOrEqual(t, is[200], 16)
		require.NotZero(t, is[503])
		require.Equal(t, map[int]int{200: 4}, g.atOnce(4, "a.example.com")["a.example.com"])
	})
}

// TestStreamsAreShared: more requests come than a gateway has streams to a substrate. None is refused there, and hosts take turns.
func TestStreamsAreShared(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		var most, refused atomic.Int64
		g.all(atMost(1<<20, &most, &refused, 500*time.Millisecond))
		const n = transport.HandlersPerPeerMax - 20 // of the user at the gateway
		is := g.atOnce(n, "a.example.com", "b.example.com")
		require.Equal(t, map[string]map[int]int{"a.example.com": {200: n / 2}, "b.example.com": {200: n / 2}}, is)
		require.Less(t, most.Load(), int64(n))
		require.Zero(t, refused.Load())
	})
}

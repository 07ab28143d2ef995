package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
)

// TestRoom: one host has half of all, and what waits for bodies its shares; the last place of each is given, and no more.
func TestRoom(t *testing.T) {
	const most = 16
	fill := func(n int, host, address func(i int) string, reads bool) (r room, let int) {
		r = newRoom()
		for i := range n {
			if r.full(host(i), address(i), reads, most) == "" {
				r.enter(host(i), address(i), reads)
				let++
			}
		}
		return r, let
	}
	one := func(int) string { return "one" }
	each := func(i int) string { return fmt.Sprint(i) }
	for what, c := range map[string]struct {
		host, address func(i int) string
		reads         bool
		let           int
		says          string
	}{
		"of any hosts":                   {each, one, false, 16, "as many requests as it serves"},
		"of one host":                    {one, each, false, 8, "for this host"},
		"that read, of any hosts":        {each, each, true, 8, "waits for the bodies"},
		"that read, of one host":         {one, each, true, 2, "waits for the bodies"},
		"that read, from one address":    {each, one, true, 4, "waits for the bodies"},
		"that read, of one host and all": {one, one, true, 2, "waits for the bodies"},
	} {
		r, let := fill(2*most, c.host, c.address, c.reads)
		require.Equal(t, c.let, let, what)
		require.Contains(t, r.full(c.host(let), c.address(let), c.reads, most), c.says, what)
		if c.reads {
			require.Empty(t, r.full(c.host(0), c.address(0), false, most), "who has sent all is not turned away for those who have not: %s", what)
			r.read(c.host(0), c.address(0))
			require.Empty(t, r.full(c.host(0), c.address(0), true, most), what)
			for i := 1; i < let; i++ {
				r.read(c.host(i), c.address(i))
			}
		}
		r.leave(c.host(0))
		require.Empty(t, r.full(c.host(0), c.address(0), false, most), what)
		for i := 1; i < let; i++ {
			r.leave(c.host(i))
		}
		require.Equal(t, newRoom(), r, what)
	}
	r := newRoom()
	require.Empty(t, r.full("h", "a", true, 1), "of one there is a part")
}

// TestRates: twice the rate at once, then the rate; each host has its own, until there are too many to count apart.
func TestRates(t *testing.T) {
	inStreet(t, 1, func(s *Settings) { s.HostRate = 2 }, func(s *street) {
		may := func(host string) (n int) {
			s.turn(func(g *Service) {
				for g.mayCome(host) {
					n++
				}
			})
			return n
		}
		require.Equal(t, 4, may("a"))
		require.Zero(t, may("a"))
		require.Equal(t, 4, may("b"))
		nodetest.Sleep(500 * time.Millisecond)
		require.Equal(t, 1, may("a"))
		nodetest.Sleep(time.Minute)
		require.Equal(t, 4, may("a"))
		a := s.ask("GET", "http://a/", nil)
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Equal(t, "429 Too Many Requests: too many requests for this host\n", a.body)
		s.turn(func(g *Service) {
			for i := range bucketsMax {
				require.True(t, g.mayCome(fmt.Sprint("host-", i)))
			}
			require.Len(t, g.buckets, bucketsMax+1, "with the one that all others share")
		})
		require.LessOrEqual(t, may("further"), 4)
		require.Zero(t, may("another"), "further ones share one")
		nodetest.Sleep(2 * time.Second)
		require.Equal(t, 4, may("another"))
		s.turn(func(g *Service) { require.Len(t, g.buckets, 1, "what is full again says nothing") })
	})
}

// TestWhatIsBelievedServed: for a while, of so many hosts.
func TestWhatIsBelievedServed(t *testing.T) {
	inStreet(t, 1, nil, func(s *street) {
		s.turn(func(g *Service) {
			for i := range servedMax {
				g.believeServed(fmt.Sprint(i))
			}
			require.Len(t, g.served, servedMax)
			require.True(t, g.isServed("0"))
			g.believeServed("more")
			require.Len(t, g.served, 1)
			require.True(t, g.isServed("more"))
			require.False(t, g.isServed("0"))
		})
		nodetest.Sleep(servedFor - time.Second)
		s.turn(func(g *Service) {
			require.True(t, g.isServed("more"))
			for i := range servedMax - 1 {
				g.believeServed(fmt.Sprint(i))
			}
		})
		nodetest.Sleep(time.Second)
		s.turn(func(g *Service) {
			require.False(t, g.isServed("more"))
			g.believeServed("another")
			require.Len(t, g.served, servedMax, "only what counts no more is forgotten where that is enough")
		})
	})
}

// TestNamesInRequests: hosts as projects have them, and ids that are fit for a log.
func TestNamesInRequests(t *testing.T) {
	for field, want := range map[string]string{
		"Shop.Example.com": "shop.example.com", "shop.example.com.": "shop.example.com", "shop.example.com:80": "shop.example.com", "a.:1": "a",
		"[::1]:80": "[::1]", "[::1]": "[::1]", "": "", ":80": "",
	} {
		require.Equal(t, want, hostOf(field), field)
	}
	all := "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	require.Equal(t, all, idOf(all))
	require.Empty(t, idOf(all+"a"), "it is too long")
	for c := range rune(0x180) {
		if !strings.ContainsRune(all, c) {
			require.Empty(t, idOf("a"+string(c)), "%q", c)
		}
	}
	for text, load := range map[string]float64{"": 0, "1": 0, "1/0": 0, "-1/2": 0, "x/2": 0, "1/x": 0, "0/2": 0, "1/2": 0.5, "2/2": 1, "3/2": 1, "1/-1": 0} {
		require.InDelta(t, load, loadOf(text), 0, text)
	}
}

// TestScore is the latency and a floor, times what is there already, up to twice that under load, and half as much again without what answers.
func TestScore(t *testing.T) {
	ms := float64(time.Millisecond)
	for want, c := range map[float64]Candidate{
		1 * ms:   {Warm: true},
		1.5 * ms: {},
		11 * ms:  {Warm: true, Latency: 10 * time.Millisecond},
		33 * ms:  {Warm: true, Latency: 10 * time.Millisecond, InFlight: 2},
		22 * ms:  {Warm: true, Latency: 10 * time.Millisecond, Load: 1},
		6 * ms:   {Warm: true, Latency: 10 * time.Millisecond, Idle: latencyHalves},
		3.5 * ms: {Warm: true, Latency: 10 * time.Millisecond, Idle: 2*latencyHalves + time.Second},
	} {
		require.InDelta(t, want, c.Score(), 1)
	}
}

// TestWhatIsLearned of an answer, a refusal and a failure.
func TestWhatIsLearned(t *testing.T) {
	inStreet(t, 1, nil, func(s *street) {
		p := s.substrates[0].Peer()
		s.turn(func(g *Service) {
			g.learn(outcome{peer: g.env.Self, failed: true, grave: true}) // of who has gone meanwhile
			b := g.backends[p]
			g.learn(outcome{peer: p, took: 40 * time.Millisecond, load: 0.5, host: "h"})
			require.Equal(t, []any{40 * time.Millisecond, 0.5, map[string]bool{"h": true}}, []any{b.latency, b.load, b.warm})
			g.learn(outcome{peer: p, took: 80 * time.Millisecond, host: "h"})
			require.Equal(t, 50*time.Millisecond, b.latency)
			g.learn(outcome{peer: p, failed: true, took: 70 * time.Millisecond})
			require.Equal(t, 70*time.Millisecond, b.latency)
			g.learn(outcome{peer: p, failed: true, took: time.Millisecond})
			require.Equal(t, 70*time.Millisecond, b.latency)
			require.Equal(t, 2, b.health.failures)
			g.learn(outcome{peer: p, refused: substrateapi.Busy})
			require.InDelta(t, 1, b.load, 0)
			require.Empty(t, b.refuses)
			g.learn(outcome{peer: p, refused: substrateapi.Starting})
			require.Equal(t, substrateapi.Starting, b.refuses)
			require.Equal(t, 2, b.health.failures, "to refuse is no answer")
			g.learn(outcome{peer: p, host: "i"})
			require.Equal(t, []any{0, "", 0.0}, []any{b.health.failures, b.refuses, b.load})
			for i := range warmMax - 2 {
				b.warm[fmt.Sprint(i)] = true
			}
			g.learn(outcome{peer: p, host: "j"})
			require.Equal(t, map[string]bool{"j": true}, b.warm)

			b.inFlight = streamsMax - 1
			require.True(t, g.choose("x", nil).ok)
			require.Equal(t, choice{full: true}, g.choose("x", nil), "it has as many there as it may")
			b.refuses = substrateapi.Draining
			require.Equal(t, choice{}, g.choose("x", nil), "for that nobody waits")
			b.refuses, b.inFlight, b.ofHost["y"] = "", 1, streamsOfHost-1
			require.True(t, g.choose("y", nil).ok)
			require.Equal(t, choice{full: true}, g.choose("y", nil))
			require.True(t, g.choose("z", nil).ok)
			require.Equal(t, choice{}, g.choose("z", []transport.Peer{p}))
			b.inFlight, b.ofHost = 0, map[string]int{}
		})
	})
}

// TestABurstWaits while substrates are busy, for a while, and is answered when there is room, in the order in which it came.
func TestABurstWaits(t *testing.T) {
	inStreet(t, 1, nil, func(s *street) {
		b := s.substrates[0]
		busy := true
		var served []string
		b.answer = func(w http.ResponseWriter, r *http.Request) {
			if busy {
				refusing(substrateapi.Busy)(w, r)
				return
			}
			served = append(served, r.URL.Path)
			hello(w, r)
		}
		began := time.Now()
		a := s.ask("GET", "http://shop.example.com/", nil)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Contains(t, a.body, "no substrate takes the request")
		require.InDelta(t, DefaultSettings().QueueTimeout.Seconds(), time.Since(began).Seconds(), 0.3)
		answers := make([]answered, 4)
		ended := 0
		for i := range answers {
			s.client.Env.Loop.Go("burst", func(ctx context.Context) {
				answers[i] = s.askIn(ctx, "GET", fmt.Sprint("http://shop.example.com/", i), nil)
				ended++
			})
			nodetest.Sleep(10 * time.Millisecond)
		}
		nodetest.Sleep(time.Second)
		require.Zero(t, ended)
		busy = false
		nodetest.Sleep(2 * time.Second)
		require.Equal(t, len(answers), ended)
		for i, a := range answers {
			require.Equal(t, "hello ", a.body, i)
		}
		require.Len(t, served, 4)
		s.idle()
		s.turn(func(g *Service) {
			require.False(t, g.lines.prods)
			require.Empty(t, g.lines.room.hosts)
			require.Empty(t, g.lines.refused)
		})
		require.Less(t, len(b.asked), 200)
	})
}

// TestUpgradeOf: a protocol is changed for whom Connection asks for it; and what may be a trailer.
func TestUpgradeOf(t *testing.T) {
	for _, c := range []struct {
		connection []string
		to, want   string
	}{
		{[]string{"Upgrade"}, "websocket", "websocket"}, {[]string{"keep-alive, upgrade"}, "x", "x"}, {[]string{"keep-alive", "Upgrade"}, "x", "x"},
		{nil, "websocket", ""}, {[]string{"close"}, "websocket", ""}, {[]string{"Upgrade"}, "h2c", ""}, {[]string{"Upgrade"}, "H2C", ""}, {[]string{"Upgrade"}, "", ""},
	} {
		require.Equal(t, c.want, upgradeOf(http.Header{"Connection": c.connection, "Upgrade": {c.to}}), "%v", c)
	}
	for name, may := range map[string]bool{"X-Sum": true, "Trailer": false, "Content-Length": false, "Host": false, "X-Tau-Version": false, "Forwarded": false, gatewayapi.HeaderRequestID: false, "X-Forwarded-Proto": false, "Transfer-Encoding": false} {
		require.Equal(t, may, trails(name), name)
	}
}

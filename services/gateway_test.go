package services_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/gateway"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// stand is a stand-in for a substrate, which does as it is told.
type stand struct {
	name    string
	asked   atomic.Int64
	refuse  atomic.Value // string
	delay   atomic.Int64
	dies    atomic.Bool
	started atomic.Int64 // bodies of which the first byte was read
	header  atomic.Value // http.Header of the last request
	does    atomic.Value // http.HandlerFunc: instead of all that
}

// SharedByLoops implements clock.Shared.
func (*stand) SharedByLoops() {}

// ServeHTTP implements http.Handler.
func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(substrateapi.HeaderKnock) != "" && s.refuse.Load() == nil {
		word := substrateapi.KnockSomebody
		if strings.HasPrefix(r.Host, "nobody.") {
			word = substrateapi.KnockNobody
		}
		w.Header().Set(substrateapi.HeaderKnock, word)
		return
	}
	s.asked.Add(1)
	s.header.Store(r.Header.Clone())
	if why, _ := s.refuse.Load().(string); why != "" {
		w.Header().Set(substrateapi.HeaderRefused, why)
		w.WriteHeader(503)
		return
	}
	if does, is := s.does.Load().(http.HandlerFunc); is {
		does(w, r)
		return
	}
	if n, _ := r.Body.Read(make([]byte, 1)); n > 0 {
		s.started.Add(1)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	if s.dies.Load() {
		panic(http.ErrAbortHandler)
	}
	if r.Header.Get("X-Slow") != "" { // a function that never ends, on a substrate that is well
		_ = clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), time.Hour)
	}
	if d := s.delay.Load(); d > 0 {
		_ = clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), time.Duration(d))
	}
	w.Header().Set(substrateapi.HeaderVersion, "c1")
	w.Header().Set(substrateapi.HeaderLoad, "1/2")
	w.Header().Set("Connection", "x-private")
	w.Header().Set("X-Private", "1")
	_, _ = io.WriteString(w, s.name)
}

// gate is a gateway before stand-ins.
type gate struct {
	*nodetest.Cloud
	stands   []*stand
	machines []*nodetest.Machine
	gateway  *nodetest.Machine
	user     *nodetest.Caller
}

func atGate(t *testing.T, n int, change func(s *gateway.Settings), f func(g *gate)) {
	settings := gateway.DefaultSettings()
	if change != nil {
		change(settings)
	}
	nodetest.Run(t, func(c *nodetest.Cloud) {
		g := &gate{Cloud: c}
		for i := range n {
			s := &stand{name: string(rune('a' + i))}
			g.stands = append(g.stands, s)
			g.machines = append(g.machines, c.Add("substrate-"+s.name, node.Configured{Spec: nodetest.Part(substrateapi.Service, func(env node.Env) {
				httpstream.Serve(env.Wire, substrateapi.HTTP.Name, substrateapi.HTTP.Rule, s)
				substrateapi.Status.Serve(env.Wire, func(context.Context, transport.Peer, substrateapi.StatusRequest) (substrateapi.StatusResponse, error) {
					why, _ := s.refuse.Load().(string)
					return substrateapi.StatusResponse{Refuses: why}, nil
				})
			})}).Start())
		}
		g.gateway = c.Add("gateway", node.Configured{Spec: gateway.Spec(nil), Settings: settings}).Start()
		g.user = c.Caller("user")
		nodetest.Sleep(3 * time.Second)
		f(g)
	})
}

// first is who answers a request, of two, and the name of the other.
func (g *gate) first() (i int, other string) {
	if g.ask("GET", nil).body == "a" {
		return 0, "b"
	}
	return 1, "a"
}

func (g *gate) ask(method string, body io.Reader, fields ...string) (a answer) {
	g.user.Do(func(ctx context.Context) { a = g.askIn(ctx, method, body, fields...) })
	return a
}

func (g *gate) askIn(ctx context.Context, method string, body io.Reader, fields ...string) (a answer) {
	return g.askOf(ctx, "www.example.com", method, body, fields...)
}

func (g *gate) askOf(ctx context.Context, host, method string, body io.Reader, fields ...string) (a answer) {
	r, err := http.NewRequest(method, "http://"+host+"/path?query", body)
	require.NoError(g, err)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	response, err := httpstream.Do(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.HTTP.Name, r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(raw), err}
}

// TestAGatewayPassesOn what is for the other end, and nothing else.
func TestAGatewayPassesOn(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		a := g.ask("GET", nil, "X-Tau-Version", "forged", "Forwarded", "for=1.2.3.4", "X-Forwarded-For", "1.2.3.4", "Connection", "X-Hop", "X-Hop", "1", "Keep-Alive", "3", "X-Mine", "yes", "X-Request-Id", "my-id")
		require.Equal(t, "200 a", a.String())
		require.Equal(t, "c1", a.header.Get("X-Tau-Version"))
		require.Equal(t, "my-id", a.header.Get("X-Request-Id"))
		for _, name := range []string{"X-Private", "X-Tau-Load", "Connection"} {
			require.Empty(t, a.header.Get(name), name)
		}
		got := g.stands[0].header.Load().(http.Header)
		require.Equal(t, "yes", got.Get("X-Mine"))
		require.Equal(t, "my-id", got.Get("X-Request-Id"))
		require.Equal(t, `for=unknown;host="www.example.com";proto=http`, got.Get("Forwarded"))
		require.Equal(t, "unknown", got.Get("X-Forwarded-For"))
		for _, name := range []string{"X-Hop", "Keep-Alive", "X-Tau-Version"} {
			require.Empty(t, got.Get(name), name)
		}
		require.Len(t, g.ask("GET", nil, "X-Request-Id", "no\tid").header.Get("X-Request-Id"), 32)
		require.Equal(t, 200, g.ask("GET", nil, "Upgrade", "h2c", "Connection", "Upgrade, HTTP2-Settings", "Http2-Settings", "x", "Expect", "100-continue").status)
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings", "Expect"} {
			require.Empty(t, g.stands[0].header.Load().(http.Header).Get(name), name)
		}
		require.Equal(t, 200, g.ask("GET", nil, "Upgrade", "websocket").status)
		require.Empty(t, g.stands[0].header.Load().(http.Header).Get("Upgrade"), "the connection is not said to be about it")
		require.Equal(t, "200 a", g.ask("POST", strings.NewReader("body")).String())
		require.EqualValues(t, 1, g.stands[0].started.Load())
	})
}

// TestWhatIsSafeIsRepeated elsewhere; what may have been acted upon is not.
func TestWhatIsSafeIsRepeated(t *testing.T) {
	atGate(t, 3, func(s *gateway.Settings) { s.EjectAfter = 1000 }, func(g *gate) {
		g.stands[0].dies.Store(true)
		g.stands[1].refuse.Store(substrateapi.Busy)
		for range 20 {
			require.Equal(t, "200 c", g.ask("GET", nil).String())
		}
		asked := func() (n int64) { return g.stands[0].asked.Load() + g.stands[2].asked.Load() }
		for range 20 {
			before := asked()
			a := g.ask("POST", strings.NewReader("body"))
			require.EqualValues(t, before+1, asked(), "one substrate has begun it, whatever came of it")
			require.Contains(t, []int{200, 502}, a.status)
			before = asked()
			g.ask("GET", nil, "Upgrade", "websocket", "Connection", "Upgrade")
			require.EqualValues(t, before+1, asked(), "what both would have said cannot be said again")
		}
		require.Positive(t, g.stands[1].asked.Load())
	})
}

// TestWhoIsGoneIsNotAsked: a substrate that cannot be reached is out at once, and back when it answers.
func TestWhoIsGoneIsNotAsked(t *testing.T) {
	atGate(t, 2, nil, func(g *gate) {
		i, other := g.first()
		g.machines[i].Stop()
		for range 20 {
			require.Equal(t, "200 "+other, g.ask("GET", nil).String())
		}
		require.NotEmpty(t, g.Facts("substrate-ejected"))
		g.machines[i].Start()
		nodetest.Sleep(40 * time.Second)
		require.NotEmpty(t, g.Facts("substrate-back"))
		for range 20 {
			require.Equal(t, 200, g.ask("GET", nil).status)
		}
	})
}

// TestWhoEndsIsNotAsked: nor who has just started; each says so.
func TestWhoEndsIsNotAsked(t *testing.T) {
	atGate(t, 2, nil, func(g *gate) {
		i, other := g.first()
		g.stands[i].refuse.Store(substrateapi.Draining)
		for range 20 {
			require.Equal(t, "200 "+other, g.ask("POST", strings.NewReader("body")).String(), "nothing was done where it was refused")
		}
		require.EqualValues(t, 2, g.stands[i].asked.Load())
		g.stands[i].refuse.Store("")
		nodetest.Sleep(3 * time.Second)
		g.user.Do(func(ctx context.Context) {
			status, err := gatewayapi.Status.Call(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.StatusRequest{})
			require.NoError(t, err)
			require.Empty(t, status.Substrates[0].Refuses+status.Substrates[1].Refuses, "it was asked how it is, and is well")
		})
		g.stands[0].refuse.Store(substrateapi.Draining)
		g.stands[1].refuse.Store(substrateapi.Busy)
		a := g.ask("GET", nil)
		require.Equal(t, 503, a.status)
		require.Equal(t, "1", a.header.Get("Retry-After"))
	})
}

// TestWhoIsSlowIsSpared: requests go where they wait less.
func TestWhoIsSlowIsSpared(t *testing.T) {
	atGate(t, 3, nil, func(g *gate) {
		for _, s := range g.stands {
			s.delay.Store(int64(10 * time.Millisecond))
		}
		g.stands[1].delay.Store(int64(500 * time.Millisecond))
		for range 100 {
			require.Equal(t, 200, g.ask("GET", nil).status)
		}
		require.Less(t, g.stands[1].asked.Load(), int64(5))
		require.Greater(t, g.stands[0].asked.Load(), int64(30))
		require.Greater(t, g.stands[2].asked.Load(), int64(30))
	})
}

// TestWhoIsSilentIsNotWaitedFor: a request that can be repeated goes elsewhere in time; one that cannot times out.
func TestWhoIsSilentIsNotWaitedFor(t *testing.T) {
	atGate(t, 2, nil, func(g *gate) {
		g.stands[0].delay.Store(int64(time.Hour))
		began := time.Now()
		for range 10 {
			require.Equal(t, "200 b", g.ask("GET", nil).String())
		}
		require.LessOrEqual(t, time.Since(began), 20*time.Second)
		g.stands[1].delay.Store(int64(time.Hour))
		require.Equal(t, 504, g.ask("POST", strings.NewReader("body")).status)
	})
}

// TestASlowFunctionEjectsNobody: requests that are not answered in time say nothing of a substrate that says that it is well.
func TestASlowFunctionEjectsNobody(t *testing.T) {
	atGate(t, 2, nil, func(g *gate) {
		for range 8 {
			g.user.Env.Loop.Go("slow", func(ctx context.Context) { g.askIn(ctx, "GET", nil, "X-Slow", "1") })
		}
		nodetest.Sleep(40 * time.Second)
		require.Empty(t, g.Facts("substrate-ejected"))
		for range 10 {
			require.Equal(t, 200, g.ask("GET", nil).status)
		}
	})
}

// TestAGatewayHasBounds of what it takes.
func TestAGatewayHasBounds(t *testing.T) {
	atGate(t, 1, func(s *gateway.Settings) { s.RequestsMax, s.HostRate, s.BodyMax = 1, 2, 10 }, func(g *gate) {
		g.stands[0].delay.Store(int64(2 * time.Second))
		var first answer
		g.user.Env.Loop.Go("slow", func(ctx context.Context) { first = g.askIn(ctx, "GET", nil) })
		nodetest.Sleep(time.Second)
		require.Equal(t, 503, g.ask("GET", nil).status)
		nodetest.Sleep(2 * time.Second)
		require.Equal(t, 200, first.status)
		g.stands[0].delay.Store(0)
		require.Equal(t, 413, g.ask("POST", strings.NewReader("eleven bytes")).status)
		require.Equal(t, 413, g.ask("POST", io.MultiReader(strings.NewReader("eleven "), strings.NewReader("bytes"))).status, "of a length that was not said")
		nodetest.Sleep(5 * time.Second)
		statuses := map[int]int{}
		for range 6 {
			statuses[g.ask("GET", nil).status]++
		}
		require.Equal(t, map[int]int{200: 4, 429: 2}, statuses)
		g.user.Do(func(ctx context.Context) {
			status, err := gatewayapi.Status.Call(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.StatusRequest{})
			require.NoError(t, err)
			require.Len(t, status.Substrates, 1)
			last := status.Recent[len(status.Recent)-1]
			require.Equal(t, "GET /path 200 1 c1", strings.Join([]string{last.Method, last.Path, "200", "1", last.Version}, " "))
			require.Equal(t, 200, last.Status)
		})
	})
}

// TestWhoSendsNothingTakesAShare: bodies that never come, to one host, to many and to none, leave room for others.
func TestWhoSendsNothingTakesAShare(t *testing.T) {
	const most = 16
	status := func(g *gate) (r gatewayapi.StatusResponse) {
		g.user.Do(func(ctx context.Context) {
			var err error
			r, err = gatewayapi.Status.Call(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.StatusRequest{})
			require.NoError(g, err)
		})
		return r
	}
	for name, c := range map[string]struct {
		host          func(i int) string
		length        int64
		holds, status int
	}{
		"nobody's":                  {func(int) string { return "nobody.example.com" }, 1000, 0, 404},
		"nobody's, many":            {func(i int) string { return fmt.Sprintf("nobody.%d.example.com", i) }, 1000, 0, 404},
		"one host":                  {func(int) string { return "evil.example.com" }, 1000, most / 8, 503},
		"one host, passed on":       {func(int) string { return "evil.example.com" }, 1 << 20, most / 8, 503},
		"many hosts, one address":   {func(i int) string { return fmt.Sprintf("%d.example.com", i) }, 1000, most / 4, 503},
		"one host, of any length":   {func(int) string { return "evil.example.com" }, -1, most / 8, 503},
		"many hosts, of any length": {func(i int) string { return fmt.Sprintf("%d.example.com", i) }, -1, most / 4, 503},
	} {
		t.Run(name, func(t *testing.T) {
			atGate(t, 1, func(s *gateway.Settings) { s.RequestsMax = most }, func(g *gate) {
				statuses := map[int]int{}
				other := g.Caller("other")
				for i := range 3 * most {
					loop := g.user.Env.Loop
					loop.Go("silent", func(ctx context.Context) {
						r, err := http.NewRequest("POST", "http://"+c.host(i)+"/", nodetest.NewSilence(ctx, loop, "x"))
						require.NoError(t, err)
						r.ContentLength = c.length
						if response, err := httpstream.Do(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.HTTP.Name, r); err == nil {
							statuses[response.StatusCode]++
						}
					})
				}
				nodetest.Sleep(3 * time.Second)
				require.Equal(t, map[int]int{c.status: 3*most - c.holds}, statuses)
				require.Equal(t, c.holds, status(g).InFlight)
				g.user = other
				require.Equal(t, "200 a", g.ask("GET", nil).String())
				require.Equal(t, "200 a", g.ask("POST", strings.NewReader("body")).String())
				require.Equal(t, "200 a", g.ask("POST", io.MultiReader(strings.NewReader("body"))).String())
				require.Equal(t, c.holds, status(g).InFlight)
			})
		})
	}
	atGate(t, 1, func(s *gateway.Settings) { s.RequestsMax = most }, func(g *gate) { // one host's requests that have come whole
		g.stands[0].delay.Store(int64(10 * time.Second))
		statuses := map[int]int{}
		for range most {
			g.user.Env.Loop.Go("busy", func(ctx context.Context) { statuses[g.askIn(ctx, "GET", nil).status]++ })
		}
		nodetest.Sleep(time.Second)
		require.Equal(t, map[int]int{503: most / 2}, statuses)
		g.stands[0].delay.Store(0)
		g.user.Do(func(ctx context.Context) { require.Equal(t, 200, g.askOf(ctx, "other.example.com", "GET", nil).status) })
	})
}

// TestAGatewayDrains: it answers what it has before it ends, and takes no more.
func TestAGatewayDrains(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		g.stands[0].delay.Store(int64(3 * time.Second))
		var first, late answer
		g.user.Env.Loop.Go("slow", func(ctx context.Context) { first = g.askIn(ctx, "GET", nil) })
		g.user.Env.Loop.Go("late", func(ctx context.Context) {
			if clock.Sleep(ctx, g.user.Env.Loop, 2*time.Second) == nil {
				late = g.askIn(ctx, "GET", nil)
			}
		})
		nodetest.Sleep(time.Second)
		g.gateway.Stop()
		nodetest.Sleep(time.Second)
		require.Equal(t, "200 a", first.String())
		require.Equal(t, 503, late.status)
	})
}

// TestNobodyToAsk is said at once.
func TestNobodyToAsk(t *testing.T) {
	atGate(t, 0, nil, func(g *gate) {
		a := g.ask("GET", nil)
		require.Equal(t, "503 503 Service Unavailable: no substrate is known", a.String())
		require.Equal(t, "503", g.ask("HEAD", nil).String())
	})
}

// TestAWebsiteBehindAGateway: all of it together.
func TestAWebsiteBehindAGateway(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		door := s.Add("gateway", node.Configured{Spec: gateway.Spec(nil), Settings: gateway.DefaultSettings()}).Start()
		s.publish(website("hello", false, "www.example.com"), "c1", pages)
		s.through = door
		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://www.example.com/").String())
		require.Equal(t, pages["big.bin"], s.ask("GET", "http://www.example.com/big.bin").body)
		require.Equal(t, "206 one", s.ask("GET", "http://www.example.com/", "Range", "bytes=4-6").String())
		require.Equal(t, "12", s.ask("HEAD", "http://www.example.com/").header.Get("Content-Length"))
		require.Equal(t, 404, s.ask("GET", "http://none.example.com/").status)
		require.Equal(t, 404, s.ask("POST", "http://none.example.com/").status)
		s.user.Do(func(ctx context.Context) {
			for host, says := range map[string]string{"none.example.com": "404 no project serves none.example.com", "www.example.com": "405 this path takes GET, HEAD"} {
				r, err := http.NewRequest("POST", "http://"+host+"/", strings.NewReader("body"))
				require.NoError(t, err)
				response, err := httpstream.Do(ctx, s.user.Env.Wire, door.Peer(), gatewayapi.HTTP.Name, r)
				require.NoError(t, err)
				raw, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Contains(t, string(raw), says[:3])
				require.Contains(t, string(raw), says[4:])
			}
		})
	})
}

// FuzzGateway sends arbitrary bytes to all that a gateway serves.
func FuzzGateway(f *testing.F) {
	nodetest.FuzzService(f, []string{"gateway/gatewayapi/testdata/golden/v1.txt"}, func(*nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: gateway.Spec(nil), Settings: gateway.DefaultSettings()}}
	})
}

// foreignDoor is a door that a test goes through.
type foreignDoor struct{ h http.Handler }

func (d *foreignDoor) Open(h http.Handler) error { d.h = h; return nil }
func (*foreignDoor) Close(context.Context) error { return nil }

// TestTheDoor: requests of foreign goroutines are answered on loops.
func TestTheDoor(t *testing.T) {
	door := &foreignDoor{}
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Add("gateway", node.Configured{Spec: gateway.Spec(func(node.Env) gateway.Door { return door }), Settings: gateway.DefaultSettings()}).Start()
		nodetest.Sleep(2 * time.Second)
		w := httptest.NewRecorder()
		door.h.ServeHTTP(w, httptest.NewRequest("POST", "http://www.example.com/", strings.NewReader("body")))
		require.Equal(t, 503, w.Code)
		require.Contains(t, w.Body.String(), "no substrate is known")
	})
}

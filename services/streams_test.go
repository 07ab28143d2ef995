package services_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/gateway"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/transport/httpstream"
)

// all makes every stand-in do the same.
func (g *gate) all(does http.HandlerFunc) {
	for _, s := range g.stands {
		s.does.Store(does)
	}
}

func (g *gate) askedAll() (n int64) {
	for _, s := range g.stands {
		n += s.asked.Load()
	}
	return n
}

// do sends a request to the gateway, and hands its response on.
func (g *gate) do(r *http.Request, f func(ctx context.Context, response *http.Response)) {
	g.user.Do(func(ctx context.Context) {
		response, err := httpstream.Do(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.HTTP.Name, r)
		require.NoError(g, err)
		defer response.Body.Close()
		f(ctx, response)
	})
}

func sleepIn(r *http.Request, d time.Duration) error {
	return clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), d)
}

// TestWhatRunsIsNotRunTwice: a GET whose function is known to run is waited for longer than a try, and if its substrate ends it is not repeated; one of
// which nothing is known is.
func TestWhatRunsIsNotRunTwice(t *testing.T) {
	atGate(t, 2, func(s *gateway.Settings) { s.EjectAfter = 1000 }, func(g *gate) {
		runs := func(then func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_ = sleepIn(r, time.Second)
				w.WriteHeader(http.StatusProcessing)
				then(w, r)
			}
		}
		g.all(runs(func(w http.ResponseWriter, r *http.Request) {
			_ = sleepIn(r, 20*time.Second)
			_, _ = io.WriteString(w, "late")
		}))
		require.Equal(t, "200 late", g.ask("GET", nil).String())
		require.EqualValues(t, 1, g.askedAll())
		g.all(runs(func(_ http.ResponseWriter, r *http.Request) { _ = sleepIn(r, time.Hour) }))
		require.Equal(t, 504, g.ask("GET", nil).status)
		require.EqualValues(t, 2, g.askedAll())
		g.all(runs(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		require.Equal(t, 502, g.ask("GET", nil).status)
		require.EqualValues(t, 3, g.askedAll())
		g.all(func(w http.ResponseWriter, r *http.Request) {
			if g.askedAll() == 4 {
				_ = sleepIn(r, time.Hour)
			}
			_, _ = io.WriteString(w, "the other")
		})
		require.Equal(t, "200 the other", g.ask("GET", nil).String())
		require.EqualValues(t, 5, g.askedAll())
	})
}

// TestEventsFlow: each is with the client before the next is made; one that is cut is not taken for whole.
func TestEventsFlow(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		g.all(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				_ = sleepIn(r, 10*time.Second)
			}
			if r.Header.Get("X-Cut") != "" {
				panic(http.ErrAbortHandler)
			}
		})
		for _, cut := range []string{"", "yes"} {
			r, err := http.NewRequest("GET", "http://www.example.com/", http.NoBody)
			require.NoError(t, err)
			r.Header.Set("X-Cut", cut)
			if cut == "" {
				r.Header.Del("X-Cut")
			}
			began := g.user.Env.Loop.Elapsed()
			g.do(r, func(_ context.Context, response *http.Response) {
				in := bufio.NewReader(response.Body)
				for i := range 3 {
					line, err := in.ReadString('\n')
					require.NoError(t, err)
					require.Equal(t, fmt.Sprintf("data: %d\n", i), line)
					_, _ = in.ReadString('\n')
					require.Equal(t, time.Duration(i)*10*time.Second, (g.user.Env.Loop.Elapsed() - began).Round(time.Second))
				}
				_, err := in.ReadByte()
				require.Equal(t, cut == "", err == io.EOF, "%v", err)
			})
		}
	})
}

// TestTrailersPass in both directions, but for those that are the gateway's own.
func TestTrailersPass(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		g.all(func(w http.ResponseWriter, r *http.Request) {
			raw, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-Sum, X-Tau-Load")
			fmt.Fprint(w, len(raw))
			w.Header().Set("X-Sum", r.Trailer.Get("X-Sum")+r.Trailer.Get("X-Forwarded-For"))
			w.Header().Set("X-Tau-Load", "9/9")
			w.Header().Set(http.TrailerPrefix+"X-Late", "late")
			for _, name := range []string{"Connection", "Keep-Alive", "Te", "Upgrade", "Proxy-Authenticate", "X-Request-Id", "Host"} { // are of one connection, or the gateway's
				w.Header().Set(http.TrailerPrefix+name, "late")
				w.Header().Add("X-Seen", r.Trailer.Get(name))
			}
			w.Header().Set(http.TrailerPrefix+"X-Seen", strings.Join(w.Header()["X-Seen"], ""))
		})
		r, err := http.NewRequest("POST", "http://www.example.com/", io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000))))
		require.NoError(t, err)
		r.Trailer = http.Header{"X-Sum": {"7"}, "X-Forwarded-For": {"6.6.6.6"}, "Connection": {"c"}, "Te": {"t"}, "Upgrade": {"u"}, "Host": {"h"}}
		g.do(r, func(_ context.Context, response *http.Response) {
			raw, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, "100000", string(raw))
			require.Equal(t, http.Header{"X-Sum": {"7"}, "X-Late": {"late"}, "X-Seen": {""}}, response.Trailer)
		})
	})
}

// TestUpgradesPass: what both say to each other after it, until one of them ends or both are silent.
func TestUpgradesPass(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		var over atomic.Int64
		g.all(func(w http.ResponseWriter, r *http.Request) {
			defer over.Add(1)
			require.Equal(t, "websocket", r.Header.Get("Upgrade"))
			conn, rw, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err)
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Tau-Version: c1\r\n\r\nhello ")
			_, _ = io.Copy(conn, rw)
		})
		for _, ends := range []bool{true, false} {
			r, err := http.NewRequest("GET", "http://www.example.com/", http.NoBody)
			require.NoError(t, err)
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			g.do(r, func(ctx context.Context, response *http.Response) {
				require.Equal(t, 101, response.StatusCode)
				require.Equal(t, "c1", response.Header.Get("X-Tau-Version"))
				require.Equal(t, "websocket", response.Header.Get("Upgrade"))
				conn := response.Body.(io.ReadWriteCloser)
				_, _ = io.WriteString(conn, "you")
				said := make([]byte, len("hello you"))
				_, err := io.ReadFull(conn, said)
				require.NoError(t, err)
				require.Equal(t, "hello you", string(said))
				if ends {
					require.NoError(t, conn.Close())
					require.NoError(t, clock.Sleep(ctx, g.user.Env.Loop, time.Second))
					return
				}
				began := g.user.Env.Loop.Elapsed()
				_, err = conn.Read(said)
				require.Error(t, err)
				require.Equal(t, time.Minute, (g.user.Env.Loop.Elapsed() - began).Round(time.Second))
				require.NoError(t, clock.Sleep(ctx, g.user.Env.Loop, time.Second))
			})
		}
		require.EqualValues(t, 2, over.Load())
		require.Equal(t, 0, g.status().InFlight)
		g.all(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotImplemented) })
		require.Equal(t, 501, g.ask("GET", nil, "Upgrade", "websocket", "Connection", "Upgrade").status)
	})
}

// TestASlowReaderHoldsUpNobody: of what it does not read a bounded part is on its way, and others are answered meanwhile.
func TestASlowReaderHoldsUpNobody(t *testing.T) {
	atGate(t, 1, nil, func(g *gate) {
		var written atomic.Int64
		g.all(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Much") == "" {
				_, _ = io.WriteString(w, "quick")
				return
			}
			part := make([]byte, 64<<10)
			for range 1024 {
				if _, err := w.Write(part); err != nil {
					return
				}
				written.Add(int64(len(part)))
			}
		})
		r, err := http.NewRequest("GET", "http://www.example.com/", http.NoBody)
		require.NoError(t, err)
		r.Header.Set("X-Much", "1")
		g.do(r, func(ctx context.Context, response *http.Response) {
			require.NoError(t, clock.Sleep(ctx, g.user.Env.Loop, 20*time.Second))
			held := written.Load()
			require.Less(t, held, int64(8<<20), "windows and buffers")
			a := g.askIn(ctx, "GET", nil)
			require.Equal(t, "200 quick", a.String())
			require.Equal(t, held, written.Load(), "nothing moves where nothing is read")
			n, err := io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			require.EqualValues(t, 64<<20, n)
		})
		nodetest.Sleep(time.Second)
		require.Equal(t, 0, g.status().InFlight)
	})
}

// status is how the gateway sees itself.
func (g *gate) status() (is gatewayapi.StatusResponse) {
	g.user.Do(func(ctx context.Context) {
		var err error
		is, err = gatewayapi.Status.Call(ctx, g.user.Env.Wire, g.gateway.Peer(), gatewayapi.StatusRequest{})
		require.NoError(g, err)
	})
	return is
}

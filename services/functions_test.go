package services_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/fixtures/guests"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// slowGuests answers with the length of the module and the path's parameter, after 10 s, and says so.
type slowGuests struct {
	loads, reads, closed *int
	ready                map[string]bool
	loading              *time.Duration // how long Load takes
	mu                   *sync.Mutex    // requests have their turns at the same time
}

// is reports whether a module is ready, and sets that if it is told so.
func (g slowGuests) is(hash string, now bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready[hash] = g.ready[hash] || now
	return g.ready[hash]
}

func (g slowGuests) count(of *int, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*of += n
}

// SharedByLoops implements clock.Shared.
func (slowGuests) SharedByLoops() {}

// Close implements substrate.Guests.
func (g slowGuests) Close() { *g.closed++ }

// Load implements substrate.Guests.
func (g slowGuests) Load(ctx context.Context, here clock.Loop, guest substrate.Guest) error {
	g.count(g.loads, 1)
	if err := clock.Sleep(ctx, here, *g.loading); err != nil {
		return err
	}
	_, err := guest.Module(ctx)
	g.is(guest.Hash, err == nil)
	return err
}

// Serve implements substrate.Guests.
func (g slowGuests) Serve(here clock.Loop, w http.ResponseWriter, r *http.Request, guest substrate.Guest) substrate.Ran {
	ran := substrate.Ran{Status: 200, Ended: "answered", Fuel: 10, Memory: 1 << 16, Log: "one\ntwo for " + guest.Parameters["id"] + "\n"}
	if !g.is(guest.Hash, false) {
		module, err := guest.Module(r.Context())
		if err != nil {
			return substrate.Ran{Status: 503}
		}
		g.count(g.reads, len(module))
		g.is(guest.Hash, true)
	}
	_ = clock.Sleep(r.Context(), here, 10*time.Second)
	switch guest.Parameters["id"] {
	case "panics":
		panic("a mistake")
	case "panics-late":
		w.WriteHeader(200)
		panic("a mistake")
	case "long":
		guest.Ended()
		fmt.Fprint(w, strings.Repeat("long", 1<<20))
	}
	fmt.Fprint(w, guest.Commit, " ", guest.Parameters["id"], " ", guest.Program().Env)
	return ran
}

// withFunctions is a stage whose substrate runs functions.
func withFunctions(t *testing.T, change func(s *substrate.Settings), f func(s *stage, g slowGuests)) {
	settings := substrate.DefaultSettings()
	change(settings)
	nodetest.Run(t, func(c *nodetest.Cloud) {
		g := slowGuests{new(int), new(int), new(int), map[string]bool{}, new(time.Duration), new(sync.Mutex)}
		s := &stage{Cloud: c, orders: map[string]uint64{}}
		s.tns = c.Add("tns", node.Configured{Spec: tns.Spec(), Settings: tns.DefaultSettings()}).Start()
		s.store = c.Add("store", node.Configured{Spec: hoarder.Spec(), Settings: hoarder.DefaultSettings()}).Start()
		s.substrate = c.Add("substrate", node.Configured{Spec: substrate.Spec(func(node.Env) substrate.Guests { return g }), Settings: settings}).Start()
		s.user = c.Caller("user", "monkey", "gateway", "patrick")
		nodetest.Sleep(5 * time.Second)
		f(s, g)
	})
}

// publishFunction publishes a function that answers /f/{id}.
func (s *stage) publishFunction(commit string, concurrency int) {
	p := &project.Project{Name: "hello", Scope: project.Scope{
		Domains: []project.Domain{{Base: project.Base{Name: "d"}, FQDN: "www.example.com"}},
		Functions: []project.Function{{Base: project.Base{Name: "f"}, Type: "https", Methods: []string{"GET"}, Paths: []string{"/f/{id}"}, Domains: []string{"d"}, Source: ".",
			Call: "page", Timeout: project.Duration(time.Minute), Memory: 1 << 20, Concurrency: concurrency, Environment: map[string]string{"B": "2", "A": "1"}, Secrets: s.secrets}},
	}}
	bundle := build.NewBundle()
	require.NoError(s, bundle.Add(build.Step{Toolchain: build.Prebuilt, Folder: "functions/f", Targets: []string{"functions/f"}}, "", guests.Version(commit)))
	s.publishBundle(p, commit, bundle, true)
	nodetest.Sleep(3 * time.Second)
}

// askAtOnce sends so many requests at once and counts the answers by status.
func (s *stage) askAtOnce(n int) map[int]int {
	by := map[int]int{}
	for i := range n {
		s.user.Env.Loop.Go("ask", func(ctx context.Context) {
			by[s.askIn(ctx, "GET", fmt.Sprintf("http://www.example.com/f/%d", i)).status]++
		})
	}
	return by
}

// TestFunctionsHavePlaces: one runs, two wait, the others are told to come again at once; who waits too long, too. The module is read once.
func TestFunctionsHavePlaces(t *testing.T) {
	withFunctions(t, func(c *substrate.Settings) { c.FunctionQueue, c.FunctionWait = 2, 15*time.Second }, func(s *stage, g slowGuests) {
		s.publishFunction("c1", 1)
		by := s.askAtOnce(5)
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, map[int]int{503: 2}, by)
		a := s.ask("GET", "http://www.example.com/f/x")
		require.Equal(t, 503, a.status)
		require.Equal(t, substrateapi.Busy, a.header.Get(substrateapi.HeaderRefused))
		require.Equal(t, "1", a.header.Get("Retry-After"))
		nodetest.Sleep(20 * time.Second)
		require.Equal(t, map[int]int{200: 2, 503: 3}, by, "the third would have waited for 20 s")
		require.Equal(t, "200 c1 y [A=1 B=2]", s.ask("GET", "http://www.example.com/f/y").String())
		require.Equal(t, 1, *g.loads)
		require.Zero(t, *g.reads, "it was ready before")
		require.Equal(t, 405, s.ask("POST", "http://www.example.com/f/y").status)
		require.Equal(t, 0, *g.closed)
		s.substrate.Stop()
		require.Equal(t, 1, *g.closed)
	})
}

// TestWhoReadsSlowlyHoldsNoPlace: the function has ended, so another request has its place while the answer is read, or is not.
func TestWhoReadsSlowlyHoldsNoPlace(t *testing.T) {
	withFunctions(t, func(c *substrate.Settings) { c.FunctionQueue = 0 }, func(s *stage, _ slowGuests) {
		s.publishFunction("c1", 1)
		s.user.Do(func(ctx context.Context) {
			r, err := http.NewRequest("GET", "http://www.example.com/f/long", nil)
			require.NoError(s, err)
			response, err := httpstream.Do(ctx, s.user.Env.Wire, s.substrate.Peer(), substrateapi.HTTP.Name, r)
			require.NoError(s, err)
			defer response.Body.Close()
			require.Equal(s, "200 c1 y [A=1 B=2]", s.askIn(ctx, "GET", "http://www.example.com/f/y").String())
		})
		require.Equal(t, "200 c1 z [A=1 B=2]", s.ask("GET", "http://www.example.com/f/z").String(), "each place is given back once")
	})
}

// TestAHandlerThatPanics: its request ends, and nothing else does.
func TestAHandlerThatPanics(t *testing.T) {
	withFunctions(t, func(c *substrate.Settings) { c.FunctionQueue = 0 }, func(s *stage, _ slowGuests) {
		s.publishFunction("c1", 1)
		s.Mistaken = "a request made its handler panic"
		a := s.ask("GET", "http://www.example.com/f/panics")
		require.Equal(t, 500, a.status)
		require.NotContains(t, a.body, "a mistake")
		require.Error(t, s.ask("GET", "http://www.example.com/f/panics-late").err)
		require.Equal(t, "200 c1 y [A=1 B=2]", s.ask("GET", "http://www.example.com/f/y").String())
	})
}

// TestFunctionsHaveTheirSecrets: those that they name, new ones within 30 s, known ones for 10 minutes without an auth; no function runs
// before it is known what they are, and none is in a log.
func TestFunctionsHaveTheirSecrets(t *testing.T) {
	withFunctions(t, func(*substrate.Settings) {}, func(s *stage, _ slowGuests) {
		known, asked := map[string]string{"KEY": "for ", "OTHER": "nobody's"}, 0
		keeper := s.Add("auth", node.Configured{Spec: nodetest.Part(authapi.Service, func(env node.Env) {
			authapi.FunctionSecrets.Serve(env.Wire, func(_ context.Context, from transport.Peer, req authapi.Named) (authapi.FunctionSecretsResponse, error) {
				require.Equal(t, authapi.Named{Name: "hello"}, req)
				require.Equal(t, s.substrate.Peer(), from)
				asked++
				return authapi.FunctionSecretsResponse{Secrets: known}, nil
			})
		})}).Start()
		nodetest.Sleep(5 * time.Second)
		s.secrets = []string{"KEY", "LACKING"}
		s.publishFunction("c1", 9)
		get := func() string { return s.ask("GET", "http://www.example.com/f/y").String() }
		require.Equal(t, "200 c1 y [A=1 B=2 KEY=for ]", get())
		require.Equal(t, "200 c1 y [A=1 B=2 KEY=for ]", get())
		require.Equal(t, 1, asked)
		s.user.Env.Loop.Go("logs", func(ctx context.Context) {
			resp, err := substrateapi.Logs.Call(ctx, s.user.Env.Wire, s.substrate.Peer(), substrateapi.LogsRequest{Project: "hello", Branch: "main", Function: "functions/f"})
			require.NoError(t, err)
			text := fmt.Sprint(resp)
			require.Contains(t, text, "two ***y")
			require.NotContains(t, text, "two for y")
		})
		known = map[string]string{"KEY": "new"}
		nodetest.Sleep(30 * time.Second)
		require.Equal(t, "200 c1 y [A=1 B=2 KEY=new]", get())
		keeper.Stop()
		nodetest.Sleep(5 * time.Minute)
		require.Equal(t, "200 c1 y [A=1 B=2 KEY=new]", get())
		nodetest.Sleep(5 * time.Minute)
		require.Equal(t, substrateapi.Starting, s.ask("GET", "http://www.example.com/f/y").header.Get(substrateapi.HeaderRefused))
	})
}

// TestAllFunctionsTogether: how many requests of all functions run at once is bounded, too.
func TestAllFunctionsTogether(t *testing.T) {
	withFunctions(t, func(c *substrate.Settings) { c.FunctionsMax, c.FunctionQueue = 2, 0 }, func(s *stage, _ slowGuests) {
		s.publishFunction("c1", 9)
		by := s.askAtOnce(4)
		nodetest.Sleep(15 * time.Second)
		require.Equal(t, map[int]int{200: 2, 503: 2}, by)
	})
}

// TestANewFunctionIsReadyBefore: the module of a new version is there before it takes over, if the old one was asked for; a request that the old
// version has goes on with it.
func TestANewFunctionIsReadyBefore(t *testing.T) {
	withFunctions(t, func(*substrate.Settings) {}, func(s *stage, g slowGuests) {
		s.publishFunction("c1", 0)
		*g.loading = 10 * time.Second
		s.publishFunction("c2", 0)
		require.Equal(t, 2, *g.loads)
		require.Len(t, s.Facts("version-served"), 2, "nobody has asked for its function: it is served at once")
		*g.loading = 0
		var old answer
		s.user.Env.Loop.Go("ask", func(ctx context.Context) { old = s.askIn(ctx, "GET", "http://www.example.com/f/1") })
		nodetest.Sleep(5 * time.Second)
		s.publishFunction("c3", 0)
		require.Equal(t, 3, *g.loads)
		require.Equal(t, "200 c3 2 [A=1 B=2]", s.ask("GET", "http://www.example.com/f/2").String())
		require.Equal(t, "200 c2 1 [A=1 B=2]", old.String())
		require.Equal(t, "c2", old.header.Get(substrateapi.HeaderVersion))
	})
}

// TestAFunctionIsReadyBeforeAnybodyAsks: what is published while a substrate is here is made ready in the background; who starts makes nothing ready before somebody asks.
func TestAFunctionIsReadyBeforeAnybodyAsks(t *testing.T) {
	withFunctions(t, func(*substrate.Settings) {}, func(s *stage, g slowGuests) {
		*g.loading = 8 * time.Second
		s.publishFunction("c1", 0)
		require.Len(t, s.Facts("version-served"), 1, "it is served at once")
		nodetest.Sleep(10 * time.Second)
		require.Equal(t, 1, *g.loads)
		require.Equal(t, "200 c1 2 [A=1 B=2]", s.ask("GET", "http://www.example.com/f/2").String())
		require.Zero(t, *g.reads, "it was ready")
		s.substrate.Stop()
		s.substrate.Start()
		nodetest.Sleep(time.Minute)
		require.Equal(t, "200 c1 3 [A=1 B=2]", s.ask("GET", "http://www.example.com/f/3").String())
		require.Equal(t, 1, *g.loads)
	})
}

// TestAFunctionThatIsNeverReady: a new version whose functions take too long to be made ready is served all the same, after 20 s and not before.
func TestAFunctionThatIsNeverReady(t *testing.T) {
	withFunctions(t, func(*substrate.Settings) {}, func(s *stage, g slowGuests) {
		s.publishFunction("c1", 0)
		require.Equal(t, 200, s.ask("GET", "http://www.example.com/f/1").status)
		*g.loading = time.Hour
		began := s.user.Env.Loop.Elapsed()
		s.publishFunction("c2", 0)
		var version string
		for version != "c2" {
			version = s.ask("GET", "http://www.example.com/f/1").header.Get(substrateapi.HeaderVersion)
			require.Less(t, s.user.Env.Loop.Elapsed()-began, time.Minute)
		}
		require.Greater(t, s.user.Env.Loop.Elapsed()-began, 20*time.Second, "the old one has answered until then")
	})
}

// TestWhatFunctionsSay: is read by those who may, from where they were, and by nobody else.
func TestWhatFunctionsSay(t *testing.T) {
	withFunctions(t, func(*substrate.Settings) {}, func(s *stage, _ slowGuests) {
		s.publishFunction("c1", 0)
		s.ask("GET", "http://www.example.com/f/7", "X-Request-Id", "r7")
		read := func(c *nodetest.Caller, req substrateapi.LogsRequest) (resp substrateapi.LogsResponse, err error) {
			c.Do(func(ctx context.Context) {
				resp, err = substrateapi.Logs.Call(ctx, c.Env.Wire, s.substrate.Peer(), req)
			})
			return resp, err
		}
		req := substrateapi.LogsRequest{Project: "hello", Function: "functions/f"}
		resp, err := read(s.user, req)
		require.NoError(t, err)
		require.Len(t, resp.Lines, 2)
		require.Equal(t, "two for 7", resp.Lines[1].Text)
		require.Equal(t, "r7", resp.Lines[1].Request)
		require.Equal(t, "c1", resp.Lines[1].Commit)
		s.ask("GET", "http://www.example.com/f/8")
		req.Run, req.After = resp.Run, resp.Lines[1].Seq
		resp, err = read(s.user, req)
		require.NoError(t, err)
		require.Len(t, resp.Lines, 2)
		require.Equal(t, "two for 8", resp.Lines[1].Text)
		req.Function = "functions/none"
		_, err = read(s.user, req)
		require.Equal(t, transport.NotFound, transport.KindOf(err))
		req.Function = "functions/f"
		other := s.Caller("other", "monkey", "gateway")
		nodetest.Sleep(3 * time.Second)
		_, err = read(other, req)
		require.Equal(t, transport.NotAllowed, transport.KindOf(err))
	})
}

// TestWhatFunctionsUse is told to those who may know it, as it is now.
func TestWhatFunctionsUse(t *testing.T) {
	withFunctions(t, func(c *substrate.Settings) { c.FunctionQueue, c.FunctionWait = 1, 15*time.Second }, func(s *stage, _ slowGuests) {
		s.publishFunction("c1", 1)
		read := func(c *nodetest.Caller, req substrateapi.UsageRequest) (resp substrateapi.UsageResponse, err error) {
			c.Do(func(ctx context.Context) {
				resp, err = substrateapi.FunctionUsage.Call(ctx, c.Env.Wire, s.substrate.Peer(), req)
			})
			return resp, err
		}
		s.askAtOnce(4)
		nodetest.Sleep(5 * time.Second)
		resp, err := read(s.user, substrateapi.UsageRequest{})
		require.NoError(t, err)
		require.Equal(t, []substrateapi.Usage{{Project: "hello", Branch: "main", Function: "functions/f", Refused: 2, InFlight: 1, Waiting: 1, Took: make([]uint64, 8)}}, resp.Functions)
		nodetest.Sleep(20 * time.Second)
		resp, err = read(s.user, substrateapi.UsageRequest{Project: "hello"})
		require.NoError(t, err)
		require.Len(t, resp.Functions, 1)
		one := resp.Functions[0]
		require.NotZero(t, one.At)
		one.At, one.TookAll = 0, one.TookAll.Round(time.Second)
		require.Equal(t, substrateapi.Usage{Project: "hello", Branch: "main", Function: "functions/f", Commit: "c1", Requests: 2, Refused: 2, Fuel: 20, FuelMax: 10, MemoryMax: 1 << 16,
			LimitMemory: 1 << 20, TookAll: 20 * time.Second, Took: []uint64{0, 0, 0, 0, 0, 0, 2, 0}}, one)
		resp, err = read(s.user, substrateapi.UsageRequest{Project: "hello", Branch: "next"})
		require.NoError(t, err)
		require.Empty(t, resp.Functions)
		_, err = read(s.Caller("stranger", "monkey"), substrateapi.UsageRequest{})
		require.Equal(t, transport.NotAllowed, transport.KindOf(err))
	})
}

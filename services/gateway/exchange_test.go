package gateway

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// substrate is a stand-in for one, that answers as the test says, and what it was asked.
type substrate struct {
	*nodetest.Machine
	answer  http.HandlerFunc
	refuses string // by its word to those who ask how it is
	silent  bool   // it does not say
	asked   []*http.Request
	knocked []*http.Request
	word    string // to who knocks
	probes  int
	env     node.Env
}

func (s *substrate) SharedByLoops() {}

func (s *substrate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(substrateapi.HeaderKnock) != "" {
		s.knocked = append(s.knocked, r)
		if s.word == substrateapi.Draining {
			w.Header().Set(substrateapi.HeaderRefused, s.word)
		}
		w.Header().Set(substrateapi.HeaderKnock, s.word)
		return
	}
	s.asked = append(s.asked, r)
	s.answer(w, r)
}

// street is a gateway with a client and some substrates.
type street struct {
	*nodetest.Cloud
	gateway    *nodetest.Machine
	client     *nodetest.Caller
	substrates []*substrate
}

func hello(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "hello %s", body)
}

func inStreet(t *testing.T, substrates int, change func(s *Settings), f func(s *street)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := &street{Cloud: c}
		for i := range substrates {
			b := &substrate{answer: hello, word: substrateapi.KnockSomebody}
			b.Machine = c.Add(fmt.Sprint("substrate-", i+1), node.Configured{Spec: nodetest.Part(substrateapi.Service, func(env node.Env) {
				b.env = env
				httpstream.Serve(env.Wire, substrateapi.HTTP.Name, substrateapi.HTTP.Rule, b)
				substrateapi.Status.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ substrateapi.StatusRequest) (substrateapi.StatusResponse, error) {
					b.probes++
					if b.silent {
						return substrateapi.StatusResponse{}, clock.Sleep(ctx, env.Loop, time.Hour)
					}
					return substrateapi.StatusResponse{Refuses: b.refuses}, nil
				})
			})}).Start()
			s.substrates = append(s.substrates, b)
		}
		settings := DefaultSettings()
		if change != nil {
			change(settings)
		}
		s.gateway = c.Add("gateway", node.Configured{Spec: Spec(nil), Settings: settings}).Start()
		s.client = c.Caller("client")
		nodetest.Sleep(3 * time.Second)
		f(s)
	})
}

// answered is a response that has come whole.
type answered struct {
	status  int
	body    string
	header  http.Header
	trailer http.Header
	err     error
}

type length struct {
	io.Reader
	n int64
}

// ask has the client send a request: METHOD ADDRESS and fields.
func (s *street) ask(method, address string, body io.Reader, fields ...string) (a answered) {
	s.client.Do(func(ctx context.Context) { a = s.askIn(ctx, method, address, body, fields...) })
	return a
}

func (s *street) askIn(ctx context.Context, method, address string, body io.Reader, fields ...string) (a answered) {
	at, err := url.Parse(address)
	require.NoError(s, err)
	r := (&http.Request{Method: method, URL: at, Host: at.Host, Header: http.Header{}}).WithContext(ctx)
	r.Header.Set("User-Agent", "")
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "User-Agent" {
			r.Header.Del("User-Agent")
		}
		r.Header.Add(fields[i], fields[i+1])
	}
	switch b := body.(type) {
	case *strings.Reader:
		r.Body, r.ContentLength = io.NopCloser(b), b.Size()
	case length:
		r.Body, r.ContentLength = io.NopCloser(b), b.n
	case io.Reader:
		r.Body, r.ContentLength = io.NopCloser(b), -1
	}
	response, err := httpstream.Do(ctx, s.client.Env.Wire, s.gateway.Peer(), gatewayapi.HTTP.Name, r)
	if err != nil {
		return answered{err: err}
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return answered{response.StatusCode, string(got), response.Header, response.Trailer, err}
}

func (s *street) service() *Service { return s.gateway.Service(gatewayapi.Service).(*Service) }

func (s *street) turn(f func(g *Service)) {
	g := s.service()
	require.NoError(s, clock.Do(context.Background(), g.env.Loop, func(context.Context) { f(g) }))
}

// idle requires that nothing is counted as going on.
func (s *street) idle() {
	nodetest.Sleep(2 * time.Second)
	s.turn(func(g *Service) {
		require.Equal(s, newRoom(), g.room)
		require.Zero(s, g.knocking)
		for _, b := range g.backends {
			require.Zero(s, b.inFlight)
		}
	})
}

func (s *street) recent() (list []gatewayapi.Access) {
	s.client.Do(func(ctx context.Context) {
		resp, err := gatewayapi.Status.Call(ctx, s.client.Env.Wire, s.gateway.Peer(), gatewayapi.StatusRequest{})
		require.NoError(s, err)
		list = resp.Recent
	})
	return list
}

// What a substrate gets is the request, but for what is about one connection or this cloud's own; and the client gets the answer so.
func TestWhatIsPassedOn(t *testing.T) {
	inStreet(t, 1, nil, func(s *street) {
		b := s.substrates[0]
		b.answer = func(w http.ResponseWriter, r *http.Request) {
			require.Nil(t, r.Header["Connection"])
			require.Nil(t, r.Header["X-Hop"], "what is named by Connection")
			require.Nil(t, r.Header["Te"])
			require.Nil(t, r.Header["X-Tau-Version"])
			require.Nil(t, r.Header["Expect"])
			require.Equal(t, []string{"a", "b"}, r.Header["X-Two"])
			require.Equal(t, "me", r.Header.Get("User-Agent"))
			require.Equal(t, "id-1_z", r.Header.Get(gatewayapi.HeaderRequestID))
			require.Equal(t, `for=unknown;host="Shop.example.com:80";proto=http`, r.Header.Get("Forwarded"))
			require.Equal(t, []string{"unknown", "Shop.example.com:80", "http"}, []string{r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Proto")})
			require.Equal(t, "/a/b?c=d", r.URL.RequestURI())
			h := w.Header()
			h.Set("X-Tau-Load", "1/2")
			h.Set("X-Tau-Other", "secret")
			h.Set(substrateapi.HeaderVersion, "c0ffee")
			h.Set("Connection", "X-Hop-Back")
			h.Set("X-Hop-Back", "1")
			h.Set("X-Mine", "yes")
			h.Set(gatewayapi.HeaderRequestID, "another")
			h.Set("Trailer", "X-After, X-Request-Id")
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, "short and stout")
			h.Set("X-After", "done")
			h.Set("X-Request-Id", "another")
		}
		a := s.ask("GET", "http://Shop.example.com:80/a/b?c=d", nil, "X-Two", "a", "X-Two", "b", "Connection", "close, X-Hop", "X-Hop", "1", "Te", "trailers", "X-Tau-Version", "x",
			"Expect", "x", "User-Agent", "me", "X-Request-Id", "id-1_z", "Forwarded", "for=me", "X-Forwarded-For", "me", "X-Forwarded-Host", "me", "X-Forwarded-Proto", "https")
		require.NoError(t, a.err)
		require.Equal(t, http.StatusTeapot, a.status)
		require.Equal(t, "short and stout", a.body)
		require.Equal(t, "yes", a.header.Get("X-Mine"))
		require.Equal(t, "c0ffee", a.header.Get(substrateapi.HeaderVersion))
		require.Equal(t, []string{"id-1_z"}, a.header[gatewayapi.HeaderRequestID])
		for _, none := range []string{"X-Tau-Load", "X-Tau-Other", "X-Hop-Back"} {
			require.Empty(t, a.header.Get(none), none)
		}
		require.Equal(t, http.Header{"X-After": {"done"}}, a.trailer)
		s.idle()
		s.turn(func(g *Service) {
			require.InDelta(t, 0.5, g.backends[b.Peer()].load, 0)
			require.True(t, g.backends[b.Peer()].warm["shop.example.com"])
		})

		b.answer = func(w http.ResponseWriter, r *http.Request) {
			require.NotEmpty(t, r.Header.Get(gatewayapi.HeaderRequestID))
			require.Empty(t, r.Header.Get("User-Agent"), "no client's name is made up")
			pause(r, time.Second)
			fmt.Fprint(w, strings.Repeat("x", 100))
		}
		long := "http://shop.example.com/" + strings.Repeat("p", 300)
		a = s.ask("GET", long, nil, "X-Request-Id", "no id")
		require.Len(t, a.body, 100)
		require.Len(t, a.header.Get(gatewayapi.HeaderRequestID), 32)
		last := s.recent()
		require.Len(t, last, 2)
		require.NotZero(t, last[1].At)
		require.GreaterOrEqual(t, last[1].Took, time.Second)
		last[1].At, last[1].Took = 0, 0
		require.Equal(t, gatewayapi.Access{ID: a.header.Get(gatewayapi.HeaderRequestID), Host: "shop.example.com", Method: "GET", Path: "/" + strings.Repeat("p", 255),
			Status: 200, Bytes: 100, Substrate: b.Peer(), Tries: 1}, last[1])
		require.Equal(t, "c0ffee", last[0].Version)
		require.Equal(t, http.StatusTeapot, last[0].Status)
		facts := s.Facts("request-answered")
		require.Equal(t, map[string]any{"id": "id-1_z", "host": "shop.example.com", "status": http.StatusTeapot, "took": last[0].Took, "bytes": int64(15), "by": b.Peer(), "tries": 1, "version": "c0ffee", "whole": true}, facts[0].Fields)
		for range gatewayapi.RecentMax {
			s.ask("HEAD", "http://shop.example.com/x", nil)
		}
		last = s.recent()
		require.Len(t, last, gatewayapi.RecentMax, "the last ones are remembered")
		require.Equal(t, "/x", last[0].Path)
	})
}

// Bodies reach the substrate whole, whether their length is known or not, short or long; what is too long is refused.
func TestBodiesArePassedOn(t *testing.T) {
	const most = 3 * smallBody
	inStreet(t, 1, func(s *Settings) { s.BodyMax = most }, func(s *street) {
		got, trailer := "", http.Header{}
		s.substrates[0].answer = func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				got, trailer = string(body), r.Trailer
			}
			w.WriteHeader(http.StatusCreated)
		}
		for _, n := range []int{1, smallBody, smallBody + 1, most} {
			text := strings.Repeat("y", n)
			for _, body := range []io.Reader{strings.NewReader(text), io.MultiReader(strings.NewReader(text))} {
				got = ""
				a := s.ask("POST", "http://shop.example.com/", body)
				require.Equal(t, http.StatusCreated, a.status, "%d bytes", n)
				require.Len(t, got, n)
				s.idle()
			}
		}
		got = "none"
		a := s.ask("POST", "http://shop.example.com/", nil)
		require.Equal(t, http.StatusCreated, a.status)
		require.Empty(t, got)
		require.Empty(t, trailer)
		asked := len(s.substrates[0].asked)
		a = s.ask("POST", "http://shop.example.com/", strings.NewReader(strings.Repeat("y", most+1)))
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		require.Contains(t, a.body, fmt.Sprint("at most ", most, " bytes"))
		require.Len(t, s.substrates[0].asked, asked, "that is known before anybody is asked")
		s.idle()
		a = s.ask("POST", "http://shop.example.com/", io.MultiReader(strings.NewReader(strings.Repeat("y", most+1))))
		if a.err == nil {
			require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		}
		s.idle()
	})
}

// What is no request for this cloud is refused in plain words, and nobody is asked.
func TestRequestsThatAreNone(t *testing.T) {
	inStreet(t, 1, nil, func(s *street) {
		for what, c := range map[string]struct {
			method, address string
			status          int
			says            string
		}{
			"one that is":  {"OPTIONS", "http://shop.example.com/", 0, ""},
			"no host":      {"GET", "http://:80/", http.StatusBadRequest, "400 Bad Request: the request names no host\n"},
			"a HEAD of it": {"HEAD", "http://:80/", http.StatusBadRequest, ""},
		} {
			a := s.ask(c.method, c.address, nil)
			if c.status == 0 {
				require.Equal(t, http.StatusOK, a.status, what)
				continue
			}
			require.NoError(t, a.err, what)
			require.Equal(t, c.status, a.status, what)
			require.Equal(t, c.says, a.body, what)
			require.Equal(t, []string{"no-store", "nosniff", "text/plain; charset=utf-8", ""}, []string{a.header.Get("Cache-Control"), a.header.Get("X-Content-Type-Options"), a.header.Get("Content-Type"), a.header.Get("Retry-After")}, what)
			require.Equal(t, "43", a.header.Get("Content-Length"), what)
			last := s.recent()
			require.Equal(t, c.status, last[len(last)-1].Status)
			require.EqualValues(t, len(c.says), last[len(last)-1].Bytes)
		}
		require.Len(t, s.substrates[0].asked, 1)
		s.idle()
	})
}

// refusing answers that it takes no request, for a reason.
func refusing(why string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(substrateapi.HeaderRefused, why)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// each sets what all substrates answer, the one that is asked first, and the others.
func (s *street) each(first, others http.HandlerFunc) {
	asked := 0
	for _, b := range s.substrates {
		b.asked = nil
		b.answer = func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked == 1 {
				first(w, r)
			} else {
				others(w, r)
			}
		}
	}
}

func (s *street) askedInAll() (n int) {
	for _, b := range s.substrates {
		n += len(b.asked)
	}
	return n
}

// pause has a substrate take its time, unless who asks is gone.
func pause(r *http.Request, d time.Duration) {
	_ = clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), d)
}

func stuck(_ http.ResponseWriter, r *http.Request) { pause(r, time.Minute) }

func breaks(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Another substrate is asked, each one once and only so many, where one has refused the request or it may be repeated; never where it may have been acted upon.
func TestWhenAnotherSubstrateIsAsked(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) { pause(r, 20*time.Second); hello(w, r) }
	for name, c := range map[string]struct {
		method         string
		body           io.Reader
		first, others  http.HandlerFunc
		fields         []string
		status, asked  int
		says           string
		takes, atLeast time.Duration
	}{
		"one refuses":                           {"GET", nil, refusing(substrateapi.Busy), hello, nil, 200, 2, "hello ", 0, 0},
		"one refuses a short body":              {"POST", strings.NewReader("abc"), refusing(substrateapi.Busy), hello, nil, 200, 2, "hello abc", 0, 0},
		"all refuse":                            {"GET", nil, refusing(substrateapi.Draining), refusing(substrateapi.Draining), nil, 503, 3, "503 Service Unavailable: no substrate takes the request\n", 0, 0},
		"one breaks off a GET":                  {"GET", nil, breaks, hello, nil, 200, 2, "hello ", 0, 0},
		"one breaks off a HEAD":                 {"HEAD", nil, breaks, hello, nil, 200, 2, "", 0, 0},
		"one breaks off an OPTIONS":             {"OPTIONS", nil, breaks, hello, nil, 200, 2, "hello ", 0, 0},
		"one breaks off a POST":                 {"POST", strings.NewReader("abc"), breaks, hello, nil, 502, 1, "502 Bad Gateway: the substrate cannot be reached\n", 0, 0},
		"one breaks off a DELETE":               {"DELETE", nil, breaks, hello, nil, 502, 1, "502 Bad Gateway: the substrate cannot be reached\n", 0, 0},
		"one breaks off a GET with a body":      {"GET", strings.NewReader("abc"), breaks, hello, nil, 502, 1, "502 Bad Gateway: the substrate cannot be reached\n", 0, 0},
		"one is slow about a GET":               {"GET", nil, slow, hello, nil, 200, 2, "hello ", 6 * time.Second, 5 * time.Second},
		"one is slow about a POST":              {"POST", nil, slow, hello, nil, 200, 1, "hello ", 21 * time.Second, 20 * time.Second},
		"one is slow about an upgrade":          {"GET", nil, slow, hello, []string{"Connection", "Upgrade", "Upgrade", "x"}, 200, 1, "hello ", 21 * time.Second, 20 * time.Second},
		"all break a GET off":                   {"GET", nil, breaks, breaks, nil, 503, 3, "503 Service Unavailable: no substrate takes the request\n", 0, 0},
		"all are slow about a GET":              {"GET", nil, stuck, stuck, nil, 504, 3, "504 Gateway Timeout: no substrate answered in time\n", 31 * time.Second, 30 * time.Second},
		"one is slow about a POST for too long": {"POST", nil, stuck, hello, nil, 504, 1, "504 Gateway Timeout: the substrate did not answer in time\n", 31 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inStreet(t, 4, nil, func(s *street) {
				s.each(c.first, c.others)
				began := time.Now()
				a := s.ask(c.method, "http://shop.example.com/", c.body, c.fields...)
				require.NoError(t, a.err)
				require.Equal(t, c.status, a.status)
				require.Equal(t, c.says, a.body)
				took := time.Since(began)
				if c.takes > 0 {
					require.Less(t, took, c.takes)
					require.GreaterOrEqual(t, took, c.atLeast)
				}
				require.Equal(t, c.asked, s.askedInAll())
				for _, b := range s.substrates {
					require.LessOrEqual(t, len(b.asked), 1, "each one once")
				}
				if c.status == 503 {
					require.Equal(t, "1", a.header.Get("Retry-After"))
				}
				last := s.recent()
				require.Equal(t, c.asked, last[len(last)-1].Tries)
				nodetest.Sleep(time.Minute)
				s.idle()
			})
		})
	}
	inStreet(t, 0, nil, func(s *street) {
		a := s.ask("GET", "http://shop.example.com/", nil)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Contains(t, a.body, "no substrate is known")
	})
}

// A client that goes away ends what is done for it, and says nothing of the substrate; a substrate whose answer breaks off, or says nothing
// for too long, ends the client's.
func TestAnswersThatBreakOff(t *testing.T) {
	inStreet(t, 1, func(s *Settings) { s.IdleTimeout = 3 * time.Second }, func(s *street) {
		b := s.substrates[0]
		b.answer = func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		a := s.ask("GET", "http://shop.example.com/", nil)
		require.Error(t, a.err)
		s.idle()
		facts := s.Facts("request-answered")
		require.Equal(t, false, facts[len(facts)-1].Fields["whole"])
		b.answer = func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				fmt.Fprint(w, "part ")
				_ = http.NewResponseController(w).Flush()
				pause(r, 2*time.Second)
			}
			pause(r, 30*time.Second)
		}
		began := time.Now()
		a = s.ask("GET", "http://shop.example.com/", nil)
		require.Error(t, a.err)
		require.Equal(t, "part part part ", a.body, "what comes in time is passed on")
		require.InDelta(t, 7, time.Since(began).Seconds(), 0.5)
		s.idle()
		nodetest.Sleep(time.Minute)

		ended := false
		b.answer = func(_ http.ResponseWriter, r *http.Request) {
			err := clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), 20*time.Second)
			ended = err != nil
		}
		s.client.Do(func(ctx context.Context) {
			ctx, cancel := clock.WithTimeout(ctx, s.client.Env.Loop, time.Second)
			defer cancel()
			require.Error(t, s.askIn(ctx, "POST", "http://shop.example.com/", nil).err)
		})
		s.idle()
		require.True(t, ended, "nobody works for who is gone")
		s.turn(func(g *Service) { require.Zero(t, g.backends[b.Peer()].health.failures) })
	})
}

// Whether anybody serves a host that nothing is known of is asked before a body is taken for it.
func TestKnocking(t *testing.T) {
	inStreet(t, 2, nil, func(s *street) {
		knocked := func() (list []*http.Request) {
			for _, b := range s.substrates {
				list = append(list, b.knocked...)
				b.knocked = nil
			}
			return list
		}
		words := func(words ...string) {
			for i, b := range s.substrates {
				b.word = words[i]
			}
		}
		body := func() io.Reader { return strings.NewReader("abc") }
		a := s.ask("POST", "http://one.example.com/path?x=y", body())
		require.Equal(t, "hello abc", a.body)
		list := knocked()
		require.Len(t, list, 1)
		require.Equal(t, []string{http.MethodTrace, "one.example.com", "/", ""}, []string{list[0].Method, list[0].Host, list[0].URL.RequestURI(), list[0].Header.Get("User-Agent")})
		require.Equal(t, "hello abc", s.ask("POST", "http://one.example.com/", body()).body)
		require.Equal(t, "hello ", s.ask("POST", "http://two.example.com/", nil).body, "without a body there is nothing to wait for")
		require.Empty(t, knocked())
		nodetest.Sleep(servedFor)
		require.Equal(t, "hello abc", s.ask("POST", "http://one.example.com/", body()).body)
		require.Len(t, knocked(), 1, "it is believed for a while")

		asked := s.askedInAll()
		words(substrateapi.KnockNobody, substrateapi.KnockNobody)
		a = s.ask("POST", "http://none.example.com/", body(), "X-Request-Id", "mine")
		require.Equal(t, http.StatusNotFound, a.status)
		require.Equal(t, "404 Not Found: no project serves none.example.com\n", a.body)
		require.Equal(t, "mine", a.header.Get(gatewayapi.HeaderRequestID))
		require.Len(t, knocked(), 1)
		a = s.ask("POST", "http://none.example.com/", body())
		require.Equal(t, http.StatusNotFound, a.status)
		require.Len(t, knocked(), 1, "that nobody does is asked anew")
		words(substrateapi.Draining, substrateapi.Draining)
		a = s.ask("POST", "http://three.example.com/", body())
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Contains(t, a.body, "no substrate takes the request")
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Len(t, knocked(), 2)
		s.turn(func(g *Service) {
			require.Equal(t, substrateapi.Draining, g.backends[s.substrates[0].Peer()].refuses)
			require.NotContains(t, g.served, "three.example.com")
			require.NotContains(t, g.served, "none.example.com")
		})
		require.Equal(t, asked, s.askedInAll())
		s.idle()
		s.turn(func(g *Service) { g.know(nil) })
		a = s.ask("POST", "http://four.example.com/", body())
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Contains(t, a.body, "no substrate is known")
		s.idle()
	})
}

// A gateway that ends takes no more requests, and ends those that it has.
func TestAGatewayEnds(t *testing.T) {
	inStreet(t, 1, nil, func(s *street) {
		s.substrates[0].answer = func(w http.ResponseWriter, r *http.Request) { pause(r, 3*time.Second); hello(w, r) }
		var slow answered
		done := make(chan struct{})
		s.client.Env.Loop.Go("slow", func(ctx context.Context) {
			slow = s.askIn(ctx, "GET", "http://shop.example.com/", nil)
			close(done)
		})
		nodetest.Sleep(time.Second)
		g := s.service()
		require.NoError(t, g.Ready())
		stopped := time.Duration(0)
		g.env.Loop.Go("stop", func(ctx context.Context) {
			began := g.env.Loop.Elapsed()
			_ = g.Stop(ctx)
			stopped = g.env.Loop.Elapsed() - began
		})
		nodetest.Sleep(time.Second)
		a := s.ask("GET", "http://shop.example.com/", nil)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Contains(t, a.body, "this gateway is ending")
		require.Equal(t, transport.Refused, transport.KindOf(g.Ready()))
		<-done
		require.Equal(t, "hello ", slow.body)
		nodetest.Sleep(2 * time.Second)
		require.InDelta(t, 3, stopped.Seconds(), 0.2, "when the last one is answered, and is on its way")
	})
}

// Who has failed gravely is out at once, others after some failures and a question; who is well again is asked again.
func TestSubstratesAreOutAndBack(t *testing.T) {
	inStreet(t, 2, nil, func(s *street) {
		bad, good := s.substrates[0], s.substrates[1]
		bad.answer = breaks
		bad.silent = true
		for range 20 {
			require.Equal(t, "hello ", s.ask("GET", "http://shop.example.com/", nil).body)
		}
		require.Len(t, bad.asked, 1)
		require.Len(t, good.asked, 20)
		ejected := s.Facts("substrate-ejected")
		require.Len(t, ejected, 1)
		require.Equal(t, map[string]any{"peer": bad.Peer(), "for": time.Second}, ejected[0].Fields)
		view := func() gatewayapi.Substrate {
			var resp gatewayapi.StatusResponse
			s.client.Do(func(ctx context.Context) {
				var err error
				resp, err = gatewayapi.Status.Call(ctx, s.client.Env.Wire, s.gateway.Peer(), gatewayapi.StatusRequest{})
				require.NoError(t, err)
			})
			require.Len(t, resp.Substrates, 2)
			require.Equal(t, []any{0, DefaultSettings().RequestsMax, false}, []any{resp.InFlight, resp.InFlightMax, resp.Draining})
			at := slices.IndexFunc(resp.Substrates, func(v gatewayapi.Substrate) bool { return v.Peer == bad.Peer() })
			return resp.Substrates[at]
		}
		require.InDelta(t, 1, view().Ejected.Seconds(), 0.1)
		nodetest.Sleep(40 * time.Second)
		require.Greater(t, bad.probes, 2)
		require.Less(t, bad.probes, 12, "each time it is asked later")
		bad.silent, bad.refuses = false, "something"
		bad.answer = hello
		nodetest.Sleep(40 * time.Second)
		require.Len(t, s.Facts("substrate-back"), 1)
		require.Equal(t, bad.Peer(), s.Facts("substrate-back")[0].Fields["peer"])
		require.Zero(t, view().Ejected)
		require.Empty(t, view().Refuses)
		good.answer = refusing(substrateapi.Busy)
		require.Equal(t, "hello ", s.ask("GET", "http://shop.example.com/", nil).body)
		require.Len(t, bad.asked, 2)
		good.answer = hello

		bad.answer, bad.refuses = refusing(substrateapi.Draining), substrateapi.Draining
		n := len(bad.asked)
		for range 20 {
			s.ask("GET", "http://shop.example.com/", nil)
		}
		require.LessOrEqual(t, len(bad.asked), n+1, "who has said that it ends is not asked")
		require.Equal(t, substrateapi.Draining, view().Refuses)
		bad.refuses, bad.answer = "", hello
		nodetest.Sleep(3 * time.Second)
		require.Empty(t, view().Refuses, "it is asked how it is")
		s.turn(func(g *Service) {
			was := g.backends[good.Peer()]
			g.know([]transport.Peer{good.Peer()})
			require.Same(t, was, g.backends[good.Peer()], "what is known of the others stays")
			require.Equal(t, []transport.Peer{good.Peer()}, slices.Collect(maps.Keys(g.backends)), "who is gone is forgotten")
		})
	})
}

// Three failures of other kinds raise doubts: a substrate that says it is well stays.
func TestADoubtIsAsked(t *testing.T) {
	for _, silent := range []bool{false, true} {
		inStreet(t, 1, func(s *Settings) { s.HeadTimeout = time.Second }, func(s *street) {
			b := s.substrates[0]
			b.answer = func(_ http.ResponseWriter, r *http.Request) { pause(r, 10*time.Second) }
			b.silent = silent
			for n := range 3 {
				require.Zero(t, b.probes, n)
				require.Equal(t, http.StatusGatewayTimeout, s.ask("POST", "http://shop.example.com/", nil).status)
			}
			nodetest.Sleep(1500 * time.Millisecond)
			require.NotZero(t, b.probes)
			require.Equal(t, silent, len(s.Facts("substrate-ejected")) == 1)
			s.turn(func(g *Service) {
				require.GreaterOrEqual(t, g.backends[b.Peer()].latency, time.Second)
				if !silent {
					require.Zero(t, g.backends[b.Peer()].health.failures)
				}
			})
			b.answer = hello
			require.Equal(t, "hello ", s.ask("GET", "http://shop.example.com/", nil).body, "where all are out, one is asked all the same")
			nodetest.Sleep(time.Minute)
		})
	}
}

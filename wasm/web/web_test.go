package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
)

// cacheDir is of all tests: each module is compiled once.
var cacheDir string

func TestMain(m *testing.M) {
	if os.Getenv(clientOf) != "" {
		os.Exit(load())
	}
	dir, err := os.MkdirTemp("", "web")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// stage is a runner, and what has come of its last call.
type stage struct {
	*testing.T
	*Runner
	module []byte
	reads  int
	mu     sync.Mutex
	last   Outcome
}

func newStage(t *testing.T, o Options) *stage {
	o.Engine.CacheDir = cacheDir
	began := time.Now()
	o.Engine.Elapsed = func() time.Duration { return time.Since(began) }
	o.Coroutines = max(o.Coroutines, 4)
	r, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return &stage{T: t, Runner: r, module: guests.Version("v1")}
}

func function(call string) Function {
	return Function{Module: "m", Call: call, Timeout: 10 * time.Second, MemoryMax: 16 << 20, Env: []string{"GREETING=hello"}}
}

func (s *stage) ask(f Function, q *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Serve(w, q, f, Exchange{ID: "r1", Parameters: map[string]string{"id": "7"}, Module: func(context.Context) ([]byte, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads++
		return s.module, nil
	}, Ran: func(o Outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = o
	}})
	return w
}

func (s *stage) get(f Function, url string) *httptest.ResponseRecorder {
	return s.ask(f, httptest.NewRequest("GET", url, nil))
}

// TestCGI: a request is answered by a function like a CGI program, in an instance that knows of no other request.
func TestCGI(t *testing.T) {
	s := newStage(t, Options{})
	for range 3 {
		w := s.get(function("page"), "http://example.com/a/b?x=1")
		require.Equal(t, 200, w.Code)
		require.Equal(t, "version [v1......................................] GET /a/b\ncount 1, before nothing\ngreeting hello, parameter 7\n", w.Body.String())
		require.Equal(t, "1", w.Header().Get("X-Count"))
		require.Equal(t, "text/plain", w.Header().Get("Content-Type"))
		require.Empty(t, w.Header().Get("X-Tau-Version"), "what the cloud says of itself no function says")
	}
	require.Equal(t, 1, s.reads)
	w := s.ask(function("page"), httptest.NewRequest("POST", "http://example.com/?body,teapot", strings.NewReader("the body")))
	require.Equal(t, 418, w.Code)
	require.True(t, strings.HasSuffix(w.Body.String(), "the body"), w.Body.String())
	require.Empty(t, s.ask(function("page"), httptest.NewRequest("HEAD", "http://example.com/", nil)).Body.String())
	s.module = guests.Read("cgi-c")
	command := Function{Module: "command", Call: "_start", Timeout: time.Second, MemoryMax: 4 << 20}
	w = s.ask(command, httptest.NewRequest("POST", "http://example.com/path", strings.NewReader("in")))
	require.Equal(t, "_start 1 /path: in", w.Body.String())
}

// TestEvents: the same by the interface of events; what such a function prints is its log.
func TestEvents(t *testing.T) {
	s := newStage(t, Options{})
	for range 2 {
		w := s.ask(function("event"), httptest.NewRequest("POST", "http://example.com/path?name=me", strings.NewReader("body")))
		require.Equal(t, 201, w.Code)
		require.Equal(t, "version [v1......................................] /path name me, count 1, before nothing, wrong 1, body body\n", w.Body.String())
		require.Equal(t, "C", w.Header().Get("X-Language"))
		require.Equal(t, "printed\n", s.last.Log)
		require.Equal(t, Answered, s.last.Ended)
	}
}

// TestHostile: what does harm ends, is told apart, and the next request is answered as if nothing had been.
func TestHostile(t *testing.T) {
	s := newStage(t, Options{BodyMax: 1000})
	slow, fuel := function("page"), function("page")
	slow.Timeout = 30 * time.Millisecond
	for _, c := range []struct {
		function   Function
		query      string
		status     int
		ended, log string
	}{
		{slow, "spin", 504, Deadline, "taken too long"},
		{fuel, "trap", 500, Trapped, "trapped"},
		{fuel, "exit", 500, Trapped, "code 3"},
		{fuel, "bare", 500, Malformed, "head of a CGI response"},
		{fuel, "say", 200, Answered, "said: say\n"},
	} {
		w := s.get(c.function, "http://example.com/?"+c.query)
		require.Equal(t, c.status, w.Code, c.query)
		require.Equal(t, c.ended, s.last.Ended, c.query)
		require.Contains(t, s.last.Log, c.log)
		if c.status >= 500 {
			require.Contains(t, w.Body.String(), "(request r1)")
			require.NotContains(t, w.Body.String(), "wasm")
		}
		require.Contains(t, s.get(function("page"), "http://example.com/").Body.String(), "count 1, before nothing")
	}
	require.Equal(t, 413, s.ask(function("page"), httptest.NewRequest("POST", "http://example.com/", strings.NewReader(strings.Repeat("x", 1001)))).Code)
	s = newStage(t, Options{FuelPerSecond: 1_000_000})
	require.Equal(t, 500, s.get(fuel, "http://example.com/?spin").Code)
	require.Equal(t, Fuel, s.last.Ended)
	s = newStage(t, Options{FuelPerSecond: 1_000_000, Fuelled: true})
	require.Equal(t, 504, s.get(fuel, "http://example.com/?spin").Code)
	require.Equal(t, Deadline, s.last.Ended)
}

// TestFaults: a module that cannot be run is told so, and is not read again; one that could not be read is.
func TestFaults(t *testing.T) {
	s := newStage(t, Options{})
	s.module = []byte("no module")
	for range 2 {
		require.Equal(t, 500, s.get(function("page"), "http://example.com/").Code)
		require.Contains(t, s.last.Log, "cannot be run")
	}
	require.Equal(t, 1, s.reads)
	s.module = guests.Version("v1")
	small := function("page")
	small.MemoryMax = 64 << 10
	require.Equal(t, 500, s.get(small, "http://example.com/").Code)
	require.Contains(t, s.last.Log, "memory")
	require.Equal(t, 500, s.get(function("none"), "http://example.com/").Code)
	require.Contains(t, s.last.Log, `exports no function "none"`)
	other := function("page")
	other.Module = "other"
	w := httptest.NewRecorder()
	s.Serve(w, httptest.NewRequest("GET", "/", nil), other, Exchange{Module: func(context.Context) ([]byte, error) { return nil, errors.New("no disk") }})
	require.Equal(t, 503, w.Code)
	require.NotContains(t, w.Body.String(), "disk")
	require.Equal(t, 200, s.get(other, "http://example.com/").Code)
}

// TestStampede: many who come at once wait for one to load the module.
func TestStampede(t *testing.T) {
	s := newStage(t, Options{})
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if w := s.get(function("page"), "http://example.com/"); w.Code != 200 || !strings.Contains(w.Body.String(), "count 1, before nothing") {
				t.Error(w.Code, w.Body.String())
			}
		})
	}
	all.Wait()
	require.Len(t, s.loaded, 1)
}

// TestBytes: what was not asked for for longest goes, and comes back when it is asked for.
func TestBytes(t *testing.T) {
	s := newStage(t, Options{LoadedBytesMax: 2*(loadedFactor*int64(len(guests.Version("v1")))+pageLen) + 1})
	f := function("page")
	for _, n := range []int{0, 1, 0, 2, 0, 1} {
		f.Module = fmt.Sprint(n)
		s.module = guests.Version(f.Module)
		require.Contains(t, s.get(f, "http://example.com/").Body.String(), fmt.Sprintf("version [%d..", n))
		require.LessOrEqual(t, s.bytes, s.options.LoadedBytesMax)
	}
	require.Equal(t, 4, s.reads, "0, which was asked for again and again, was read once")
}

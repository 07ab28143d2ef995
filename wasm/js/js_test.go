package js

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
)

// cacheDir is of all tests: the interpreter is compiled once.
var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "js")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

type lockedRand struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (l *lockedRand) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// stage is an engine, and what its last call has logged.
type stage struct {
	*testing.T
	*engine.Engine
	log   strings.Builder
	usage engine.Usage
}

func newStage(t *testing.T) *stage {
	e, err := engine.New(engine.Options{Hosts: Hosts(), CacheDir: cacheDir, Rand: &lockedRand{r: rand.NewChaCha8([32]byte{1})},
		Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return &stage{T: t, Engine: e}
}

func limits() engine.Limits {
	l := engine.DefaultLimits()
	l.Fuel, l.Wall = 1_000_000_000, 0
	return l
}

func (s *stage) load(code string, env ...string) (*engine.Function, error) {
	module, err := Module()
	require.NoError(s, err)
	s.log.Reset()
	f, err := s.Load(context.Background(), module, Setup(engine.Setup{Limits: limits(), Env: env, Log: &s.log, MemoryMax: 16 << 20}, []byte(Mark+code), "fetch"))
	if err == nil {
		s.Cleanup(f.Close)
	}
	return f, err
}

// ask has a function answer a request.
func (s *stage) ask(f *engine.Function, x *Exchange) error {
	if x.Method == "" {
		x.Method = "GET"
	}
	if x.URL == "" {
		x.URL = "http://example.com/some/path?name=value"
	}
	s.log.Reset()
	_, usage, err := f.Call(context.Background(), engine.Request{Drive: x.Serve, Value: x, Stderr: &s.log})
	s.usage = usage
	return err
}

// run answers one request with the body of a function.
func (s *stage) run(body string) string {
	s.Helper()
	f, err := s.load("export default { async fetch(request, env, ctx) {\n" + body + "\n} }")
	require.NoError(s, err)
	x := &Exchange{Header: http.Header{"X-Word": {"first", "second"}}}
	require.NoError(s, s.ask(f, x), s.log.String())
	return string(x.Answer)
}

func TestAFunctionAnswers(t *testing.T) {
	s := newStage(t)
	require.Equal(t, "hello", s.run(`return new Response("hello")`))
	t.Log(s.usage, s.log.String())
}

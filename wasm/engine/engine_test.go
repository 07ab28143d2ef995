package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
)

// small are limits for tests: what does harm ends soon.
func small() Limits {
	return Limits{Fuel: 200_000_000, Slice: 100_000, OutputMax: 1 << 20, LogMax: 1 << 10, HostCallsMax: 100_000}
}

func newEngine(t testing.TB, o Options) *Engine {
	if o.Rand == nil {
		o.Rand = &lockedRand{r: rand.NewChaCha8([32]byte{1})}
	}
	if o.CacheDir == "" {
		o.CacheDir = cacheDir
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	}
	e, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// cacheDir is of all tests: each guest is compiled once.
var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "engine")
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

// prepared keeps what preparing a guest gave: it is the same each time.
var prepared sync.Map

func prepare(t testing.TB, name string) Prepared {
	if p, ok := prepared.Load(name); ok {
		return p.(Prepared)
	}
	p, err := PrepareIn(guests.Read(name), Shape())
	require.NoError(t, err)
	prepared.Store(name, p)
	return p
}

func (l *idleList) count() (n int) {
	for i := l.first; i != nil; i = i.resting.older {
		n++
	}
	return n
}

func load(t testing.TB, e *Engine, name string, s Setup) *Function {
	if s.Limits == (Limits{}) {
		s.Limits = small()
	}
	var log bytes.Buffer
	s.Log = &log
	f, err := e.Load(context.Background(), prepare(t, name), s)
	require.NoError(t, err, log.String())
	t.Cleanup(f.Close)
	return f
}

// ask calls a function with a request, and returns the response.
func ask(f *Function, entry, request string) (string, Usage, error) {
	var out bytes.Buffer
	_, usage, err := f.Call(context.Background(), &Request{Entry: entry, Stdin: strings.NewReader(request), Stdout: &out})
	return out.String(), usage, err
}

func mustAsk(t testing.TB, f *Function, entry, request string) string {
	out, _, err := ask(f, entry, request)
	require.NoError(t, err)
	return out
}

// turned is a secret with its bits turned over, by which a guest looks for it without having it.
func turned(secret string) string {
	b := []byte(secret)
	for i := range b {
		b[i] = ^b[i]
	}
	return string(b)
}

// TestNothingRemains: what a guest keeps of a request, the next does not find, in any way of putting back.
func TestNothingRemains(t *testing.T) {
	const secret = "the secret of somebody else"
	for _, guest := range []struct{ name, fresh string }{
		{"probe-c", "count 0, secret , global 0, heap , env , found 0"},
		{"probe-go", "count 0, secret , seen 0, env , found 0"},
		{"probe-as", "count 0, secret "},
	} {
		e := newEngine(t, Options{})
		for way, name := range ways {
			t.Run(guest.name+"/"+name, func(t *testing.T) {
				if way > 0 && guest.name == "probe-as" {
					t.Skip("it has no more than the others")
				}
				force(t, way)
				f := load(t, e, guest.name, Setup{Argv: []string{name}})
				ok, why := f.Resets()
				require.True(t, ok, why)
				for range 3 {
					mustAsk(t, f, "remember", secret)
					out, usage, err := ask(f, "recall", turned(secret))
					require.NoError(t, err)
					require.True(t, strings.HasPrefix(out, guest.fresh), out)
					require.False(t, usage.New)
					require.Positive(t, usage.Pages)
				}
				require.Equal(t, "1 x", mustAsk(t, f, "handle", "x"))
				require.Equal(t, "1 y", mustAsk(t, f, "handle", "y"))
			})
		}
	}
}

// TestTheProbesSee: without a reset the attempts would succeed.
func TestTheProbesSee(t *testing.T) {
	const secret = "the secret of somebody else"
	for name, want := range map[string]string{
		"probe-c":  "count 1, secret " + secret + ", global 12345, heap " + secret + ", env " + secret + ", found ",
		"probe-go": "count 1, secret " + secret + ", seen 1, env " + secret + ", found ",
		"probe-as": "count 1, secret " + secret,
	} {
		f := load(t, newEngine(t, Options{}), name, Setup{})
		i, err := f.newInstance()
		require.NoError(t, err)
		defer i.close()
		var out bytes.Buffer
		for _, r := range []Request{{Entry: "remember", Stdin: strings.NewReader(secret)}, {Entry: "recall", Stdin: strings.NewReader(turned(secret)), Stdout: &out}} {
			_, _, err := i.call(context.Background(), &r, f.setup.Limits)
			require.NoError(t, err)
		}
		require.Contains(t, out.String(), want)
		require.NotContains(t, out.String(), "found 0")
	}
}

// TestMemoryShrinks: what a request has grown is gone, and what it grows again is zero.
func TestMemoryShrinks(t *testing.T) {
	for way, name := range ways {
		t.Run(name, func(t *testing.T) {
			force(t, way)
			f := load(t, newEngine(t, Options{}), "probe-c", Setup{})
			pages := strings.Split(mustAsk(t, f, "recall", "x"), "pages ")[1]
			for range 3 {
				mustAsk(t, f, "remember", "a secret")
				require.Equal(t, pages, strings.Split(mustAsk(t, f, "recall", "x"), "pages ")[1])
				require.Equal(t, "0", mustAsk(t, f, "regrow", ""))
				_, usage, err := ask(f, "grow", "")
				require.NoError(t, err)
				require.EqualValues(t, Shape().MemoryPagesMax<<16, usage.MemoryPeak, "as much as it may have, and no page more")
				require.Equal(t, "0", mustAsk(t, f, "regrow", ""))
			}
		})
	}
}

func TestDescriptorsClocksAndRandom(t *testing.T) {
	var seconds int64 = 1_700_000_000
	e := newEngine(t, Options{Now: func() time.Time { seconds++; return time.Unix(seconds, 0) }})
	f := load(t, e, "probe-c", Setup{})
	mustAsk(t, f, "shut", "")
	var out, log bytes.Buffer
	_, _, err := f.Call(context.Background(), &Request{Entry: "print", Stdout: &out, Stderr: &log})
	require.NoError(t, err)
	require.Equal(t, "out\n", out.String())
	require.Equal(t, "log\n", log.String())
	a, b := mustAsk(t, f, "when", ""), mustAsk(t, f, "when", "")
	require.True(t, strings.HasPrefix(a, "1700000001 "), a)
	require.True(t, strings.HasPrefix(b, "1700000002 "), b)
	require.NotEqual(t, a[11:], b[11:], "random numbers of the system are drawn anew")
}

// TestRandomOfGo: what Go's runtime draws is new in each call, though its generator is in the snapshot.
func TestRandomOfGo(t *testing.T) {
	f := load(t, newEngine(t, Options{}), "probe-go", Setup{})
	seen := make([]map[string]bool, 3)
	const calls = 8
	for range calls {
		for k, part := range strings.Fields(mustAsk(t, f, "random", "")) {
			if seen[k] == nil {
				seen[k] = map[string]bool{}
			}
			seen[k][part] = true
		}
	}
	require.Len(t, seen[0], calls, "crypto/rand")
	require.Len(t, seen[1], calls, "math/rand")
	require.Greater(t, len(seen[2]), 1, "the order of a map")
	a := load(t, newEngine(t, Options{}), "probe-as", Setup{})
	require.NotEqual(t, mustAsk(t, a, "random", ""), mustAsk(t, a, "random", ""), "Math.random of AssemblyScript")
}

// TestSleepInNoTime: without a clock that passes, a guest that sleeps finds it moved.
func TestSleepInNoTime(t *testing.T) {
	e := newEngine(t, Options{})
	_, _, err := ask(load(t, e, "probe-c", Setup{}), "nap", "")
	require.NoError(t, err)
	f := load(t, e, "probe-go", Setup{})
	for range 3 {
		require.Equal(t, "1 2470", mustAsk(t, f, "work", ""), "goroutines, channels and timers")
	}
}

// TestHarm: each thing that a guest can do to its host comes to its end, and a good one works as before, in the same engine.
func TestHarm(t *testing.T) {
	e := newEngine(t, Options{Elapsed: func() time.Duration { return 0 }})
	good := load(t, e, "probe-c", Setup{})
	bad, err := e.Load(context.Background(), prepare(t, "probe-c"), Setup{Limits: small(), Argv: []string{"another"}})
	require.NoError(t, err)
	defer bad.Close()
	for entry, want := range map[string]error{
		"spin": ErrFuel, "fill": ErrFuel, "flood": ErrOutput, "nag": ErrHostCalls, "stray": ErrPointer, "recurse": nil, "crash": nil,
	} {
		t.Run(entry, func(t *testing.T) {
			for range 2 {
				_, usage, err := ask(bad, entry, "")
				var trap *Trap
				switch {
				case want != nil:
					require.ErrorIs(t, err, want)
				case entry == "recurse":
					require.True(t, errors.Is(err, ErrRecursion) || errors.As(err, &trap), err)
				default:
					require.ErrorAs(t, err, &trap)
				}
				require.LessOrEqual(t, usage.Fuel, small().Fuel+5_000_000)
				require.Equal(t, "1 x", mustAsk(t, good, "handle", "x"))
				require.Equal(t, "1 y", mustAsk(t, bad, "handle", "y"), "after what it has done, it is as it was")
			}
		})
	}
	var log bytes.Buffer
	_, usage, err := bad.Call(context.Background(), &Request{Entry: "shout", Stderr: &log})
	require.Error(t, err, "of fuel, or of calls")
	require.Greater(t, usage.Logged, small().LogMax)
	require.EqualValues(t, small().LogMax, log.Len())
	r, _, err := bad.Call(context.Background(), &Request{Entry: "leave"})
	require.NoError(t, err)
	require.EqualValues(t, 3, r.ExitCode)
	for _, entry := range []string{"nothing", "__engine_init", ""} {
		_, _, err = ask(bad, entry, "")
		require.ErrorIs(t, err, ErrEntry)
	}
	g := load(t, e, "probe-go", Setup{})
	_, _, err = ask(g, "spin", "")
	require.ErrorIs(t, err, ErrFuel)
	_, _, err = ask(g, "recurse", "")
	require.Error(t, err)
	require.Equal(t, "1 z", mustAsk(t, g, "handle", "z"))
}

// TestNeighbour: beside a guest that loops without an end, another is answered, and the host's collector gets its turn; the loop
// ends when its client has gone.
func TestNeighbour(t *testing.T) {
	e := newEngine(t, Options{})
	limits := small()
	limits.Fuel = 1 << 60
	bad, good := load(t, e, "probe-c", Setup{Limits: limits}), load(t, e, "probe-c", Setup{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, _, err := bad.Call(ctx, &Request{Entry: "spin"})
		ended <- err
	}()
	for range 20 {
		require.Equal(t, "1 x", mustAsk(t, good, "handle", "x"))
	}
	runtime.GC()
	select {
	case err := <-ended:
		require.Fail(t, "it has ended by itself", "%v", err)
	default:
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestStopped: a deadline, and a client that has gone, end a guest that would go on.
func TestStopped(t *testing.T) {
	var now time.Duration
	e := newEngine(t, Options{Elapsed: func() time.Duration { now += time.Second; return now }})
	limits := small()
	limits.Wall = 10 * time.Second
	_, usage, err := ask(load(t, e, "probe-c", Setup{Limits: limits}), "spin", "")
	require.ErrorIs(t, err, ErrWall)
	require.Less(t, usage.Fuel, uint64(2_000_000))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := load(t, e, "probe-c", Setup{})
	_, _, err = f.Call(ctx, &Request{Entry: "spin"})
	require.ErrorIs(t, err, context.Canceled)
}

// TestCommands: a program gets its request as its surroundings, and each run is its first.
func TestCommands(t *testing.T) {
	p := prepare(t, "cgi-c")
	require.True(t, p.Command())
	f := load(t, newEngine(t, Options{}), "cgi-c", Setup{})
	for n := range 3 {
		var out bytes.Buffer
		r, _, err := f.Call(context.Background(), &Request{Argv: []string{"cgi"}, Env: []string{fmt.Sprintf("PATH_INFO=/%d", n)}, Stdin: strings.NewReader("body"), Stdout: &out})
		require.NoError(t, err)
		require.Zero(t, r.ExitCode)
		require.Equal(t, fmt.Sprintf("Content-Type: text/plain\n\ncgi 1 /%d: body", n), out.String())
	}
	r, _, err := f.Call(context.Background(), &Request{})
	require.NoError(t, err)
	require.EqualValues(t, 4, r.ExitCode)
}

// TestFresh: a module with state that cannot be put back gets a new instance for each call.
func TestFresh(t *testing.T) {
	wasm := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x05\x01\x60\x00\x01\x7f" + // () -> i32
		"\x03\x02\x01\x00" + "\x04\x04\x01\x70\x00\x01" + "\x06\x06\x01\x7f\x01\x41\x00\x0b" + "\x07\x05\x01\x01f\x00\x00" +
		"\x0a\x13\x01\x11\x00" + "\x41\x00\xd0\x70\x26\x00" + "\x23\x00\x41\x01\x6a\x24\x00" + "\x23\x00\x0b") // table.set, then a count
	p, err := Prepare(wasm)
	require.NoError(t, err)
	f, err := newEngine(t, Options{}).Load(context.Background(), p, Setup{Limits: small()})
	require.NoError(t, err)
	defer f.Close()
	ok, why := f.Resets()
	require.False(t, ok)
	require.Equal(t, "it changes its tables", why)
	for range 3 {
		r, usage, err := f.Call(context.Background(), &Request{Entry: "f"})
		require.NoError(t, err)
		require.Equal(t, []uint64{1}, r.Results)
		require.True(t, usage.New)
	}
}

// TestWarm: calls begin as if the warm one had been before; one that fails leaves nothing.
func TestWarm(t *testing.T) {
	e := newEngine(t, Options{})
	f := load(t, e, "probe-c", Setup{Warm: &Request{Entry: "handle", Stdin: strings.NewReader("warm")}})
	require.Equal(t, "2 x", mustAsk(t, f, "handle", "x"))
	require.Equal(t, "2 x", mustAsk(t, f, "handle", "x"))
	f = load(t, e, "probe-c", Setup{Warm: &Request{Entry: "crash"}, Argv: []string{"another"}})
	require.Equal(t, "1 x", mustAsk(t, f, "handle", "x"))
}

// TestEqualRuns: equal engines give equal answers and equal units, whatever was called before.
func TestEqualRuns(t *testing.T) {
	type run struct {
		out  string
		fuel uint64
	}
	var all []run
	for n := range 3 {
		e := newEngine(t, Options{Rand: rand.NewChaCha8([32]byte{7})})
		f := load(t, e, "probe-go", Setup{})
		for range n { // others before
			mustAsk(t, f, "handle", "other")
		}
		for k, entry := range []string{"answer", "work", "handle"} {
			out, usage, err := ask(f, entry, `{"name": "x", "items": [3, 1, 2], "more": {"b": 1, "a": [true, null]}}`)
			require.NoError(t, err)
			if n == 0 {
				all = append(all, run{out, usage.Fuel})
			}
			require.Equal(t, all[k], run{out, usage.Fuel})
		}
	}
}

// TestStampede: 64 who ask at once cost one compilation and one initialisation.
func TestStampede(t *testing.T) {
	e := newEngine(t, Options{})
	p := prepare(t, "probe-c")
	var wg sync.WaitGroup
	functions := make([]*Function, 64)
	for n := range functions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f, err := e.Load(context.Background(), p, Setup{Limits: small()})
			if err == nil {
				functions[n] = f
				out, _, err := ask(f, "handle", "x")
				if err != nil || out != "1 x" {
					panic(out)
				}
			}
		}()
	}
	wg.Wait()
	for _, f := range functions {
		require.Same(t, functions[0], f)
	}
	for _, f := range functions {
		f.Close()
	}
	require.Empty(t, e.loaded)
	again := load(t, e, "probe-c", Setup{})
	functions[0].Close() // once too often
	require.Equal(t, "1 x", mustAsk(t, again, "handle", "x"))
	_, _, err := ask(functions[0], "handle", "x")
	require.ErrorContains(t, err, "closed")
	require.Equal(t, 1, e.idle.count())
}

// TestIdleIsBounded: instances at rest are kept up to a number of bytes; what a request of many pages leaves goes first.
func TestIdleIsBounded(t *testing.T) {
	e := newEngine(t, Options{IdleBytesMax: 3*restingLen + restingLen/2})
	f := load(t, e, "probe-c", Setup{})
	var instances []*instance
	for range 5 {
		i, err := f.newInstance()
		require.NoError(t, err)
		instances = append(instances, i)
	}
	for _, i := range instances {
		require.True(t, i.reset())
		e.idle.put(i)
	}
	require.LessOrEqual(t, e.idle.bytes, e.idle.bytesMax)
	require.Less(t, e.idle.count(), 5, "of at least 64 KiB each")
	require.Len(t, f.idle, e.idle.count())
	require.Same(t, instances[4], e.idle.take(f), "the one that rested shortest")
	e.idle.put(instances[4])
	_, usage, err := ask(f, "grow", "")
	require.NoError(t, err)
	require.Greater(t, usage.Pages, 1000)
	require.Equal(t, "1 x", mustAsk(t, f, "handle", "x"))
	_, usage, err = ask(f, "handle", "x")
	require.NoError(t, err)
	require.Less(t, usage.Pages, 64, "pages that were written once are not copied for ever")
}

func TestDiskCache(t *testing.T) {
	dir := t.TempDir()
	p, cgi := prepare(t, "probe-c"), prepare(t, "cgi-c")
	names := func(e *Engine) (list []string) {
		files, err := e.cache.files()
		require.NoError(t, err)
		for _, f := range files {
			list = append(list, f.path)
		}
		return list
	}
	e := newEngine(t, Options{CacheDir: dir})
	for _, p := range []Prepared{p, cgi} {
		f, err := e.Load(context.Background(), p, Setup{})
		require.NoError(t, err)
		f.Close()
	}
	require.Len(t, names(e), 2)
	e = newEngine(t, Options{CacheDir: dir, CacheBytesMax: 1})
	f, err := e.Load(context.Background(), p, Setup{Limits: small()})
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, "1 x", mustAsk(t, f, "handle", "x"))
	require.Len(t, names(e), 1, "the least recently used is gone")
}

func TestInvalid(t *testing.T) {
	e := newEngine(t, Options{})
	_, err := Prepare([]byte("no module"))
	require.ErrorContains(t, err, "no WebAssembly module")
	wasm := []byte("\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b") // a result that is not there
	p, err := Prepare(wasm)
	require.NoError(t, err)
	_, err = e.Load(context.Background(), p, Setup{})
	require.ErrorContains(t, err, "not valid")
	wasm = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02\x07\x01\x01a\x01b\x00\x00")
	p, err = Prepare(wasm)
	require.NoError(t, err)
	_, err = e.Load(context.Background(), p, Setup{})
	require.ErrorContains(t, err, `imports "b" of "a"`)
}

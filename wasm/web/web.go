// Package web answers HTTP requests with functions of WebAssembly modules, each request in an instance that knows of no
// other one (package engine).
//
// A command (WASI's _start) is asked like a CGI program: the request is in its environment and on standard input, its answer
// on standard output. An exported function without parameters is asked in the same way. One with a parameter gets the
// number of an event, about which the module asks its host (Events: the interface taubyte/sdk, as far as it is about requests).
// A bundle of JavaScript (package js) gets a Request and returns a Response.
// Standard error is the function's log; so is the standard output of a function that has used an event.
package web

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/js"
	"github.com/taucloud/tau/wasm/sdk"
)

// Options of a runner.
type Options struct {
	// Engine are those of its engine, to whose Hosts the runner adds its own.
	Engine engine.Options
	// FuelPerSecond is how much a function may use for each second of its timeout, and for its start (default 10 thousand million).
	FuelPerSecond uint64
	// Fuelled: time is counted in fuel alone, so that equal calls end equally.
	Fuelled bool
	// LoadedBytesMax bounds what modules take that are ready to be called (default 1 GiB, by estimate); those that were not called for
	// longest go first.
	LoadedBytesMax int64
	// BodyMax bounds the body of a request (default 64 MiB), AnswerMax an answer with its head (default 256 MiB). Of each a part is in memory,
	// of up to 64 KiB.
	BodyMax, AnswerMax int64
	// Coroutines is how many coroutines of guests are kept at rest, for those that come next (default none). Close ends them.
	Coroutines int
}

// Bounds that are not options.
const (
	// logMax bounds what one call writes into the log, in bytes.
	logMax = 64 << 10
	// startFor is how long the start of a module may take, beside its compilation.
	startFor = 30 * time.Second
	// startFuel is how much that may use, in units: some 5 s of a processor, so that a module that never comes to its end holds none for longer.
	startFuel = 20_000_000_000
	// failedMax bounds the modules that are known not to load.
	failedMax = 1024
	// loadedFactor is what a module takes once compiled, by its length: measured 6 to 7.
	loadedFactor = 8
)

// Function is what answers. Equal ones share what was compiled and started.
type Function struct {
	// Module names the module: its SHA-256, in hexadecimal digits.
	Module string
	// Call is the exported function, _start for a command.
	Call string
	// Timeout bounds a call, MemoryMax its memory in bytes.
	Timeout   time.Duration
	MemoryMax int64
	// Env is the function's own environment, NAME=VALUE.
	Env []string
}

// key is the function's name in the table. It is made for each request, so nothing is hashed for it.
type key struct {
	module, call string
	timeout      time.Duration
	memoryMax    int64
	env          string
}

func (f Function) key() key {
	return key{f.Module, f.Call, f.Timeout, f.MemoryMax, strings.Join(f.Env, "\x00")}
}

// pageLen is that of WebAssembly's memory.
const pageLen = 64 << 10

// Runner runs functions. It is for concurrent use.
type Runner struct {
	options    Options
	engine     *engine.Engine
	turn       chan struct{} // one module is compiled at a time: it takes a processor for seconds
	coroutines coroutines
	script     bool // the interpreter of JavaScript was compiled; whoever has the turn asks

	mu     sync.Mutex
	loaded map[key]*loaded
	order  list.List // of *loaded, the first was asked for last
	bytes  int64
	failed int
	calls  int
	closed bool
}

// loaded is a function that is ready, is being made so, or cannot be.
type loaded struct {
	key      key
	done     chan struct{}
	function *engine.Function
	params   int // of the exported function
	argv     []string
	script   bool
	err      error
	size     int64
	users    int
	gone     bool
	at       *list.Element
}

// New makes a runner. Close it.
func New(o Options) (*Runner, error) {
	defaults(&o.FuelPerSecond, 10_000_000_000)
	defaults(&o.LoadedBytesMax, 1<<30)
	defaults(&o.BodyMax, 64<<20)
	defaults(&o.AnswerMax, 256<<20)
	o.Engine.Hosts = slices.Concat(o.Engine.Hosts, Events(), sdk.Hosts(), js.Hosts())
	e, err := engine.New(o.Engine)
	if err != nil {
		return nil, err
	}
	return &Runner{options: o, engine: e, turn: make(chan struct{}, 1), coroutines: coroutines{max: o.Coroutines}, loaded: map[key]*loaded{}}, nil
}

func defaults[T int64 | uint64](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Close ends the runner, when the last of its calls has ended.
func (r *Runner) Close() error {
	r.mu.Lock()
	r.closed = true
	last := r.calls == 0
	r.mu.Unlock()
	if last {
		return r.end()
	}
	return nil
}

var errClosed = errors.New("web: the runner is closed")

func (r *Runner) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	r.calls++
	return nil
}

func (r *Runner) leave() {
	r.mu.Lock()
	r.calls--
	last := r.closed && r.calls == 0
	r.mu.Unlock()
	if last {
		_ = r.end()
	}
}

func (r *Runner) end() error {
	r.coroutines.close()
	return r.engine.Close()
}

// Fault is an error of a module: it is not valid, asks for what there is not, or fails to start.
type Fault struct{ Text string }

func (f *Fault) Error() string { return f.Text }

// Prepare makes a function ready, unless it was and is still there, or is known not to load. The module is got in the caller's own task, off
// carries out what takes processor time.
func (r *Runner) Prepare(ctx context.Context, f Function, module func(context.Context) ([]byte, error), off func(context.Context, func()) error) error {
	if l, err := r.ready(f.key()); l != nil {
		if err == nil {
			r.release(l)
		}
		return nil
	}
	code, err := module(ctx)
	if err != nil {
		return err
	}
	if left := off(ctx, func() { err = r.Load(ctx, f, code) }); left != nil {
		return left
	}
	return err
}

// ready returns a function that nobody need wait for, or why there is none: nil if it was not loaded yet. Without an error, release it.
func (r *Runner) ready(key key) (*loaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.loaded[key]
	if l == nil {
		return nil, nil
	}
	select {
	case <-l.done:
	default:
		return nil, nil
	}
	r.order.MoveToFront(l.at)
	if l.err == nil {
		l.users++
	}
	return l, l.err
}

// Load makes a function ready: it checks, instruments and compiles the module and starts it once, whoever else asks meanwhile. A Fault is
// the module's, and is remembered.
func (r *Runner) Load(ctx context.Context, f Function, module []byte) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	l, err := r.take(ctx, f, f.key(), func() ([]byte, error) { return module, nil })
	if err == nil {
		r.release(l)
	}
	return err
}

// take returns a function that is loaded; release it. Whoever comes first reads the module and loads it, the others wait.
func (r *Runner) take(ctx context.Context, f Function, key key, module func() ([]byte, error)) (*loaded, error) {
	r.mu.Lock()
	l := r.loaded[key]
	first := l == nil
	if first {
		l = &loaded{key: key, done: make(chan struct{}), argv: []string{f.Call}}
		l.at = r.order.PushFront(l)
		r.loaded[key] = l
	}
	r.order.MoveToFront(l.at)
	l.users++
	r.mu.Unlock()
	if first {
		r.load(ctx, f, l, module)
		close(l.done)
		r.evict()
	} else {
		select {
		case <-l.done:
		case <-ctx.Done():
			r.release(l)
			return nil, ctx.Err()
		}
	}
	if l.err != nil {
		r.release(l)
		return nil, l.err
	}
	return l, nil
}

func (r *Runner) release(l *loaded) {
	r.mu.Lock()
	l.users--
	free := l.users == 0 && l.gone
	r.mu.Unlock()
	if free && l.function != nil {
		l.function.Close()
	}
}

// load fills in l. What was not the module's fault is tried again by whoever comes next.
func (r *Runner) load(ctx context.Context, f Function, l *loaded, module func() ([]byte, error)) {
	code, err := module()
	if err == nil {
		l.function, l.params, err = r.make(context.WithoutCancel(ctx), f, code)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.err = err
	var fault *Fault
	switch {
	case err == nil:
		l.size = loadedFactor*int64(len(code)) + pageLen
		if l.script = js.Is(code); l.script {
			l.size = scriptLen + 2*int64(len(code))
		}
		r.bytes += l.size
	case errors.As(err, &fault):
		r.failed++
	default:
		r.forget(l)
	}
}

// forget takes one out of the table; r.mu is held.
func (r *Runner) forget(l *loaded) {
	if l.gone {
		return
	}
	l.gone = true
	delete(r.loaded, l.key)
	r.order.Remove(l.at)
	r.bytes -= l.size
}

// evict lets go of what was not asked for for longest, until the rest is within its bounds. What is in use stays.
func (r *Runner) evict() {
	var free []*loaded
	r.mu.Lock()
	for e := r.order.Back(); e != nil && (r.bytes > r.options.LoadedBytesMax || r.failed > failedMax); {
		l := e.Value.(*loaded)
		e = e.Prev()
		surplus := l.function != nil && r.bytes > r.options.LoadedBytesMax || l.err != nil && r.failed > failedMax
		if l.users > 0 || !surplus {
			continue
		}
		if l.err != nil {
			r.failed--
		}
		r.forget(l)
		free = append(free, l)
	}
	r.mu.Unlock()
	for _, l := range free {
		if l.function != nil {
			l.function.Close()
		}
	}
}

// warm is the exported function that a module may have to be called before the snapshot is taken.
const warm = "warm"

func (r *Runner) make(ctx context.Context, f Function, module []byte) (*engine.Function, int, error) {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if js.Is(module) {
		function, err := r.makeScript(ctx, f, module)
		return function, 0, err
	}
	shape := engine.Shape()
	shape.MemoryPagesMax = uint32(min(max(f.MemoryMax/pageLen, 1), int64(shape.MemoryPagesMax)))
	p, err := engine.PrepareIn(module, shape)
	if err != nil {
		return nil, 0, &Fault{err.Error()}
	}
	if !p.Facts.ExportsFunction(f.Call) {
		return nil, 0, &Fault{fmt.Sprintf("the module exports no function %q", f.Call)}
	}
	var said capped
	said.left = logMax
	setup := engine.Setup{Limits: r.limits(f.Timeout), Start: r.starting(f.Timeout), Env: f.Env, Log: &said}
	if p.Facts.ExportsFunction(warm) && f.Call != warm && !p.Command() {
		setup.Warm = &engine.Request{Entry: warm, Env: f.Env, Stderr: &said}
	}
	function, err := r.engine.Load(ctx, p, setup)
	if err != nil {
		text := err.Error()
		if said := strings.TrimSpace(said.String()); said != "" {
			text += ": " + said
		}
		return nil, 0, &Fault{text}
	}
	return function, function.Params(f.Call), nil
}

// starting limits the start of a module.
func (r *Runner) starting(timeout time.Duration) engine.Limits {
	l := r.limits(max(timeout, startFor))
	l.Fuel = min(l.Fuel, startFuel)
	return l
}

func (r *Runner) limits(timeout time.Duration) engine.Limits {
	l := engine.DefaultLimits()
	l.Fuel = max(uint64(timeout.Seconds()*float64(r.options.FuelPerSecond)), 1)
	l.Wall = timeout
	if r.options.Fuelled {
		l.Wall = 0
	}
	l.OutputMax, l.LogMax = r.options.AnswerMax, logMax
	return l
}

// capped keeps the beginning of what is written.
type capped struct {
	strings.Builder
	left int
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	part := p[:min(len(p), c.left)]
	c.left -= len(part)
	_, _ = c.Builder.Write(part)
	return len(p), nil
}

package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/taucloud/tau/wasm/rewrite"
	"github.com/taucloud/tau/wasm/wasi"
)

// Setup is how a module is initialised, and what its calls may do.
type Setup struct {
	Limits Limits
	// Start limits the initialisation; without it Limits do.
	Start Limits
	// Argv and Env are what functions of a module that is no command are initialised with.
	Argv, Env []string
	// Log is what the initialisation writes to standard error. It does not make it another function. May be nil.
	Log io.Writer
	// Warm is carried out before the snapshot is taken, so that what a guest makes once is made: each call begins as
	// if this one had been before it. One that fails leaves no trace.
	Warm *Request
	// Begin is carried out by the host when an instance was initialised, before the snapshot and before Warm. What it returns is the
	// state of all calls ([Call.State]). Key says what it does: functions with the same are the same.
	Begin func(*Call) (any, error)
	Key   string
	// MemoryMax bounds the memory in bytes, beside what the module was prepared with; 0: that alone. Functions of one module
	// that differ in it share what was compiled.
	MemoryMax uint64
}

// Function is a module that is ready to be called, by many at once.
type Function struct {
	engine   *Engine
	key      loadKey
	prepared Prepared
	setup    Setup
	code     *code
	image    *image   // nil if calls need instances of their own
	globals  []uint64 // as of the snapshot
	state    any      // of Setup.Begin, as of the snapshot
	usual    atomic.Int64
	idle     []*instance // guarded by idleList.mu; the last is the one that rested shortest

	mu      sync.Mutex
	calls   int
	closing bool
}

type loadKey struct {
	module [sha256.Size]byte
	setup  [sha256.Size]byte
	limits [2]Limits
}

// loading is a function that is being made, or has been. Its users are counted.
type loading struct {
	done     chan struct{}
	function *Function
	err      error
	users    int
}

// Load makes a function of a module, or returns the one that there is already: whoever asks while it is being made waits. Close
// what it returns. Errors are of the module: it is not valid, asks for what no Host has, or fails to initialise.
func (e *Engine) Load(ctx context.Context, p Prepared, s Setup) (*Function, error) {
	if s.Limits == (Limits{}) {
		s.Limits = DefaultLimits()
	}
	if s.Start == (Limits{}) {
		s.Start = s.Limits
	}
	warm := ""
	if s.Warm != nil {
		warm = s.Warm.Entry
	}
	key := loadKey{p.ID, sha256.Sum256([]byte(fmt.Sprintf("%q %q %q %q %d", s.Argv, s.Env, warm, s.Key, s.MemoryMax))), [2]Limits{s.Limits, s.Start}}
	e.mu.Lock()
	l, found := e.loaded[key]
	if !found {
		l = &loading{done: make(chan struct{})}
		e.loaded[key] = l
	}
	l.users++
	e.mu.Unlock()
	if !found {
		l.function, l.err = e.load(context.WithoutCancel(ctx), key, p, s) // whoever waits beside is not to fail with it
		if l.err != nil {
			e.forget(key, l)
		}
		close(l.done)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		e.release(key, l)
		return nil, ctx.Err()
	}
	if l.err != nil {
		return nil, l.err
	}
	return l.function, nil
}

func (e *Engine) forget(key loadKey, l *loading) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loaded[key] == l {
		delete(e.loaded, key)
	}
}

// release takes one user away, and closes what the last has used.
func (e *Engine) release(key loadKey, l *loading) {
	e.mu.Lock()
	l.users--
	last := l.users == 0 && e.loaded[key] == l
	if last {
		delete(e.loaded, key)
	}
	e.mu.Unlock()
	if !last {
		return
	}
	<-l.done
	if l.function != nil {
		l.function.shut()
	}
}

// Close gives a function back. When all who have loaded it have, and calls have ended, it is gone.
func (f *Function) Close() {
	e := f.engine
	e.mu.Lock()
	l := e.loaded[f.key]
	e.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case <-l.done:
		if l.function == f {
			e.release(f.key, l)
		}
	default: // another, of a later load
	}
}

// shut frees what a function has when its last call has ended.
func (f *Function) shut() {
	f.mu.Lock()
	f.closing = true
	free := f.calls == 0
	f.mu.Unlock()
	if free {
		f.free()
	}
}

func (f *Function) free() {
	f.engine.idle.drop(func(i *instance) bool { return i.function == f })
	f.engine.drop(f.code)
	f.image.close()
}

func (f *Function) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return false
	}
	f.calls++
	return true
}

func (f *Function) leave() {
	f.mu.Lock()
	f.calls--
	free := f.closing && f.calls == 0
	f.mu.Unlock()
	if free {
		f.free()
	}
}

func (e *Engine) load(ctx context.Context, key loadKey, p Prepared, s Setup) (*Function, error) {
	for _, i := range p.Facts.Imports {
		if !e.hosts[i.Module+"."+i.Name] {
			return nil, fmt.Errorf("engine: it imports %q of %q, which there is not", i.Name, i.Module)
		}
	}
	compiled, err := e.compile(p)
	if err != nil {
		return nil, fmt.Errorf("engine: the module is not valid: %w", err)
	}
	p.Wasm = nil // it was compiled, and would be a fifth of what a function takes
	f := &Function{engine: e, key: key, prepared: p, setup: s, code: compiled}
	if len(p.Facts.Fresh) > 0 {
		return f, nil
	}
	if s.Warm != nil && f.snapshot(ctx, s.Warm) == nil {
		return f, nil
	}
	if err := f.snapshot(ctx, nil); err != nil {
		e.drop(compiled)
		return nil, fmt.Errorf("engine: initialising the module: %w", err)
	}
	return f, nil
}

// snapshot initialises an instance and keeps what it has then.
func (f *Function) snapshot(ctx context.Context, warm *Request) error {
	i, err := f.initialised(ctx)
	if err != nil {
		return err
	}
	defer i.close()
	if warm != nil {
		if _, _, err := i.call(ctx, warm, f.setup.Start); err != nil {
			return err
		}
	}
	var memory []byte
	if i.memory != nil {
		memory, _ = i.memory.Read(0, i.memory.Size())
	}
	image, err := newImage(memory)
	if err != nil {
		return err
	}
	for _, g := range i.globals {
		f.globals = append(f.globals, g.Get())
	}
	f.image, f.state = image, i.state
	return nil
}

// initialised makes an instance without a snapshot.
func (f *Function) initialised(ctx context.Context) (*instance, error) {
	i, err := f.newInstance()
	if err != nil {
		return nil, err
	}
	for _, entry := range []string{rewrite.Init, initialize} {
		exists := entry == rewrite.Init && f.prepared.Facts.HasInit || f.prepared.Facts.ExportsFunction(entry)
		if !exists || entry == initialize && f.prepared.Command() {
			continue
		}
		r, _, err := i.call(ctx, &Request{Entry: entry, Argv: f.setup.Argv, Env: f.setup.Env, Stderr: f.setup.Log}, f.setup.Start)
		if err == nil && r.ExitCode != 0 {
			err = fmt.Errorf("it exited with code %d", r.ExitCode)
		}
		if err != nil {
			i.close()
			return nil, err
		}
	}
	if f.setup.Begin == nil {
		return i, nil
	}
	begin := func(c *Call) (err error) { i.state, err = f.setup.Begin(c); return err }
	if _, _, err := i.call(ctx, &Request{Drive: begin, Stderr: f.setup.Log}, f.setup.Start); err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

// Resets tells whether calls get instances that were put back, and why not.
func (f *Function) Resets() (ok bool, why string) {
	return len(f.prepared.Facts.Fresh) == 0, strings.Join(f.prepared.Facts.Fresh, "; ")
}

// Params is how many parameters an exported function has, 0 if there is no such function.
func (f *Function) Params(name string) int {
	definition := f.code.module.ExportedFunctions()[name]
	if definition == nil {
		return 0
	}
	return len(definition.ParamTypes())
}

// Call carries out a request. An error is one of this package, or that of the context: the call was stopped, or the guest has
// trapped; what it has written until then has been written. Nothing of the call remains.
func (f *Function) Call(ctx context.Context, r *Request) (Response, Usage, error) {
	if !f.enter() {
		return Response{}, Usage{}, fmt.Errorf("engine: the function is closed")
	}
	defer f.leave()
	if r.Entry == "" && r.Drive == nil {
		r.Entry = start
	}
	if strings.HasPrefix(r.Entry, rewrite.Prefix) {
		return Response{}, Usage{}, fmt.Errorf("%w: %q", ErrEntry, r.Entry)
	}
	i := f.engine.idle.take(f)
	made := i == nil
	if made {
		var err error
		if f.image == nil {
			i, err = f.initialised(ctx)
		} else {
			i, err = f.newInstance()
		}
		if err != nil {
			return Response{}, Usage{}, err
		}
	}
	response, usage, err := i.call(ctx, r, f.setup.Limits)
	usage.New = made
	switch {
	case f.image == nil, i.spoiled:
		i.close()
	case !i.reset():
		i.close()
	default:
		usage.Pages = i.pages
		f.engine.idle.put(i)
	}
	return response, usage, err
}

// world is what a guest sees during a call.
func (c *Call) world(r *Request) wasi.World {
	o := c.engine.options
	c.output, c.log = output{c, r.Stdout}, log{c, r.Stderr}
	w := wasi.World{Args: r.Argv, Env: r.Env, Stdin: r.Stdin, Stdout: &c.output, Stderr: &c.log,
		Now: o.Now, Elapsed: o.Elapsed, Rand: o.Rand, Payer: c}
	if r.Now != nil {
		w.Now = r.Now
	}
	if r.Elapsed != nil {
		w.Elapsed = r.Elapsed
	}
	if r.Rand != nil {
		w.Rand = r.Rand
	}
	if o.Sleep != nil && o.Elapsed != nil || r.Sleep != nil {
		w.Sleep = c.sleep
	}
	return w
}

// Package engine runs modules that nobody trusts: each call in memory, globals and a world of its own, at the price of a
// call into memory that is warm.
//
// Prepare checks and instruments a module. An Engine compiles it once (Load), initialises it once and takes a snapshot. A
// call gets an instance that is equal to the snapshot, and afterwards what it has changed is put back: the pages of memory
// that it has written, globals, the length of memory. Modules with state beyond that get a new instance for each call.
//
// A call is bounded in fuel, time, memory, depth of recursion, output and calls of the host (Limits, and the shape given to
// Prepare). What an engine keeps at rest is bounded in bytes (Options). It knows no service: what guests can ask for
// beside package wasi and Batch, a Host adds.
package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/taucloud/tau/wasm/rewrite"
	"github.com/taucloud/tau/wasm/wasi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Options of an engine. Without the functions guests see a clock that stands and random numbers that are 0.
type Options struct {
	Hosts   []Host
	Now     func() time.Time
	Elapsed func() time.Duration // monotonic; also that of Limits.Wall
	Rand    io.Reader            // read by several calls at once
	// Sleep waits, at most until the context ends. Without it guests that sleep find their clocks moved.
	Sleep func(context.Context, time.Duration)
	// CacheDir keeps compiled code, at most CacheBytesMax (default 1 GiB) of it; the least recently used goes first. Empty: none.
	CacheDir      string
	CacheBytesMax int64
	// Compiled keeps compiled code for several engines of a process, in place of CacheDir. Whoever has made it closes it.
	Compiled wazero.CompilationCache
	// IdleBytesMax bounds what instances at rest have for themselves (default 256 MiB); those that rested longest go first.
	IdleBytesMax int64
}

// Host is a module of which guests can import functions.
type Host struct {
	Module    string
	Functions []HostFunction
}

// HostFunction is what a guest calls. It finds its parameters on the stack, and leaves its results there. The upper halves of
// parameters of 32 bits are undefined. Pointers and lengths are the guest's: they may be anything.
type HostFunction struct {
	Name            string
	Params, Results []api.ValueType
	Call            func(c *Call, stack []uint64)
}

// Engine holds compiled modules and instances at rest. It is for concurrent use.
type Engine struct {
	options Options
	runtime wazero.Runtime
	hosts   map[string]bool
	cache   *diskCache
	idle    idleList

	mu     sync.Mutex
	loaded map[loadKey]*loading
	codes  map[[sha256.Size]byte]*code
}

// code is a module that was compiled, for all functions of it.
type code struct {
	id     [sha256.Size]byte
	once   sync.Once
	module wazero.CompiledModule
	err    error
	users  int
}

// compile compiles a module, or takes what was compiled of it. Whoever got it drops it.
func (e *Engine) compile(p Prepared) (*code, error) {
	e.mu.Lock()
	c := e.codes[p.ID]
	if c == nil {
		c = &code{id: p.ID}
		e.codes[p.ID] = c
	}
	c.users++
	e.mu.Unlock()
	c.once.Do(func() { c.module, c.err = e.cache.compile(e.runtime, p) })
	if c.err != nil {
		e.drop(c)
		return nil, c.err
	}
	return c, nil
}

// Keep compiles a module and keeps what was compiled until the engine is closed, for what is used again and again.
func (e *Engine) Keep(p Prepared) error {
	_, err := e.compile(p)
	return err
}

// drop takes one user of compiled code away, and closes what the last has used.
func (e *Engine) drop(c *code) {
	e.mu.Lock()
	c.users--
	last := c.users == 0
	if last {
		delete(e.codes, c.id)
	}
	e.mu.Unlock()
	if last && c.module != nil {
		_ = c.module.Close(context.Background())
	}
}

// New makes an engine. Close it.
func New(o Options) (*Engine, error) {
	if o.CacheBytesMax == 0 {
		o.CacheBytesMax = 1 << 30
	}
	if o.IdleBytesMax == 0 {
		o.IdleBytesMax = 256 << 20
	}
	ctx := context.Background()
	config := wazero.NewRuntimeConfig().WithDebugInfoEnabled(false).
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst)
	if o.Compiled != nil {
		config, o.CacheDir = config.WithCompilationCache(o.Compiled), ""
	}
	cache, err := openDiskCache(o.CacheDir, o.CacheBytesMax)
	if err != nil {
		return nil, err
	}
	if cache != nil {
		config = config.WithCompilationCache(cache.compiled)
	}
	e := &Engine{options: o, runtime: wazero.NewRuntimeWithConfig(ctx, config), hosts: map[string]bool{}, cache: cache,
		loaded: map[loadKey]*loading{}, codes: map[[sha256.Size]byte]*code{}, idle: idleList{bytesMax: o.IdleBytesMax}}
	for _, h := range merged(append([]Host{refuelHost(), wasiHost(), batchHost(), assemblyScript()}, o.Hosts...)) {
		if err := e.addHost(ctx, h); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// merged makes one host of those of the same module.
func merged(hosts []Host) (list []Host) {
	for _, h := range hosts {
		if at := slices.IndexFunc(list, func(o Host) bool { return o.Module == h.Module }); at >= 0 {
			list[at].Functions = append(list[at].Functions, h.Functions...)
		} else {
			list = append(list, h)
		}
	}
	return list
}

// Close ends an engine. No call may be on its way.
func (e *Engine) Close() error {
	e.idle.drop(func(*instance) bool { return true })
	err := e.runtime.Close(context.Background())
	if e.cache != nil {
		err = errors.Join(err, e.cache.compiled.Close(context.Background()))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loaded {
		if l.function != nil {
			l.function.image.close()
		}
	}
	return err
}

func (e *Engine) addHost(ctx context.Context, h Host) error {
	b := e.runtime.NewHostModuleBuilder(h.Module)
	for _, f := range h.Functions {
		call := f.Call
		if h.Module != rewrite.RefuelModule {
			call = counted(call)
		}
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			call(ctx.(*Call), stack)
		}), f.Params, f.Results).Export(f.Name)
		e.hosts[h.Module+"."+f.Name] = true
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("engine: host module %s: %w", h.Module, err)
	}
	return nil
}

// counted counts the calls of the host.
func counted(call func(*Call, []uint64)) func(*Call, []uint64) {
	return func(c *Call, stack []uint64) {
		if c.usage.HostCalls++; c.usage.HostCalls > c.limits.HostCallsMax {
			c.Stop(ErrHostCalls)
		}
		call(c, stack)
	}
}

func refuelHost() Host {
	return Host{rewrite.RefuelModule, []HostFunction{
		{Name: rewrite.Refuel, Call: func(c *Call, _ []uint64) { c.refuel() }},
		{Name: rewrite.Random, Results: []api.ValueType{api.ValueTypeI64}, Call: func(c *Call, stack []uint64) { stack[0] = c.random() }},
	}}
}

func wasiHost() Host {
	h := Host{Module: wasi.Module}
	for _, f := range wasi.Functions() {
		h.Functions = append(h.Functions, HostFunction{f.Name, f.Params, f.Results, func(c *Call, stack []uint64) {
			f.Call(&c.World, c.Memory(), stack)
		}})
	}
	return h
}

// Batch is the module of the smallest interface that there is: read takes the next bytes of the request (a pointer and how many
// at most; it returns how many, 0 at the end), write appends bytes to the response. They are what WASI calls standard input
// and output.
const Batch = "batch"

func batchHost() Host {
	const i32 = api.ValueTypeI32
	return Host{Batch, []HostFunction{
		{"read", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(c *Call, stack []uint64) {
			part, ok := c.Memory().Read(uint32(stack[0]), uint32(stack[1]))
			if !ok {
				c.Stop(ErrPointer)
			}
			stack[0] = 0
			if c.World.Stdin == nil || len(part) == 0 {
				return
			}
			n, err := io.ReadFull(c.World.Stdin, part)
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				c.Stop(fmt.Errorf("engine: reading the request: %w", err))
			}
			c.Pay(uint64(n))
			stack[0] = uint64(n)
		}},
		{"write", []api.ValueType{i32, i32}, nil, func(c *Call, stack []uint64) {
			part, ok := c.Memory().Read(uint32(stack[0]), uint32(stack[1]))
			if !ok {
				c.Stop(ErrPointer)
			}
			c.Pay(uint64(len(part)))
			if _, err := c.World.Stdout.Write(part); err != nil {
				c.Stop(fmt.Errorf("engine: writing the response: %w", err))
			}
		}},
	}}
}

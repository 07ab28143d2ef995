package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/taucloud/tau/wasm/rewrite"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
)

// ErrEntry is the error of a request for a function that the module does not have, or has with other parameters.
var ErrEntry = errors.New("engine: the module has no such function")

// instance is one copy of a module, used by one call at a time.
type instance struct {
	function *Function
	module   api.Module
	memory   api.Memory // nil if it has none
	linear   linear
	fuel     api.MutableGlobal
	depth    api.MutableGlobal
	globals  []api.MutableGlobal
	entries  map[string]*entry
	pages    int  // that the last reset has put back
	spoiled  bool // it holds more than a reset frees, or state that is not known
}

// entry is an exported function. Making its api.Function allocates a stack.
type entry struct {
	call    api.Function
	params  int
	results int
	stack   []uint64
}

// newInstance makes an instance with the function's snapshot, if there is one already, and without having called anything.
func (f *Function) newInstance() (*instance, error) {
	facts := f.prepared.Facts
	i := &instance{function: f, entries: map[string]*entry{}}
	linear, err := newLinear(uint64(facts.MemoryPagesMax)<<16*uint64(boolToInt(facts.HasMemory)), f.image)
	if err != nil {
		return nil, err
	}
	i.linear = linear
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return linear }))
	i.module, err = f.engine.runtime.InstantiateModule(ctx, f.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		linear.close()
		return nil, fmt.Errorf("engine: a new instance: %w", err)
	}
	i.fuel = i.module.ExportedGlobal(rewrite.Fuel).(api.MutableGlobal)
	i.depth = i.module.ExportedGlobal(rewrite.Depth).(api.MutableGlobal)
	for _, g := range facts.Globals {
		i.globals = append(i.globals, i.module.ExportedGlobal(g.Export).(api.MutableGlobal))
	}
	if facts.HasMemory {
		i.memory = i.module.Memory()
	}
	if f.image == nil {
		return i, nil
	}
	for n, g := range i.globals {
		g.Set(f.globals[n])
	}
	if missing := f.image.size() - linear.length(); facts.HasMemory && missing > 0 {
		if _, ok := i.memory.Grow(uint32(missing >> 16)); !ok {
			i.close()
			return nil, errors.New("engine: a new instance: its memory cannot be as large as the snapshot's")
		}
	}
	return i, nil
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (i *instance) entry(name string, args int) (*entry, error) {
	e := i.entries[name]
	if e == nil {
		call := i.module.ExportedFunction(name)
		if call == nil {
			return nil, fmt.Errorf("%w: %q", ErrEntry, name)
		}
		e = &entry{call: call, params: len(call.Definition().ParamTypes()), results: len(call.Definition().ResultTypes())}
		e.stack = make([]uint64, max(e.params, e.results))
		i.entries[name] = e
	}
	if args != e.params {
		return nil, fmt.Errorf("%w: %q has %d parameters, not %d", ErrEntry, name, e.params, args)
	}
	return e, nil
}

// call carries out a request.
func (i *instance) call(ctx context.Context, r *Request, limits Limits) (Response, Usage, error) {
	e, err := i.entry(r.Entry, len(r.Args))
	if err != nil {
		return Response{}, Usage{}, err
	}
	c := &Call{Context: ctx, Request: r, instance: i, limits: limits, engine: i.function.engine}
	c.World = c.world(r)
	copy(e.stack, r.Args)
	if v, is := r.Value.(Beginner); is {
		v.Begins(c)
	}
	c.begin()
	err = e.call.CallWithStack(c, e.stack)
	var exit *sys.ExitError
	if err != nil && !errors.As(err, &exit) && c.stopped == nil {
		i.spoiled = true // by a trap, perhaps deep in recursion: its stack remains as large as it became
	}
	response := Response{}
	response.ExitCode, err = c.ended(err, i.function.prepared.depthMax)
	if err == nil && e.results > 0 {
		response.Results = append([]uint64(nil), e.stack[:e.results]...)
	}
	c.usage.Fuel, c.usage.MemoryPeak = c.Spent(), i.linear.peak()
	return response, c.usage, err
}

// reset makes the instance equal to the snapshot. False: it can't.
func (i *instance) reset() bool {
	f := i.function
	size := f.image.size()
	if i.memory != nil && i.linear.length() > size {
		i.linear.shrinkNext(size)
		if _, ok := i.memory.Grow(1); !ok { // that page is one more than the memory may have: see package rewrite
			return false
		}
	}
	usual := int(f.usual.Load())
	i.pages = i.linear.reset(usual)
	f.usual.Store(int64(usual + (i.pages-usual+7)/8))
	for n, g := range i.globals {
		g.Set(f.globals[n])
	}
	i.depth.Set(0)
	i.fuel.Set(0)
	return true
}

func (i *instance) close() {
	_ = i.module.Close(context.Background())
	i.linear.close()
}

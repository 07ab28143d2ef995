package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	state    any // of Setup.Begin
	resting  resting
	pages    int  // that the last reset has put back
	spoiled  bool // it holds more than a reset frees, or state that is not known
}

// entry is an exported function. Making its api.Function allocates a stack.
type entry struct {
	call    api.Function
	params  int
	results int
	stack   []uint64
	busy    bool // a call is on its way
}

// newInstance makes an instance with the function's snapshot, if there is one already, and without having called anything.
func (f *Function) newInstance() (*instance, error) {
	facts := f.prepared.Facts
	i := &instance{function: f, entries: map[string]*entry{}, state: f.state}
	most := uint64(facts.MemoryPagesMax) << 16 * uint64(boolToInt(facts.HasMemory))
	if f.setup.MemoryMax > 0 {
		most = min(most, f.setup.MemoryMax&^(1<<16-1))
	}
	linear, err := newLinear(most, f.image)
	if err != nil {
		return nil, err
	}
	i.linear = linear
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return linear }))
	i.module, err = f.engine.runtime.InstantiateModule(ctx, f.code.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
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
	if e == nil || e.busy { // one that is on its way, and has come to itself again by way of the host, has its stack in use
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
func (i *instance) call(ctx context.Context, r *Request, limits Limits) (response Response, _ Usage, err error) {
	c := &Call{Context: ctx, Request: r, instance: i, limits: limits, engine: i.function.engine}
	if r.Drive == nil {
		if _, err := i.entry(r.Entry, len(r.Args)); err != nil {
			return Response{}, Usage{}, err
		}
	}
	c.World = c.world(r)
	if v, is := r.Value.(Beginner); is {
		v.Begins(c)
	}
	c.begin()
	if r.Drive != nil {
		response.ExitCode, err = c.drive(r.Drive)
	} else {
		response, err = c.enter(r.Entry, r.Args)
		if len(response.Results) > 0 {
			response.Results = slices.Clone(response.Results) // the stack is the next call's
		}
	}
	c.usage.Fuel, c.usage.MemoryPeak = c.Spent(), i.linear.peak()
	return response, c.usage, err
}

// enter calls an exported function, and says how that has ended.
func (c *Call) enter(name string, args []uint64) (response Response, err error) {
	e, err := c.instance.entry(name, len(args))
	if err != nil {
		return Response{}, err
	}
	copy(e.stack, args)
	e.busy = true
	err = e.call.CallWithStack(c, e.stack)
	e.busy = false
	var exit *sys.ExitError
	if err != nil && !errors.As(err, &exit) && c.stopped == nil {
		c.instance.spoiled = true // by a trap, perhaps deep in recursion: its stack remains as large as it became
	}
	response.ExitCode, err = c.ended(err, c.instance.function.prepared.depthMax)
	if err == nil && e.results > 0 {
		response.Results = e.stack[:e.results]
	}
	return response, err
}

// drive has the host lead the call.
func (c *Call) drive(lead func(*Call) error) (code uint32, err error) {
	defer func() {
		if c.stopped == nil {
			return
		}
		if p := recover(); p != nil && p != any(c.stopped) {
			panic(p)
		}
		err = c.stopped
	}()
	err = lead(c)
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
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

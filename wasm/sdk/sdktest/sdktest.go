// Package sdktest plays a guest that does whatever a test tells it: it calls functions of its host, with any parameters, one
// after the other within one call, and the test looks at its memory between.
package sdktest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
	"github.com/tetratelabs/wazero/api"
)

// Stage is a guest with functions of some hosts. It may be played often.
type Stage struct {
	t         testing.TB
	function  *engine.Function
	functions []engine.HostFunction
	index     map[string]int
	playing   *Guest
}

// Guest is one call of it.
type Guest struct {
	stage   *Stage
	call    *engine.Call
	ready   chan struct{}
	steps   chan step
	results chan uint32
	ended   chan error
	now     step
}

type step struct {
	function int
	args     []uint64
}

// Base is a function's own name: its name here is MODULE.NAME.
func Base(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// New makes a guest with so many pages of memory.
func New(t testing.TB, pages uint32, o engine.Options, hosts ...engine.Host) *Stage {
	s := &Stage{t: t, index: map[string]int{}}
	for _, h := range hosts {
		for _, f := range h.Functions {
			s.index[f.Name] = len(s.functions)
			s.functions = append(s.functions, engine.HostFunction{Name: h.Module + "." + f.Name, Params: f.Params, Results: f.Results})
		}
	}
	o.Hosts = append(hosts, engine.Host{Module: told, Functions: []engine.HostFunction{
		{Name: "next", Results: []api.ValueType{api.ValueTypeI32}, Call: func(c *engine.Call, stack []uint64) {
			g := s.playing
			if g.call == nil {
				g.call = c
				close(g.ready)
			}
			next, more := <-g.steps
			if !more {
				next.function = -1
			}
			g.now, stack[0] = next, uint64(uint32(next.function))
		}},
		{Name: "param32", Params: []api.ValueType{api.ValueTypeI32}, Results: []api.ValueType{api.ValueTypeI32}, Call: func(_ *engine.Call, stack []uint64) {
			stack[0] = uint64(uint32(s.playing.now.args[uint32(stack[0])]))
		}},
		{Name: "param64", Params: []api.ValueType{api.ValueTypeI32}, Results: []api.ValueType{api.ValueTypeI64}, Call: func(_ *engine.Call, stack []uint64) {
			stack[0] = s.playing.now.args[uint32(stack[0])]
		}},
		{Name: "result", Params: []api.ValueType{api.ValueTypeI32}, Call: func(_ *engine.Call, stack []uint64) { s.playing.results <- uint32(stack[0]) }},
	}})
	e, err := engine.New(o)
	require.NoError(t, err)
	p, err := engine.Prepare(module(pages, s.functions))
	require.NoError(t, err)
	limits := engine.DefaultLimits()
	limits.Wall, limits.Fuel = 0, 1<<50
	s.function, err = e.Load(t.Context(), p, engine.Setup{Limits: limits, Start: limits})
	require.NoError(t, err)
	t.Cleanup(func() { s.function.Close(); require.NoError(t, e.Close()) })
	return s
}

// Functions are those that the guest can call, by MODULE.NAME.
func (s *Stage) Functions() []engine.HostFunction { return s.functions }

// Play runs one call, with the value of its request. It returns what the call was stopped for.
func (s *Stage) Play(value any, script func(g *Guest)) error {
	g := &Guest{stage: s, ready: make(chan struct{}), steps: make(chan step), results: make(chan uint32), ended: make(chan error, 1)}
	s.playing = g
	go func() {
		_, _, err := s.function.Call(context.Background(), &engine.Request{Entry: run, Value: value})
		g.ended <- err
	}()
	<-g.ready
	script(g)
	close(g.steps)
	return <-g.ended
}

// Call calls a function by its own name. Parameters of 32 bits are cut. If the call is stopped, it returns false.
func (g *Guest) Call(name string, args ...uint64) (result uint32, goesOn bool) {
	n, is := g.stage.index[name]
	if !is || len(args) != len(g.stage.functions[n].Params) {
		panic("sdktest: no such function, or not so many parameters: " + name)
	}
	select {
	case g.steps <- step{n, args}:
	case err := <-g.ended:
		g.ended <- err
		return 0, false
	}
	select {
	case r := <-g.results:
		return r, true
	case err := <-g.ended:
		g.ended <- err
		return 0, false
	}
}

// Spent is what the call has used, in units of fuel.
func (g *Guest) Spent() uint64 { return g.call.Spent() }

// Memory is the guest's, between calls.
func (g *Guest) Memory() api.Memory { return g.call.Memory() }

// Package js answers HTTP requests with JavaScript, as on Workers: a bundle exports default { fetch(request, env, ctx) }, which
// returns a Response or a promise of one.
//
// It runs on QuickJS-NG, a WebAssembly module like any other to package engine: fuel, memory, time and output are bounded, and
// between any two requests all of the interpreter is put back to how it was when the bundle had been loaded. All
// functions share the compiled interpreter; a function is a snapshot of its memory. What a Workers' program
// expects beside the language is in runtime/*.js, over the few functions of the host in host.go.
package js

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/taucloud/tau/wasm/engine"
)

// Mark begins a bundle: an asset that begins so is JavaScript, and no module.
const Mark = "//tau:javascript\n"

// Is reports whether an asset is a bundle.
func Is(asset []byte) bool { return bytes.HasPrefix(asset, []byte(Mark)) }

// Bounds.
const (
	// CodeMax bounds a bundle, in bytes, with its source map.
	CodeMax = 8 << 20
	// MemoryMin is the least memory that a function can have: the interpreter and its stack take 2 MiB of it.
	MemoryMin = 4 << 20
	// stackMax bounds recursion, in bytes of the interpreter's stack of 1 MiB; deeper is a RangeError.
	stackMax = 384 << 10
	// collectFrom is how much may be allocated beyond what there was after loading until the collector of cycles runs.
	collectFrom = 4 << 20
	// urlMax bounds a URL, in bytes; what of it names a host is shorter (authorityMax).
	urlMax = 64 << 10
	// textMax bounds what is logged at once, and headers, in bytes.
	textMax = 64 << 10
	// rejectedMax bounds the rejected promises of a request that are told of.
	rejectedMax = 16
)

//go:embed quickjs.wasm
var quickjs []byte

//go:embed runtime/*.js
var parts embed.FS

// prelude is the runtime, a function of the host's functions.
var prelude = sync.OnceValue(func() []byte {
	code := []byte("(function (host) { 'use strict';")
	for _, name := range []string{"base", "console", "url", "stream", "http", "clone", "serve"} {
		part, err := fs.ReadFile(parts, "runtime/"+name+".js")
		if err != nil {
			panic(err) // it is in the program
		}
		code = append(append(code, part...), '\n')
	}
	return append(code, "})"...)
})

// Module is the interpreter, instrumented once for the process. It is some 0.9 MB, and some 5 MB once an engine has compiled it.
var Module = sync.OnceValues(func() (engine.Prepared, error) { return engine.Prepare(quickjs) })

// Names in stacks.
const (
	runtimeFile = "runtime.js"
	bundleFile  = "bundle.js"
)

// program is a bundle that was loaded: where its values are in the memory of the snapshot.
type program struct {
	loaded, asked, answer, failed, tick, rejected, describe, undefined uint32
	scratch                                                            uint32 // a list of arguments, a length
	sources                                                            *sources
}

// Error is an error of a bundle when it is loaded: it does not parse, throws, or exports nothing that can be called.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

// errMemory ends a call that has no memory left for what the host gives it.
var errMemory error = &engine.Trap{Text: "its memory is full"}

// Setup completes the setup of a function: its bundle, and what of it is called. Env is the environment, as NAME=VALUE.
func Setup(s engine.Setup, bundle []byte, call string) engine.Setup {
	s.Key = fmt.Sprintf("%s %x", call, sha256.Sum256(bundle))
	env, memory := s.Env, s.MemoryMax
	s.Begin = func(c *engine.Call) (any, error) { return begin(c, bundle, call, env, memory) }
	return s
}

// begin loads a bundle in an interpreter that was just made.
func begin(c *engine.Call, bundle []byte, call string, env []string, memory uint64) (any, error) {
	p := &program{sources: &sources{bundle: bundle}}
	x := &Exchange{program: p}
	c.Request.Value = x
	i := interpreter{c, p}
	if err := i.start(memory); err != nil {
		return nil, err
	}
	if err := i.runtime(); err != nil {
		return nil, err
	}
	if err := i.load(bundle, call, env); err != nil {
		return nil, err
	}
	i.tellRejected(x)
	i.settle()
	return p, nil
}

// start makes the interpreter.
func (i interpreter) start(memory uint64) error {
	if i.must("qjs_init") != 0 {
		return errMemory
	}
	i.must("qjs_set_max_stack_size", stackMax)
	i.must("qjs_set_promise_rejection_handler", 1)
	if memory > 0 { // so that a full memory is an error that can be caught, and told of
		i.must("qjs_set_memory_limit", max(memory, MemoryMin)-MemoryMin/2)
	}
	i.scratch = i.room(scratchLen)
	i.undefined = i.must("qjs_get_undefined")
	return nil
}

// runtime evaluates the runtime, and keeps the functions that it returns.
func (i interpreter) runtime() error {
	runtime, err := i.eval(prelude(), runtimeFile, 0)
	if err != nil {
		return err
	}
	host := i.must("qjs_new_object")
	for _, f := range functions {
		name := i.zeroed(f.name)
		i.must("qjs_set_prop_string", uint64(host), uint64(name), uint64(i.must("qjs_new_host_function", uint64(name), uint64(len(f.name)), 0)))
	}
	made, err := i.call(runtime, host)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		at   *uint32
	}{{"loaded", &i.loaded}, {"asked", &i.asked}, {"answer", &i.answer}, {"failed", &i.failed}, {"tick", &i.tick}, {"rejected", &i.rejected}, {"describe", &i.describe}} {
		*f.at = i.must("qjs_get_prop_string", uint64(made), uint64(i.zeroed(f.name)))
	}
	return nil
}

// load evaluates the bundle, and has the runtime look for what is called.
func (i interpreter) load(bundle []byte, call string, env []string) error {
	const module = 1
	promise, err := i.eval(code(bundle), bundleFile, module)
	if err != nil {
		return err
	}
	i.drain()
	state := i.must("qjs_promise_state", uint64(promise))
	if state == promisePending {
		return &Error{"the module awaits what does not come while it is loaded"}
	}
	result := i.must("qjs_promise_result", uint64(promise))
	if state == promiseRejected {
		i.must("qjs_promise_mark_as_handled", uint64(promise))
		return i.explain(result)
	}
	var variables strings.Builder
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		variables.WriteString(strings.ReplaceAll(name, "\x00", "") + "\x00" + strings.ReplaceAll(value, "\x00", "") + "\x00")
	}
	_, err = i.call(i.loaded, result, i.text(call), i.text(variables.String()))
	return err
}

// settle leaves little for requests to clear up.
func (i interpreter) settle() {
	const fields = 26 // of 8 bytes; the first is how many bytes are allocated
	i.must("qjs_run_gc")
	at := i.room(8 * fields)
	i.must("qjs_compute_memory_usage", uint64(at))
	used, _ := i.Memory().ReadUint64Le(at)
	i.must("wasm_free", uint64(at))
	i.must("qjs_set_gc_threshold", min(used+collectFrom, 1<<31))
}

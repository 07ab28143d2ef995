// Package rewrite makes of a WebAssembly module one that its host can meter, stop and start again: it reads a module that
// nobody trusts and writes another that does the same and
//
//   - pays for what it does: each basic block subtracts its number of instructions from a global, Fuel; entries of functions
//     and heads of loops call the host (Refuel) when that has fallen below zero. Bulk operations pay by length;
//   - cannot recurse for ever: functions that may come to themselves again count their frames in a global, Depth, and trap
//     above a limit;
//   - has a memory and tables that are bounded, without the module's own maximum in the way of a host that shrinks memory;
//   - shows its mutable globals, so that a host can put them back;
//   - does nothing when it is instantiated: active data segments and the start function are what the export Init does, so that
//     an instance can also begin with the memory of another (a snapshot) at no cost.
//
// Equal bytes and options give equal bytes, and equal runs pay equal units, on all machines. What the package does not know
// it refuses, with the reason. It is pure, and knows no runtime: whether the module is valid in types, the runtime decides.
//
// Bounds: a module of n bytes costs time and memory in proportion to n. Declared counts that the bytes cannot hold are
// refused before anything is allocated for them; so are modules that would cost a compiler more than in proportion
// (localsPerFunctionMax, bodyLenMax and the like).
package rewrite

import (
	"fmt"
	"strings"
)

// Names that the rewritten module and its host share. All begin with Prefix, which no module may use for exports itself; the
// module name of the import is one that none may import from.
const (
	Prefix       = "__engine_"
	Fuel         = Prefix + "fuel"  // exported mutable i64: units left of the slice; the host sets it
	Depth        = Prefix + "depth" // exported mutable i32: frames of recursive functions, by weight; above Options.DepthMax it has trapped
	Init         = Prefix + "init"  // exported function () -> (): data segments, then the start function; missing if there is neither
	RefuelModule = "__engine"
	Refuel       = "refuel" // imported function () -> (): called when Fuel is below zero; sets it anew, or does not return
)

// Options say what the rewritten module may have. The same options must be used where bytes are compared.
type Options struct {
	// MemoryPagesMax bounds the memory, in pages of 64 KiB, at most 65535. 0 leaves memory limits as they are.
	MemoryPagesMax uint32
	// TableElemsMax bounds the elements of all tables together. 0 leaves table limits as they are.
	TableElemsMax uint32
	// DepthMax bounds the frames of recursive functions; one with many locals counts as several. 0 does not count them.
	DepthMax uint32
}

// Global is a mutable global of a module, under the name by which the rewritten module exports it.
type Global struct {
	Export string
	Type   byte // as in the binary format: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64; others cannot be restored (Facts.Fresh)
}

// Name of something imported, or of a kind of thing exported.
type Name struct {
	Module string // empty for exports
	Name   string
	Kind   Kind
}

// Kind of an import or export, as in the binary format.
type Kind byte

// The kinds there are.
const (
	Function Kind = iota
	Table
	Memory
	GlobalKind
)

func (k Kind) String() string { return [...]string{"function", "table", "memory", "global"}[k&3] }

// Facts are what a host has to know of a module before it runs it.
type Facts struct {
	Imports []Name // in order, without Refuel
	Exports []Name // in order, without those of this package
	Globals []Global
	// HasMemory tells whether it defines a memory; MemoryPagesMin and MemoryPagesMax are its limits, the latter the smaller
	// one of its own and Options.MemoryPagesMax. The rewritten module declares one page more (see the README).
	HasMemory      bool
	MemoryPagesMin uint32
	MemoryPagesMax uint32
	HasInit        bool
	GoRandom       bool // it is Go's, and asks the host for random numbers (Random)
	// Fresh lists why state of the module would remain if memory and globals were put back. Empty: nothing would.
	Fresh []string
}

// ExportsFunction tells whether a module exports a function under a name.
func (f Facts) ExportsFunction(name string) bool {
	for _, e := range f.Exports {
		if e.Kind == Function && e.Name == name {
			return true
		}
	}
	return false
}

// Module rewrites a module. An error says what it is in the module that is wrong or not supported.
func Module(wasm []byte, o Options) ([]byte, Facts, error) {
	if o.MemoryPagesMax > 65535 {
		return nil, Facts{}, fmt.Errorf("wasm: MemoryPagesMax is %d, at most 65535 are possible", o.MemoryPagesMax)
	}
	m, err := parse(wasm)
	if err != nil {
		return nil, Facts{}, fmt.Errorf("wasm: %w", err)
	}
	w := writer{module: m, o: o}
	out, err := w.write()
	if err != nil {
		return nil, Facts{}, fmt.Errorf("wasm: %w", err)
	}
	return out, w.facts, nil
}

func reserved(name []byte) bool { return strings.HasPrefix(string(name), Prefix) }

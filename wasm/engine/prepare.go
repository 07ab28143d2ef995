package engine

import (
	"crypto/sha256"
	"fmt"

	"github.com/taucloud/tau/wasm/rewrite"
)

// Prepared is a module that was checked and instrumented. Equal modules and shapes give equal ones on all machines, so it may be
// kept, or made again from the module by whoever does not trust where it was kept.
type Prepared struct {
	ID    [sha256.Size]byte // of Wasm
	Wasm  []byte            // instrumented; not to be changed
	Facts rewrite.Facts

	depthMax uint32
}

// Command tells whether the module is a program with a beginning and an end (WASI's _start), rather than functions to call.
func (p Prepared) Command() bool { return p.Facts.ExportsFunction(start) }

// Names that WASI gives to entries.
const (
	start      = "_start"
	initialize = "_initialize"
)

// Shape bounds what a module may have, whoever calls it.
func Shape() rewrite.Options {
	return rewrite.Options{MemoryPagesMax: 2048, TableElemsMax: 200_000, DepthMax: 10_000}
}

// Prepare checks a module and instruments it, in the usual Shape. It costs some 30 ms of processor time for each MB. Whether
// the module is valid in types only a compiler says: Load.
func Prepare(wasm []byte) (Prepared, error) { return PrepareIn(wasm, Shape()) }

// PrepareIn is Prepare with a shape of one's own. Its MemoryPagesMax is not 0.
func PrepareIn(wasm []byte, shape rewrite.Options) (Prepared, error) {
	out, facts, err := rewrite.Module(wasm, shape)
	if err != nil {
		return Prepared{}, err
	}
	for _, i := range facts.Imports {
		if i.Kind != rewrite.Function {
			return Prepared{}, fmt.Errorf("wasm: it imports the %s %q of %q: only functions can be imported", i.Kind, i.Name, i.Module)
		}
	}
	return Prepared{ID: sha256.Sum256(out), Wasm: out, Facts: facts, depthMax: shape.DepthMax}, nil
}

package ports

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// ToolchainVersion is what the simulated toolchains say of themselves.
const ToolchainVersion = "simulated 1"

// Toolchain implements monkey.Toolchains.
func (*Builder) Toolchain(context.Context, build.Step) (string, error) { return ToolchainVersion, nil }

// ModuleOf is what the simulated toolchains make of a step: a module with what is called, which does nothing, and with its sources and
// the toolchain in a section that nobody runs.
func ModuleOf(s build.Step, t patrickapi.Tree) []byte {
	functions, exports := []byte{byte(len(s.Calls))}, []byte{byte(len(s.Calls))}
	code := []byte{byte(len(s.Calls))}
	for i, call := range s.Calls {
		functions = append(functions, 0)
		exports = append(append(named(exports, call), 0), byte(i))
		code = append(code, 2, 0, 0x0b)
	}
	sources := named(nil, "sources")
	sources = named(named(sources, string(s.Toolchain)), ToolchainVersion)
	for _, f := range t.Files {
		if below, inside := strings.CutPrefix(f.Path, s.Folder+"/"); inside {
			sources = named(named(sources, below), string(f.Data))
		}
	}
	module := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00") // one type, without parameters and results
	module = named(append(module, 3), string(functions))
	module = named(append(module, 7), string(exports))
	module = named(append(module, 10), string(code))
	return named(append(module, 0), string(sources))
}

// named appends a length and so many bytes.
func named(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

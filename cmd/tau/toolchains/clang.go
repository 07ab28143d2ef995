package toolchains

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
)

const cRemedy = "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32, or set wasi-sdk to the directory of one"

// cPrologue finds the compiler: that of a wasi-sdk, or of the system.
const cPrologue = `if [ -n "$WASI_SDK" ]; then set -- "$WASI_SDK/bin/clang" --sysroot="$WASI_SDK/share/wasi-sysroot"; else set -- clang; fi
set -- "$@" --target=wasm32-wasi -mexec-model=reactor -O2 -Wl,--strip-all -o "$RESULT"
`

func (s *Set) findC(ctx context.Context, r Runner) (*tool, error) {
	t := &tool{}
	if s.cfg.WASI != "" {
		t.mounts = []sandbox.Mount{{From: s.cfg.WASI, To: "/opt/wasi-sdk", Env: "WASI_SDK"}}
	}
	// What is found must be whole: the compiler, the linker, the library and the compiler's own.
	_, err := probe(ctx, r, t.mounts, nil, cPrologue+`"$@" probe.c`, sandbox.File{Path: "probe.c", Data: []byte(
		"#include <stdlib.h>\n__attribute__((export_name(\"f\"))) long double f(long double x) { return x * atoi(\"2\"); }\n")})
	if err == nil {
		t.version, err = probe(ctx, r, t.mounts, nil, cPrologue+`"$1" --version | head -n 1 >"$RESULT"`)
	}
	if err != nil {
		return nil, &Missing{fmt.Sprintf("there is no C compiler for WebAssembly that works here (%v)", err), cRemedy}
	}
	t.script = func(step build.Step, files []sandbox.File) (string, error) {
		var words []string
		for _, f := range files {
			if name := strings.TrimPrefix(f.Path, source+"/"); filepath.Ext(name) == ".c" {
				words = append(words, quoted("./"+name))
			}
		}
		slices.Sort(words)
		for _, call := range step.Calls {
			words = append(words, "-Xlinker", quoted("--export-if-defined="+call))
		}
		return cPrologue + `"$@" -I. ` + strings.Join(words, " "), nil
	}
	return t, nil
}

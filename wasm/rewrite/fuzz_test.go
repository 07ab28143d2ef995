package rewrite

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// FuzzModule: whatever the bytes are, the rewriter does not panic; what it makes of a valid module is valid, and of one that
// is not, is not; and a rewritten module that comes to an end within a small budget does what the original does.
func FuzzModule(f *testing.F) {
	f.Add(one())
	f.Add(one(0x20, 0, 0x45, 0x0d, 0, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0))
	f.Add(one(0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x04, 0xfc, 11, 0))
	f.Add(one(0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b))
	if dir := os.Getenv("WASM_SEEDS"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
		require.NoError(f, err)
		for _, file := range files {
			if wasm, err := os.ReadFile(file); err == nil && len(wasm) < 4096 {
				f.Add(wasm)
			}
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 1<<16 {
			return
		}
		o := Options{MemoryPagesMax: 16, TableElemsMax: 1000, DepthMax: 1000}
		out, facts, err := Module(wasm, o)
		if err != nil {
			return
		}
		ctx := context.Background()
		rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(specFeatures).WithMemoryLimitPages(17))
		defer rt.Close(ctx)
		original, err := rt.CompileModule(ctx, wasm)
		rewritten, errRewritten := rt.CompileModule(ctx, out)
		if err == nil {
			require.NoError(t, errRewritten, "valid before")
			original.Close(ctx)
		} else if errRewritten != nil {
			return
		}
		rewritten.Close(ctx)
		if err == nil && len(facts.Imports) == 0 {
			same(t, wasm, o)
		}
	})
}

// same runs the functions that need no arguments, in order, in both forms.
func same(t *testing.T, wasm []byte, o Options) {
	ctx := context.Background()
	m, facts, err := newMetered(t, wasm, o, 20_000, 500)
	if err != nil {
		return
	}
	var errInit error
	if facts.HasInit {
		_, errInit = m.module.ExportedFunction(Init).Call(ctx)
	}
	if stopped(m, facts, errInit) {
		return
	}
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(specFeatures).WithMemoryLimitPages(16))
	defer rt.Close(ctx)
	plain, err := rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	require.Equal(t, err == nil, errInit == nil, "instantiation: %v and %v", err, errInit)
	if err != nil {
		return
	}
	for _, e := range facts.Exports {
		if e.Kind != Function || len(plain.ExportedFunction(e.Name).Definition().ParamTypes()) > 0 {
			continue
		}
		got, err := m.module.ExportedFunction(e.Name).Call(ctx)
		if stopped(m, facts, err) {
			return
		}
		want, errPlain := plain.ExportedFunction(e.Name).Call(ctx)
		require.Equal(t, errPlain == nil, err == nil, "%q: %v and %v", e.Name, errPlain, err)
		for i, kind := range plain.ExportedFunction(e.Name).Definition().ResultTypes() {
			if err == nil && (kind == api.ValueTypeI32 || kind == api.ValueTypeI64) && len(got) == len(plain.ExportedFunction(e.Name).Definition().ResultTypes()) {
				require.Equal(t, want[i], got[i], e.Name)
			}
		}
	}
	if facts.HasMemory {
		a, _ := plain.Memory().Read(0, plain.Memory().Size())
		b, _ := m.module.Memory().Read(0, m.module.Memory().Size())
		require.Equal(t, a, b, "memory")
	}
}

// stopped tells whether a rewritten module came to a limit that the original does not have.
func stopped(m *metered, facts Facts, err error) bool {
	pages := facts.HasMemory && m.module.Memory().Size() > 16<<16
	return pages || err != nil && (m.spent() > m.budget || m.module.ExportedGlobal(Depth).Get() > 1000)
}

package rewrite

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// assemble makes a module of sections: an id, then its content.
func assemble(sections ...[]byte) []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		out = appendVector(append(out, s[0]), s[1:])
	}
	return out
}

// one is a module with the function "f" of the given body (without its end), memory, a mutable global and a table.
func one(body ...byte) []byte {
	code := append(append([]byte{0}, body...), byte(opEnd))
	return assemble(
		[]byte{sectionType, 1, 0x60, 1, 0x7f, 0},
		[]byte{sectionFunction, 1, 0},
		[]byte{sectionTable, 1, 0x70, 0, 2},
		[]byte{sectionMemory, 1, 1, 1, 4},
		[]byte{sectionGlobal, 1, 0x7f, 1, 0x41, 0, 0x0b},
		[]byte{sectionExport, 1, 1, 'f', 0, 0},
		appendVector([]byte{sectionCode, 1}, code),
	)
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		wasm []byte
		why  string
	}{
		"nothing":               {nil, "no WebAssembly module"},
		"a component":           {[]byte("\x00asm\x0d\x00\x01\x00"), "no WebAssembly module"},
		"a length beyond":       {append(one(), 1, 0xff, 0xff, 0xff, 0xff, 0x0f), "in the middle"},
		"a count beyond":        {assemble([]byte{sectionType, 0xff, 0xff, 0xff, 0xff, 0x0f}), "in the middle"},
		"locals beyond":         {assemble([]byte{sectionType, 1, 0x60, 0, 0}, []byte{sectionFunction, 1, 0}, []byte{sectionCode, 1, 7, 1, 0xff, 0xff, 0xff, 0x7f, 0x7f, 0x0b}), "more than 50000 locals"},
		"a section twice":       {append(one(), one()[8:]...), "there twice"},
		"an unknown section":    {assemble([]byte{77}), "section 77"},
		"exceptions":            {assemble([]byte{sectionTag, 0}), "exceptions"},
		"a throw":               {one(0x08, 0), "exceptions"},
		"atomics":               {one(0xfe, 0x03, 0x00), "threads and atomics"},
		"gc":                    {one(0xfb, 0x00), "garbage-collected"},
		"gc types":              {assemble([]byte{sectionType, 1, 0x5f, 0, 0}), "garbage-collected"},
		"call_ref":              {one(0x14, 0), "typed function references"},
		"relaxed vectors":       {one(0xfd, 0x80, 0x02), "0xfd 256"},
		"shared memory":         {assemble([]byte{sectionMemory, 1, 3, 1, 1}), "shared memory"},
		"memory64":              {assemble([]byte{sectionMemory, 1, 4, 1}), "64 bits"},
		"two memories":          {assemble([]byte{sectionMemory, 2, 0, 1, 0, 1}), "several memories"},
		"another memory":        {one(0x41, 0, 0x28, 0x40, 1, 0), "several memories"},
		"much memory":           {assemble([]byte{sectionMemory, 1, 0, 200, 1}), "begins with 200 pages"},
		"a large table":         {assemble([]byte{sectionTable, 1, 0x70, 0, 0xff, 0xff, 3}), "wants 65535 elements"},
		"our names":             {assemble([]byte{sectionMemory, 1, 0, 1}, slices.Concat([]byte{sectionExport, 1}, appendVector(nil, []byte("__engine_x")), []byte{2, 0})), "reserved"},
		"our imports":           {assemble([]byte{sectionType, 1, 0x60, 0, 0}, slices.Concat([]byte{sectionImport, 1}, appendVector(nil, []byte(RefuelModule)), appendVector(nil, []byte(Refuel)), []byte{0, 0})), "imported from"},
		"our fuel":              {one(0x23, 1, 0x1a), "not there"},
		"our fuel, set":         {one(0x42, 0, 0x24, 1), "not there"},
		"our fuel, exported":    {assemble([]byte{sectionExport, 1, 1, 'f', 3, 0}), "not there"},
		"our init, called":      {one(0x10, 1), "not there"},
		"our init, as address":  {one(0xd2, 1, 0x1a), "not there"},
		"our init, as element":  {assemble([]byte{sectionTable, 1, 0x70, 0, 2}, []byte{sectionElement, 1, 0, 0x41, 0, 0x0b, 1, 0}), "not there"},
		"our init, as start":    {assemble([]byte{sectionStart, 0}), "not there"},
		"our types":             {one(0x02, 1, 0x0b), "not there"},
		"a call as an offset":   {assemble([]byte{sectionType, 1, 0x60, 0, 0}, []byte{sectionFunction, 1, 0}, []byte{sectionMemory, 1, 0, 1}, []byte{sectionCode, 1, 2, 0, 0x0b}, []byte{sectionData, 1, 0, 0x10, 0, 0x41, 0, 0x0b, 0}), "constant"},
		"an end too many":       {one(0x0b), "behind its end"},
		"an end too few":        {one(0x02, 0x40), "in the middle"},
		"blocks within blocks":  {one(slices.Repeat([]byte{0x02, 0x40}, nestingMax+1)...), "nested"},
		"loops beside loops":    {one(slices.Repeat([]byte{0x03, 0x40, 0x0b}, 3000)...), "take a compiler too long"},
		"segments not counted":  {assemble([]byte{sectionType, 1, 0x60, 0, 0}, []byte{sectionFunction, 1, 0}, []byte{sectionCode, 1, 5, 0, 0xfc, 9, 0, 0x0b}, []byte{sectionData, 1, 1, 0}), "with their number"},
		"a body without a type": {assemble([]byte{sectionFunction, 1, 0}, []byte{sectionCode, 1, 2, 0, 0x0b}), "type 0 is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Module(c.wasm, Options{MemoryPagesMax: 100, TableElemsMax: 1000, DepthMax: 100})
			require.ErrorContains(t, err, c.why)
		})
	}
	good := one(0x41, 0, 0x1a)
	_, _, err := Module(good, Options{})
	require.NoError(t, err)
	for n := range len(good) { // some are modules without a section
		_, _, _ = Module(good[:n], Options{})
	}
}

func TestWhatAResetCannotRestore(t *testing.T) {
	fresh := func(wasm []byte) string {
		_, facts, err := Module(wasm, Options{})
		require.NoError(t, err)
		return strings.Join(facts.Fresh, "; ")
	}
	require.Empty(t, fresh(one(0x41, 0, 0x25, 0, 0x1a)), "table.get changes nothing")
	for _, body := range [][]byte{{0x41, 0, 0xd0, 0x70, 0x26, 0}, {0xd0, 0x70, 0x41, 0, 0xfc, 15, 0, 0x1a}, {0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 17, 0}} {
		require.Equal(t, "it changes its tables", fresh(one(body...)))
	}
	require.Equal(t, "it drops segments", fresh(one(0xfc, 13, 0)))
	require.Equal(t, "it has mutable globals that the host cannot read", fresh(assemble([]byte{sectionGlobal, 1, 0x70, 1, 0xd0, 0x70, 0x0b})))
	require.Equal(t, "it has memory, tables or globals of somebody else", fresh(assemble([]byte{sectionImport, 1, 1, 'a', 1, 'b', 2, 0, 1})))
}

// metered is a rewritten module while it runs with a budget.
type metered struct {
	module api.Module
	fuel   api.MutableGlobal
	given  int64 // to it so far
	budget int64
	slice  int64
}

// errBudget is what a module without fuel ends with.
const errBudget = "the budget is spent"

func (m *metered) refuel() {
	left := int64(m.fuel.Get())
	if m.given-left > m.budget {
		panic(errBudget)
	}
	m.given += m.slice
	m.fuel.Set(uint64(left + m.slice))
}

func (m *metered) spent() int64 { return m.given - int64(m.fuel.Get()) }

func newMetered(t testing.TB, wasm []byte, o Options, budget, slice int64) (*metered, Facts, error) {
	ctx := context.Background()
	out, facts, err := Module(wasm, o)
	require.NoError(t, err)
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(specFeatures))
	t.Cleanup(func() { require.NoError(t, rt.Close(ctx)) })
	m := &metered{budget: budget, slice: slice}
	_, err = rt.NewHostModuleBuilder(RefuelModule).NewFunctionBuilder().WithFunc(func() { m.refuel() }).Export(Refuel).Instantiate(ctx)
	require.NoError(t, err)
	m.module, err = rt.InstantiateWithConfig(ctx, out, wazero.NewModuleConfig().WithStartFunctions())
	if err == nil {
		m.fuel = m.module.ExportedGlobal(Fuel).(api.MutableGlobal)
	}
	return m, facts, err
}

func (m *metered) call(args ...uint64) error {
	_, err := m.module.ExportedFunction("f").Call(context.Background(), args...)
	return err
}

// TestUnits: what is paid is the number of instructions that were carried out, in whatever slices fuel is given.
func TestUnits(t *testing.T) {
	count := []byte{0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b} // do arg-- while arg != 0
	for name, c := range map[string]struct {
		body []byte
		arg  uint64
		want int64
	}{
		"nothing":               {nil, 0, 1},
		"no code":               {[]byte{0x01, 0x02, 0x40, 0x0b}, 0, 1},
		"three":                 {[]byte{0x41, 0, 0x41, 0, 0x6a, 0x1a}, 0, 4},
		"a loop of 10":          {count, 10, 1 + 10*5},
		"one branch":            {[]byte{0x20, 0, 0x04, 0x40, 0x41, 0, 0x1a, 0x05, 0x41, 0, 0x1a, 0x41, 0, 0x1a, 0x0b}, 1, 2 + 2},
		"the other":             {[]byte{0x20, 0, 0x04, 0x40, 0x41, 0, 0x1a, 0x05, 0x41, 0, 0x1a, 0x41, 0, 0x1a, 0x0b}, 0, 2 + 4},
		"left early":            {[]byte{0x02, 0x40, 0x20, 0, 0x0d, 0, 0x41, 0, 0x1a, 0x0b, 0x41, 0, 0x1a}, 1, 2 + 2},
		"fill of 64 KiB":        {[]byte{0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x04, 0xfc, 11, 0}, 0, 4 + 65536/16},
		"copy of the arg":       {[]byte{0x41, 0, 0x41, 0, 0x20, 0, 0xfc, 10, 0, 0}, 1600, 4 + 100},
		"two elements of null":  {[]byte{0x41, 0, 0xd0, 0x70, 0x41, 2, 0xfc, 17, 0}, 0, 4 + 1},
		"what follows a return": {[]byte{0x0f, 0x41, 0, 0x1a}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, slice := range []int64{1, 7, 1 << 40} {
				m, _, err := newMetered(t, one(c.body...), Options{DepthMax: 10}, 1<<40, slice)
				require.NoError(t, err)
				require.NoError(t, m.call(c.arg))
				require.Equal(t, c.want, m.spent(), "slices of %d", slice)
			}
		})
	}
	m, _, err := newMetered(t, one(0x03, 0x40, 0x0c, 0, 0x0b), Options{}, 100_000, 1000)
	require.NoError(t, err)
	require.ErrorContains(t, m.call(0), errBudget, "an endless loop")
	require.InDelta(t, 100_000, m.spent(), 2000)
	m, _, err = newMetered(t, one(slices.Repeat([]byte{0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x04, 0xfc, 11, 0}, 100)...), Options{}, 10_000, 1000)
	require.NoError(t, err)
	require.ErrorContains(t, m.call(0), errBudget, "bulk operations without a loop")
	require.Less(t, m.spent(), int64(20_000))
}

// TestDepth: recursion ends, by whatever calls it is made; what does not recurse is not counted, and frames that have ended
// are none.
func TestDepth(t *testing.T) {
	for name, body := range map[string][]byte{
		"by itself":        {0x20, 0, 0x10, 0},
		"indirectly":       {0x20, 0, 0x41, 0, 0x11, 0, 0},
		"until the arg":    {0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0},
		"leaving by br":    {0x20, 0, 0x45, 0x0d, 0, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0},
		"by the last call": {0x20, 0, 0x45, 0x0d, 0, 0x20, 0, 0x41, 1, 0x6b, 0x12, 0},
	} {
		t.Run(name, func(t *testing.T) {
			wasm := assemble(
				[]byte{sectionType, 1, 0x60, 1, 0x7f, 0},
				[]byte{sectionFunction, 1, 0},
				[]byte{sectionTable, 1, 0x70, 0, 2},
				[]byte{sectionExport, 1, 1, 'f', 0, 0},
				[]byte{sectionElement, 1, 0, 0x41, 0, 0x0b, 1, 0},
				appendVector([]byte{sectionCode, 1}, slices.Concat([]byte{0}, body, []byte{0x0b})),
			)
			m, _, err := newMetered(t, wasm, Options{DepthMax: 200}, 1_000_000, 1000)
			require.NoError(t, err)
			depth := m.module.ExportedGlobal(Depth)
			switch name {
			case "by itself", "indirectly":
				require.ErrorContains(t, m.call(0), "unreachable")
				require.EqualValues(t, 201, depth.Get())
			case "by the last call":
				require.NoError(t, m.call(5000))
				require.Zero(t, depth.Get())
			default:
				for range 5 {
					require.NoError(t, m.call(150))
					require.Zero(t, depth.Get())
				}
				require.ErrorContains(t, m.call(250), "unreachable")
			}
		})
	}
	m, _, err := newMetered(t, one(), Options{DepthMax: 1}, 1000, 1000)
	require.NoError(t, err)
	require.NoError(t, m.call(0))
}

func TestLimits(t *testing.T) {
	_, facts, err := Module(one(), Options{MemoryPagesMax: 3})
	require.NoError(t, err)
	require.EqualValues(t, 3, facts.MemoryPagesMax)
	m, facts, err := newMetered(t, one(), Options{MemoryPagesMax: 100, TableElemsMax: 10}, 1000, 1000)
	require.NoError(t, err)
	require.EqualValues(t, 4, facts.MemoryPagesMax, "its own maximum is less")
	_, ok := m.module.Memory().Grow(4)
	require.True(t, ok, "to one page more than it may have")
	_, ok = m.module.Memory().Grow(1)
	require.False(t, ok)
	require.Equal(t, []Global{{Export: "__engine_g0", Type: 0x7f}}, facts.Globals)
	require.True(t, facts.ExportsFunction("f"))
}

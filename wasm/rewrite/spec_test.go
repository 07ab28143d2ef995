package rewrite

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// The suites of the WebAssembly specification, as wazero has them in its module, run with every module rewritten: what is
// valid does the same, what is not valid is refused by the rewriter or by the runtime. All of them: make spec (or
// WASM_SPEC=all); otherwise those files whose subject the rewriter touches.
var specShort = []string{"block", "br", "br_if", "br_table", "bulk", "call", "call_indirect", "data", "elem", "exports", "fac", "forward", "func", "func_ptrs",
	"global", "if", "imports", "labels", "linking", "loop", "memory_copy", "memory_fill", "memory_init", "nop", "ref_func", "return", "return_call",
	"return_call_indirect", "skip-stack-guard-page", "stack", "start", "switch", "table_grow", "unreachable", "unwind", "simd_lane", "simd_select"}

// specLenient are files of whose invalid modules some are valid after all: v1 knows less than there is today, and custom
// sections are dropped. specValidToday are others: extended constant expressions.
var specLenient = map[string]bool{"v2/custom": true, "v2/utf8-custom-section-id": true, "v2/binary-leb128": true}
var specValidToday = map[string]bool{"data.json:89": true, "data.json:93": true, "elem.json:171": true, "elem.json:175": true}

type specCommand struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	As         string
	ModuleType string `json:"module_type"`
	Text       string
	Action     struct {
		Type, Field, Module string
		Args                []specValue
	}
	Expected []specValue
}

type specValue struct {
	Type  string
	Lane  string `json:"lane_type"`
	Value any
}

func specDir(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal/integration_test/spectest")
	if _, missing := os.Stat(dir); err != nil || missing != nil {
		t.Skipf("the suites of the specification are in wazero's module, which is not in the module cache as such: %v", err)
	}
	return dir
}

func TestSpecification(t *testing.T) {
	dir := specDir(t)
	all := os.Getenv("WASM_SPEC") == "all"
	suites := []string{"v2", "tail-call"}
	if all {
		suites = []string{"v1", "v2", "tail-call", "extended-const"}
	}
	asserted := 0
	for _, suite := range suites {
		files, err := filepath.Glob(filepath.Join(dir, suite, "testdata", "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			if !all && !slices.Contains(specShort, name) || suite == "v1" && name == "linking" { // what does not fit is noticed later since v2
				continue
			}
			t.Run(suite+"/"+name, func(t *testing.T) {
				s := newSpec(t, dir)
				s.lenient = suite == "v1" || specLenient[suite+"/"+name]
				s.run(t, file)
				asserted += s.asserted
			})
		}
	}
	require.Greater(t, asserted, 3000)
}

// spec is one file of a suite while it runs.
type spec struct {
	ctx      context.Context
	rt       wazero.Runtime
	lenient  bool
	named    map[string]api.Module
	last     api.Module
	asserted int
}

const specFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

func newSpec(t *testing.T, dir string) *spec {
	ctx := context.Background()
	s := &spec{ctx: ctx, named: map[string]api.Module{}}
	s.rt = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(specFeatures))
	t.Cleanup(func() { require.NoError(t, s.rt.Close(ctx)) })
	_, err := s.rt.NewHostModuleBuilder(RefuelModule).NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module) {
		m.ExportedGlobal(Fuel).(api.MutableGlobal).Set(100)
	}).Export(Refuel).Instantiate(ctx)
	require.NoError(t, err)
	host, err := os.ReadFile(filepath.Join(dir, "testdata/spectest.wasm"))
	require.NoError(t, err)
	_, err = s.rt.InstantiateWithConfig(ctx, host, wazero.NewModuleConfig())
	require.NoError(t, err)
	return s
}

func (s *spec) instantiate(wasm []byte, name string) (api.Module, error) {
	out, facts, err := Module(wasm, Options{DepthMax: 5000})
	if err != nil {
		return nil, err
	}
	again, _, _ := Module(wasm, Options{DepthMax: 5000})
	if !slices.Equal(out, again) {
		return nil, fmt.Errorf("rewritten twice, it is another")
	}
	m, err := s.rt.InstantiateWithConfig(s.ctx, out, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err == nil && facts.HasInit {
		_, err = m.ExportedFunction(Init).Call(s.ctx)
	}
	return m, err
}

func (s *spec) run(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var script struct{ Commands []specCommand }
	require.NoError(t, json.Unmarshal(raw, &script))
	for n, c := range script.Commands {
		at := fmt.Sprintf("%s:%d %s %s %v", filepath.Base(file), c.Line, c.Type, c.Action.Field, c.Action.Args)
		var wasm []byte
		if strings.HasSuffix(c.Filename, ".wasm") {
			wasm, err = os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			require.NoError(t, err, at)
		}
		switch c.Type {
		case "module":
			name := ""
			if n+1 < len(script.Commands) && script.Commands[n+1].Type == "register" {
				name = script.Commands[n+1].As
			}
			s.last, err = s.instantiate(wasm, name)
			require.NoError(t, err, at)
			if c.Name != "" {
				s.named[c.Name] = s.last
			}
		case "register":
		case "assert_return", "action":
			got, err := s.act(c)
			require.NoError(t, err, at)
			s.compare(t, c.Expected, got, at)
		case "assert_trap", "assert_exhaustion":
			_, err := s.act(c)
			require.Error(t, err, at)
			if c.Type == "assert_trap" && c.Text != "unreachable" {
				require.NotContains(t, err.Error(), "unreachable", at)
			}
		case "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
			if c.ModuleType == "text" || wasm == nil {
				continue
			}
			_, err = s.instantiate(wasm, "")
			if s.lenient || specValidToday[fmt.Sprintf("%s:%d", filepath.Base(file), c.Line)] {
				continue
			}
			if c.Text == "out of bounds table access" && err == nil { // as wazero has it: see its own runner
				continue
			}
			require.Error(t, err, "%s: %s", at, c.Text)
		default:
			require.Fail(t, "command not known", at)
		}
		s.asserted++
	}
}

func (s *spec) act(c specCommand) ([]uint64, error) {
	m := s.last
	if c.Action.Module != "" {
		m = s.named[c.Action.Module]
	}
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	return m.ExportedFunction(c.Action.Field).Call(s.ctx, args...)
}

// words are the 64-bit words in which wazero takes and gives a value.
func (v specValue) words() []uint64 {
	if v.Type != "v128" {
		text, _ := v.Value.(string)
		n := number(text, 64)
		if v.Type == "externref" && text != "null" && text != "" {
			n++ // 0 is null
		}
		return []uint64{n}
	}
	lanes := v.Value.([]any)
	width := 128 / len(lanes)
	words := []uint64{0, 0}
	for i, lane := range lanes {
		words[i*width/64] |= number(lane.(string), width) << (i * width % 64)
	}
	return words
}

func number(text string, width int) uint64 {
	if strings.HasPrefix(text, "-") {
		n, _ := strconv.ParseInt(text, 10, 64)
		return uint64(n) & (1<<width - 1)
	}
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

func (s *spec) compare(t *testing.T, want []specValue, got []uint64, at string) {
	for _, v := range want {
		lanes, kind, words := []any{v.Value}, v.Type, got[:1]
		if v.Type == "v128" {
			lanes, kind, words = v.Value.([]any), v.Lane, got[:2]
		}
		got = got[len(words):]
		width, _ := strconv.Atoi(kind[1:])
		if kind == "funcref" || kind == "externref" {
			width = 64
			if v.Value == nil { // any
				continue
			}
		}
		for i, lane := range lanes {
			text, _ := lane.(string)
			bits := words[i*width/64] >> (i * width % 64)
			if width < 64 {
				bits &= 1<<width - 1
			}
			switch {
			case strings.HasPrefix(text, "nan") && width == 32:
				require.True(t, math.IsNaN(float64(math.Float32frombits(uint32(bits)))), at)
			case strings.HasPrefix(text, "nan"):
				require.True(t, math.IsNaN(math.Float64frombits(bits)), at)
			default:
				expected := number(text, width)
				if kind == "externref" && text != "null" {
					expected++
				}
				require.Equal(t, expected, bits, "%s: %v", at, v)
			}
		}
	}
	require.Empty(t, got, at)
}

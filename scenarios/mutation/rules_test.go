package main

import (
	"go/token"
	"go/types"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// made mutates one file of a package that imports nothing but errors.
func made(t *testing.T, text string) (*source, []*mutation, []byte) {
	s := &source{path: "p", fset: token.NewFileSet()}
	require.NoError(t, s.add("p.go", "p.go", []byte("package p\n"+text)))
	require.NoError(t, s.check(stdlib(t)))
	var number uint32
	all, out := mutate(s, s.files[0], &number, nil)
	return s, all, out
}

// some are the packages that the tests' sources import.
var some = sync.OnceValues(func() ([]listed, error) {
	return list(".", "errors", "fmt", "time", "log/slog", "sync", module+"/scenarios/mutation/mutant")
})

func stdlib(t *testing.T) types.Importer {
	all, err := some()
	require.NoError(t, err)
	return exports(token.NewFileSet(), all)
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name, code string
		want       []string // rule: original => mutant
	}{
		{"a condition", `func f(a bool) { if a { g() } }; func g() {}`,
			[]string{"condition-negated: a => !(a)", "statement-dropped: g() => "}},
		{"and", `func f(a, b bool) bool { return a && b }`,
			[]string{"condition-negated: a && b => !(a && b)", "operand-dropped: a => true", "operand-dropped: b => true"}},
		{"or, three of them", `func f(a, b, c bool) bool { return a || b || c }`,
			[]string{"condition-negated: a || b || c => !(a || b || c)", "operand-dropped: c => false", "operand-dropped: a => false", "operand-dropped: b => false"}},
		{"a boundary", `func f(a, b int) bool { return a < b }`,
			[]string{"boundary-moved: a < b => a <= b", "condition-negated: a < b => !(a < b)"}},
		{"a comparison within", `func f(a, b int, c bool) bool { return c && a == b }`,
			[]string{"condition-negated: c && a == b => !(c && a == b)", "operand-dropped: c => true",
				"comparison-negated: a == b => !(a == b)", "operand-dropped: a == b => true"}},
		{"an error", `func f(err error) (int, error) { if err != nil { return 7, err }; return 0, nil }`,
			[]string{"error-ignored: err != nil => false", "constant-raised: 7 => 8", "constant-zeroed: 7 => 0", "error-dropped: err => nil", "constant-raised: 0 => 1"}},
		{"an early return", `func f(a *int) { if a == nil { return }; *a = *a }`,
			[]string{"condition-negated: a == nil => !(a == nil)", "statement-dropped: return => ", "statement-dropped: *a = *a => "}},
		{"a call that can fail", `func f() error { if err := sync(); err != nil { return err }; return nil }; func sync() error { return nil }`,
			[]string{"call-skipped: sync() => nil", "error-ignored: err != nil => false", "error-dropped: err => nil"}},
		{"a new error", `import "errors"; func f() error { return errors.New("x") }`,
			[]string{`error-dropped: errors.New("x") => nil`}},
		{"arithmetic", `func f(a, b int) int { return a+b*2 }`,
			[]string{"arithmetic-changed: a+b*2 => a - b*2", "arithmetic-changed: b*2 => b + 2", "constant-raised: 2 => 3", "constant-zeroed: 2 => 0"}},
		{"texts", `func f(a string) string { return a+"x" }`, nil},
		{"large numbers", `func f(a int) bool { return a == 1<<10 }`,
			[]string{"condition-negated: a == 1<<10 => !(a == 1<<10)", "constant-raised: 1<<10 => 10240", "constant-zeroed: 1<<10 => 0"}},
		{"durations", `import "time"; const d = time.Minute; func f() time.Duration { return d }`,
			[]string{"constant-raised: d => 10m0s", "constant-zeroed: d => 0"}},
		{"names of things", `type kind int; const big kind = 2; func f() kind { return big }`, []string{"constant-raised: big => 3"}},
		{"true", `func f() bool { x := true; return x }`, []string{"boolean-flipped: true => false", "condition-negated: x => !(x)"}},
		{"an append", `func f(a []int, b ...int) []int { return append(a, b...) }`, []string{"append-dropped: append(a, b...) => a"}},
		{"an assigned append", `func f(a []int, b int) []int { a = append(a, b); return a }`, []string{"statement-dropped: a = append(a, b) => "}},
		{"bounds", `func f(a []int, i, j int) []int { return a[i:j] }`, []string{"bound-moved: i => i+1", "bound-moved: j => j-1"}},
		{"fields", `type r struct{ a, b int }; func f(x int) (r, r) { return r{a: x, b: x}, r{x, x} }`,
			[]string{"field-dropped: x => zero", "field-dropped: x => zero", "field-dropped: x => zero", "field-dropped: x => zero"}},
		{"loops", `func f(n int) { for i := 0; i < n; i++ { if i == n { continue }; if n == i { break } } }`,
			[]string{"constant-raised: 0 => 1", "boundary-moved: i < n => i <= n", "condition-negated: i < n => !(i < n)",
				"condition-negated: i == n => !(i == n)", "statement-dropped: continue => ", "condition-negated: n == i => !(n == i)", "statement-dropped: break => "}},
		{"what is spared", `import ("log/slog"; "sync"); var mu sync.Mutex; func f(err error) { mu.Lock(); defer mu.Unlock(); slog.Warn("x", "n", 7); if err != nil { panic(err) } }`, nil},
		{"what an error is called", `import "fmt"; const most = 7; func f(n int) error { return fmt.Errorf("%d of %d", n+1, most) }`, []string{"error-dropped: fmt.Errorf(\"%d of %d\", n+1, most) => nil"}},
		{"the text of an error", `import "fmt"; type Error struct { Text string }; func f(n int) *Error { return &Error{Text: fmt.Sprintf("%d", n+1)} }`, []string{"field-dropped: fmt.Sprintf(\"%d\", n+1) => zero"}},
		{"another text", `import "fmt"; type page struct { Text string }; func f() *page { return &page{Text: fmt.Sprintf("%d", 1)} }`,
			[]string{"constant-raised: 1 => 2", "constant-zeroed: 1 => 0", "field-dropped: fmt.Sprintf(\"%d\", 1) => zero"}},
		{"what is only told", `import "log/slog"; func f(err error, n int) { if err != nil && n > 3 { slog.Info("x"); slog.Warn("y") } }`, nil},
		{"what is told as an error", `import "log/slog"; func f(err error) { if err != nil { slog.Error("x") } }`, []string{"error-ignored: err != nil => false"}},
		{"where the language wants constants", `const n = 7; var a [3]int; var b = [...]bool{1: a[0] == 0}`,
			[]string{"condition-negated: a[0] == 0 => !(a[0] == 0)", "constant-raised: 0 => 1", "constant-raised: 0 => 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, all, out := made(t, c.code)
			var got []string
			for _, m := range all {
				got = append(got, m.Rule+": "+m.Text+" => "+m.with)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			require.Equal(t, c.want, got)
			broken, err := recheck(s, [][]byte{out}, stdlib(t))
			require.NoError(t, err, "%s", out)
			require.Empty(t, broken, "%s", out)
		})
	}
}

// TestLinesStay: panics and positions of a mutated program mean the original.
func TestLinesStay(t *testing.T) {
	text := "func f(a, b int,\n\tc bool) bool {\n\tif c &&\n\t\ta < b {\n\t\treturn true\n\t}\n\treturn false\n}\n"
	_, all, out := made(t, text)
	require.NotEmpty(t, all)
	require.Equal(t, strings.Count(text, "\n")+1, strings.Count(string(out), "\n"))
}

// TestWhatDoesNotCompileIsLeftOut: a constant that a case needs twice.
func TestWhatDoesNotCompileIsLeftOut(t *testing.T) {
	s, all, out := made(t, "func f(a int) int {\n\treturn a * 2\n}\n")
	out = []byte(strings.Replace(string(out), "Raised[int]", "Raised[string]", 1))
	broken, err := recheck(s, [][]byte{out}, stdlib(t))
	require.NoError(t, err)
	require.NotEmpty(t, broken)
	require.Equal(t, ruleRaised, all[broken[0]-1].Rule)
}

// TestIdentityIsStable: what is set aside or drawn stays so when other code of
// the file changes.
func TestIdentityIsStable(t *testing.T) {
	code := "func f(a, b int) bool { return a < b }\n"
	_, before, _ := made(t, code)
	_, after, _ := made(t, "\n// more\nfunc g(a, b int) bool { return a < b }\n\n"+code)
	keys := map[string]bool{}
	for _, m := range after {
		require.False(t, keys[m.key()], "two of one name")
		keys[m.key()] = true
	}
	for _, m := range before {
		require.True(t, keys[m.key()], "%+v", m.identity)
	}
	require.Len(t, after, 2*len(before))
}

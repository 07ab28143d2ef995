package scenarios

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// TestMutantsApply: what each patch of mutants/ takes for the code is the code, what it makes of it
// compiles, and the story that must notice it is there. `make mutants` runs them.
func TestMutantsApply(t *testing.T) {
	patches, err := filepath.Glob("mutants/*.patch")
	require.NoError(t, err)
	require.NotEmpty(t, patches)
	broken := map[string]map[string]string{}
	for _, p := range patches {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		head, body, ok := strings.Cut(string(raw), "\n\n")
		require.True(t, ok, "%s: a head, an empty line, the patch", p)
		require.Contains(t, head, "Mutant: ", p)
		if _, test, is := strings.Cut(head, "\nTest: "); is {
			dir, name, _ := strings.Cut(test, " ")
			requireTest(t, p, filepath.Join("..", dir), name)
		} else {
			for _, word := range []string{"Scenario: ", "Seed: ", "Caught by: "} {
				require.Contains(t, head, word, p)
			}
			_, story, _ := strings.Cut(head, "Scenario: ")
			story, _, _ = strings.Cut(story, "\n")
			require.FileExists(t, story, p)
		}
		broken[p] = patched(t, p, body)
	}
	compile(t, broken)
}

// requireTest demands that a test of this name is in a package.
func requireTest(t *testing.T, patch, dir, name string) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(files, func(file string) bool {
		raw, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(raw), "\nfunc "+name+"(t *testing.T)")
	}), "%s: there is no test %s in %s", patch, name, dir)
}

// patched returns the files that a patch changes, as it leaves them. The old lines of each hunk
// have to stand in its file, one after the other.
func patched(t *testing.T, patch, body string) map[string]string {
	files := map[string]string{}
	var file string
	var before, after []string
	ends := func() {
		if len(before) > 0 {
			old := "\n" + strings.Join(before, "\n") + "\n"
			require.Contains(t, files[file], old, "%s does not apply: make it anew", patch)
			files[file] = strings.Replace(files[file], old, "\n"+strings.Join(after, "\n")+"\n", 1)
		}
		before, after = nil, nil
	}
	for _, line := range strings.Split(strings.TrimRight(body, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "--- a/"):
			ends()
			file = strings.TrimPrefix(line, "--- a/")
			raw, err := os.ReadFile(filepath.Join("..", file))
			require.NoError(t, err, patch)
			files[file] = "\n" + string(raw)
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "index "):
		case strings.HasPrefix(line, "@@ "):
			ends()
		case strings.HasPrefix(line, "-"):
			before = append(before, line[1:])
		case strings.HasPrefix(line, "+"):
			after = append(after, line[1:])
		default:
			line = strings.TrimPrefix(line, " ")
			before, after = append(before, line), append(after, line)
		}
	}
	ends()
	require.NotEmpty(t, files, "%s changes nothing", patch)
	return files
}

// compile checks the types of each package that a patch leaves changed.
func compile(t *testing.T, broken map[string]map[string]string) {
	dirs := map[string]bool{}
	for _, files := range broken {
		for file := range files {
			dirs["./"+filepath.Dir(file)] = true
		}
	}
	pkgs, err := packages.Load(&packages.Config{
		Dir:  "..",
		Mode: packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedTypes | packages.NeedImports | packages.NeedDeps | packages.NeedExportFile,
	}, slices.Sorted(maps.Keys(dirs))...)
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	all := imported{}
	packages.Visit(pkgs, nil, func(p *packages.Package) { all[p.PkgPath] = p })
	for patch, files := range broken {
		for _, p := range pkgs {
			checkTypes(t, patch, p, root, files, all)
		}
	}
}

func checkTypes(t *testing.T, patch string, p *packages.Package, root string, files map[string]string, all imported) {
	within := func(name string) string { return strings.TrimPrefix(name, root+string(filepath.Separator)) }
	if !slices.ContainsFunc(p.CompiledGoFiles, func(name string) bool { return files[within(name)] != "" }) {
		return
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range p.CompiledGoFiles {
		var text any
		if broken, ok := files[within(name)]; ok {
			text = broken
		}
		f, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		require.NoError(t, err, patch)
		parsed = append(parsed, f)
	}
	conf := types.Config{Importer: all}
	_, err := conf.Check(p.PkgPath, fset, parsed, nil)
	require.NoError(t, err, "%s does not compile", patch)
}

// imported are the types of packages that were loaded before.
type imported map[string]*packages.Package

// Import implements types.Importer.
func (i imported) Import(path string) (*types.Package, error) {
	p, ok := i[path]
	if !ok || p.Types == nil {
		return nil, fmt.Errorf("%s is imported by no package that a patch changes", path)
	}
	return p.Types, nil
}

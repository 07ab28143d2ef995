package tau_test

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The template of a service: who has read one has read all. docs/add-a-service.md
// says the same in words.

// serviceFiles are in the folder of each service, apiFiles in that of its API.
var (
	serviceFiles = []string{"README.md", "service.go", "settings.go", "failpoints.go", "ready.go"}
	apiFiles     = []string{"methods.go", "messages.go"}
)

// In a test of a service, time moves with everything that is due by then; with time.Sleep it would be chance what of
// one instant comes first, and the race detector could not tell whether that is in order.
func TestServicesTestsMoveTimeInOrder(t *testing.T) {
	for _, pattern := range []string{"services/*/*_test.go", "services/*/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NotContains(t, string(text), "time.Sleep(", "%s: use nodetest.Sleep", file)
		}
	}
}

// serviceNames lists the folders of services/.
func serviceNames(t *testing.T) (names []string) {
	dirs, err := os.ReadDir("services")
	require.NoError(t, err)
	for _, d := range dirs {
		if d.IsDir() {
			names = append(names, d.Name())
		}
	}
	require.NotEmpty(t, names)
	return names
}

func TestServicesFollowTheTemplate(t *testing.T) {
	for _, name := range serviceNames(t) {
		dir, api := filepath.Join("services", name), filepath.Join("services", name, name+"api")
		for _, file := range serviceFiles {
			require.FileExists(t, filepath.Join(dir, file), "each service has it: see docs/add-a-service.md")
		}
		for _, file := range apiFiles {
			require.FileExists(t, filepath.Join(api, file), "each service's API has it: see docs/add-a-service.md")
		}
	}
	declared := map[string][]string{} // by file: what it declares
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			declared[s.path] = append(declared[s.path], namesOf(decl)...)
		}
	}
	for _, name := range serviceNames(t) {
		for file, wants := range map[string][]string{
			"service.go":            {"Spec", "Service", "Service.Start", "Service.Stop"},
			"settings.go":           {"Settings", "DefaultSettings"},
			"ready.go":              {"Service.Ready"},
			name + "api/methods.go": {"Service"},
		} {
			path := "services/" + name + "/" + file
			for _, want := range wants {
				require.Contains(t, declared[path], want, "%s declares %s, as in all services", path, want)
			}
		}
	}
}

// namesOf lists what a declaration declares; a method is Type.Name.
func namesOf(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		typ := d.Recv.List[0].Type
		if p, ok := typ.(*ast.StarExpr); ok {
			typ = p.X
		}
		if id, ok := typ.(*ast.Ident); ok {
			return []string{id.Name + "." + d.Name.Name}
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					names = append(names, id.Name)
				}
			}
		}
	}
	return names
}

// TestMethodsAreDeclaredInOnePlace: a service's methods are declared in the
// methods.go of its api package, and those that only its own instances call in
// the methods.go of the service. They are named after what they do, without a
// suffix, and on the wire SERVICE/WORD.
func TestMethodsAreDeclaredInOnePlace(t *testing.T) {
	for _, s := range sources(t) {
		parts := strings.Split(s.path, "/")
		if len(parts) < 3 || parts[0] != "services" || s.test {
			continue
		}
		public := "services/" + parts[1] + "/" + parts[1] + "api/methods.go"
		private := "services/" + parts[1] + "/methods.go"
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || !isMethodType(lit.Type) {
				return true
			}
			require.Contains(t, []string{public, private}, s.path, "%s: methods, notes and topics are declared in methods.go", s.at(n))
			for _, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if v, ok := kv.Value.(*ast.BasicLit); ok && v.Kind == token.STRING {
						require.True(t, strings.HasPrefix(v.Value, `"`+parts[1]+"/"), "%s: its name on the wire begins with %s/", s.at(n), parts[1])
					}
				}
			}
			return true
		})
		for _, decl := range s.file.Decls {
			for _, name := range namesOf(decl) {
				require.False(t, (s.path == public || s.path == private) && strings.HasSuffix(name, "Method"), "%s: %s is named after what it does, without a suffix", s.path, name)
			}
		}
	}
}

// isMethodType: transport.Method, Note or Topic with their type arguments.
func isMethodType(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.IndexExpr:
		e = x.X
	case *ast.IndexListExpr:
		e = x.X
	default:
		return false
	}
	sel, ok := e.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Method", "Note", "Topic"}, sel.Sel.Name)
}

// TestServicesAreNamedByTheirConstant: a service that is renamed, or a name that is
// misspelt, would otherwise be an empty list of peers.
func TestServicesAreNamedByTheirConstant(t *testing.T) {
	names := serviceNames(t)
	for _, s := range sources(t) {
		if !under(s.dir, "services") || s.test || strings.HasSuffix(s.path, "api/methods.go") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				require.False(t, slices.Contains(names, strings.Trim(lit.Value, `"`)), "%s: write %sapi.Service instead of %s", s.at(n), strings.Trim(lit.Value, `"`), lit.Value)
			}
			return true
		})
	}
}

// TestFactsAreInTheReadme: who writes a check learns from a service's README which facts there are.
func TestFactsAreInTheReadme(t *testing.T) {
	observed := regexp.MustCompile(`\bObserve\("([a-z-]+)"`)
	for _, name := range serviceNames(t) {
		readme, err := os.ReadFile(filepath.Join("services", name, "README.md"))
		require.NoError(t, err)
		files, err := filepath.Glob(filepath.Join("services", name, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			code, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range observed.FindAllSubmatch(code, -1) {
				require.Contains(t, string(readme), "`"+string(m[1])+"`", "%s observes it, the README of %s does not name it", file, name)
			}
		}
	}
}

package tau_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
)

// What tasks on different loops could share without anybody noticing. The rest is
// noticed when a handler is registered (clock.CheckShareable), or in a simulated run
// (clock.Owned).

// TestServicesShareOnlyWhatIsOwned: services change no variables of their package, of
// which all nodes of a simulated cloud and all handlers of a real one would have the
// same, and declare no type to be shareable.
func TestServicesShareOnlyWhatIsOwned(t *testing.T) {
	byDir := map[string][]source{}
	for _, s := range sources(t) {
		if under(s.dir, "services") && !s.test {
			byDir[s.dir] = append(byDir[s.dir], s)
		}
	}
	for _, list := range byDir {
		require.Empty(t, sharedState(list))
	}
}

// sharedState lists the places at which the files of a package share what they should
// not.
func sharedState(files []source) (found []string) {
	vars := map[string]bool{}
	for _, s := range files {
		for _, decl := range s.file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				for _, name := range namesOf(d) {
					vars[name] = true
				}
			}
		}
	}
	for _, s := range files {
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if f.Recv != nil && f.Name.Name == "SharedByLoops" {
				found = append(found, s.at(f)+": keep what loops share in a clock.Owned")
			}
			for _, n := range changedVars(f, vars) {
				found = append(found, s.at(n)+": a variable of the package is changed: keep it in the service, or in a clock.Owned")
			}
		}
	}
	return found
}

// changedVars lists the assignments in a function to variables of its package.
func changedVars(f *ast.FuncDecl, vars map[string]bool) (list []ast.Node) {
	local := map[string]bool{}
	own := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok {
			local[id.Name] = true
		}
	}
	var changed []ast.Expr
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, id := range n.Names {
				local[id.Name] = true
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				local[id.Name] = true
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				own(n.Key)
				own(n.Value)
			} else {
				changed = append(changed, n.Key, n.Value)
			}
		case *ast.IncDecStmt:
			changed = append(changed, n.X)
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if n.Tok == token.DEFINE {
					own(e)
				} else {
					changed = append(changed, e)
				}
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
				changed = append(changed, n.Args[0])
			}
		}
		return true
	})
	for _, e := range changed {
		if id := root(e); id != nil && vars[id.Name] && !local[id.Name] {
			list = append(list, e)
		}
	}
	return list
}

// root is the variable that an assignment to e changes something of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func TestSharedStateIsFound(t *testing.T) {
	const text = `package p
var count, fine int
var routes = map[string]int{}
type h struct{}
func (h) SharedByLoops() {}
func (h) serve() { count++; routes["a"] = 1; delete(routes, "a"); for count = range 3 {} }
func local() { count := fine; count = 2; var routes map[string]int; routes["a"] = count }
`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", text, parser.SkipObjectResolution)
	require.NoError(t, err)
	require.Len(t, sharedState([]source{{path: "p.go", file: file, fset: fset}}), 5)
}

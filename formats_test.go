package tau_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFormatsAreHeld: whatever is sent by a declared method, note or topic, and
// whatever is decoded in service code, has a line in the golden files of its
// package (transport/goldentest), so that no release loses what an earlier one
// has sent or stored.
func TestFormatsAreHeld(t *testing.T) {
	held := goldenNames(t)
	count := 0
	for _, s := range sources(t) {
		if s.test || !under(s.dir, "services") {
			continue
		}
		for _, f := range formats(s) {
			count++
			require.True(t, held[f.name], "%s: %s is sent or stored: list it in the golden test of its package", s.at(f.at), f.name)
		}
	}
	require.Greater(t, count, 60, "no formats were found")
}

func goldenNames(t *testing.T) map[string]bool {
	files, err := filepath.Glob("services/*/testdata/golden/*.txt")
	require.NoError(t, err)
	deeper, err := filepath.Glob("services/*/*/testdata/golden/*.txt")
	require.NoError(t, err)
	held := map[string]bool{}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			name, _, _ := strings.Cut(line, " ")
			held[name] = true
		}
	}
	return held
}

// format is a type that crosses the wire or lies on a disk.
type format struct {
	name string // package.Type
	at   ast.Node
}

func formats(s source) (list []format) {
	add := func(at, expr ast.Expr) {
		if name := typeName(s, expr); name != "" {
			list = append(list, format{name, at})
		}
	}
	for _, d := range s.file.Decls {
		var f *ast.FuncDecl
		if fd, ok := d.(*ast.FuncDecl); ok {
			f = fd
		}
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				for _, arg := range declared(n.Type) {
					add(n, arg)
				}
			case *ast.CallExpr:
				if callee, ok := n.Fun.(*ast.SelectorExpr); ok && f != nil && isPackage(callee.X, "transport") && callee.Sel.Name == "Decode" {
					add(n, typeOfPointer(f, n.Args[1]))
				}
			}
			return true
		})
	}
	return list
}

// declared are the type arguments of a transport.Method, Note or Topic.
func declared(typ ast.Expr) []ast.Expr {
	var generic ast.Expr
	var args []ast.Expr
	switch typ := typ.(type) {
	case *ast.IndexExpr:
		generic, args = typ.X, []ast.Expr{typ.Index}
	case *ast.IndexListExpr:
		generic, args = typ.X, typ.Indices
	}
	sel, ok := generic.(*ast.SelectorExpr)
	if !ok || !isPackage(sel.X, "transport") || !slices.Contains([]string{"Method", "Note", "Topic"}, sel.Sel.Name) {
		return nil
	}
	return args
}

func isPackage(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// typeOfPointer is the type of the local variable x of an argument &x, nil if it is
// not said in the function (a type parameter, a field).
func typeOfPointer(f *ast.FuncDecl, arg ast.Expr) (typ ast.Expr) {
	u, ok := arg.(*ast.UnaryExpr)
	if !ok {
		return nil
	}
	x, ok := u.X.(*ast.Ident)
	if !ok {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if len(n.Names) == 1 && n.Names[0].Name == x.Name {
				typ = n.Type
			}
		case *ast.Field:
			if len(n.Names) == 1 && n.Names[0].Name == x.Name {
				typ = n.Type
			}
		}
		return true
	})
	return typ
}

// typeName is package.Type; a type parameter has none.
func typeName(s source, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		if len(e.Name) > 1 {
			return s.file.Name.Name + "." + e.Name
		}
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			return id.Name + "." + e.Sel.Name
		}
	}
	return ""
}

package webhook

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProofsTakeEqualTime: no test can see how long a comparison takes, so this one looks at how it is written. In whatever says whether a secret holds (a
// function of a secret, or of a key), what is given is compared by hmac.Equal or subtle.ConstantTimeCompare, and never as text.
func TestProofsTakeEqualTime(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "proof.go", nil, 0)
	require.NoError(t, err)
	judges := 0
	ast.Inspect(file, func(n ast.Node) bool {
		var of *ast.FuncType
		var body *ast.BlockStmt
		switch f := n.(type) {
		case *ast.FuncLit:
			of, body = f.Type, f.Body
		case *ast.FuncDecl:
			of, body = f.Type, f.Body
		}
		if body == nil || !judgesSecrets(of) {
			return true
		}
		judges++
		good := false
		ast.Inspect(body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := nameOf(n.Fun)
				require.NotContains(t, []string{"bytes.Equal", "bytes.Compare", "strings.EqualFold", "strings.Compare", "strings.Contains", "strings.HasPrefix", "slices.Equal"}, name)
				good = good || slices.Contains([]string{"hmac.Equal", "subtle.ConstantTimeCompare", "signatureIn"}, name)
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					for _, side := range []ast.Expr{n.X, n.Y} {
						_, number := side.(*ast.BasicLit)
						call, _ := side.(*ast.CallExpr)
						nothing := nameOf(side) == "nil" || nameOf(side) == "err"
						require.True(t, number || nothing || call != nil && nameOf(call.Fun) == "subtle.ConstantTimeCompare", "a secret is compared by %s", n.Op)
					}
				}
			}
			return true
		})
		require.True(t, good, "a function that judges secrets compares nothing in equal time")
		return true
	})
	require.GreaterOrEqual(t, judges, 4)
}

// judgesSecrets reports whether a function says of a secret or a key whether it holds.
func judgesSecrets(of *ast.FuncType) bool {
	if of.Results == nil || len(of.Results.List) != 1 || nameOf(of.Results.List[0].Type) != "bool" {
		return false
	}
	for _, p := range of.Params.List {
		for _, name := range p.Names {
			if name.Name == "secret" || name.Name == "key" {
				return true
			}
		}
	}
	return false
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return strings.TrimPrefix(nameOf(e.X)+"."+e.Sel.Name, ".")
	}
	return ""
}

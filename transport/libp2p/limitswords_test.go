package libp2p

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEachLimitIsTold: whoever runs a node hears of each constant that bounds a host.
func TestEachLimitIsTold(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "limits.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	declared, told := map[string]bool{}, map[string]bool{}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, is := s.(*ast.ValueSpec); is && d.Tok == token.CONST {
					declared[v.Names[0].Name] = true
				}
			}
		case *ast.FuncDecl:
			if d.Name.Name == "Limits" {
				ast.Inspect(d, func(n ast.Node) bool {
					if i, is := n.(*ast.Ident); is {
						told[i.Name] = true
					}
					return true
				})
			}
		}
	}
	require.NotEmpty(t, declared)
	for name := range declared {
		require.True(t, told[name], "Limits does not tell of %s", name)
	}
	for _, l := range Limits() {
		require.NotContains(t, l.Is, "%!", l.Of)
	}
}

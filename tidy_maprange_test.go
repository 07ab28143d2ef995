package tau_test

import (
	"go/ast"
	"go/types"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// effectful are the types whose methods reach the world.
var effectful = map[string]bool{
	module + "/transport.Endpoint": true, module + "/transport.Stream": true,
	module + "/transport.Method": true, module + "/transport.Note": true, module + "/transport.Topic": true,
	module + "/storage.Local": true, module + "/storage.Replicated": true, module + "/storage.Store": true,
	module + "/storage.Batch": true, module + "/storage.Blocks": true,
	module + "/storage/localkv.Store": true, module + "/storage/replicated.Store": true, module + "/storage/blocks.Store": true,
	module + "/clock.Loop": true, module + "/clock.Clock": true, module + "/clock.Queue": true,
	module + "/node.Env": true, "log/slog.Logger": true, "math/rand/v2.Rand": true,
}

// TestNoEffectInMapRange: the order of a map differs from run to run, so nothing
// that the world could notice may happen inside a range over one.
func TestNoEffectInMapRange(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}, "./services/...", "./transport", "./storage/...", "./node/...", "./sim/...", "./scenarios")
	require.NoError(t, err)
	ranges := 0
	for _, p := range pkgs {
		require.Empty(t, p.Errors)
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				r, ok := n.(*ast.RangeStmt)
				if !ok {
					return true
				}
				if _, isMap := p.TypesInfo.TypeOf(r.X).Underlying().(*types.Map); !isMap {
					return true
				}
				ranges++
				ast.Inspect(r.Body, func(n ast.Node) bool {
					if call, ok := n.(*ast.CallExpr); ok && reachesWorld(p.TypesInfo, call) {
						require.Fail(t, "effect in a range over a map", "%s: sort first: slices.Sorted(maps.Keys(m))", p.Fset.Position(call.Pos()))
					}
					return true
				})
				return true
			})
		}
	}
	require.Positive(t, ranges, "the test sees no ranges at all")
}

func reachesWorld(info *types.Info, call *ast.CallExpr) bool {
	if sig, ok := info.TypeOf(call.Fun).(*types.Signature); ok {
		for v := range sig.Params().Variables() {
			if v.Type().String() == "context.Context" {
				return true
			}
		}
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	recv := info.TypeOf(sel.X)
	if recv == nil {
		return false
	}
	if ptr, ok := recv.(*types.Pointer); ok {
		recv = ptr.Elem()
	}
	named, ok := recv.(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return false
	}
	return effectful[named.Obj().Pkg().Path()+"."+named.Obj().Name()]
}

package substrate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/taucloud/tau/wasm/sdk"
)

// TestWhatAFunctionIsTold of itself, and whom it may ask: what its project says, and nobody if that is not understood.
func TestWhatAFunctionIsTold(t *testing.T) {
	g := Guest{Project: "p", Branch: "main", Commit: "c0ffee", Target: "applications/shop/functions/pay", Function: project.Function{Base: project.Base{Name: "pay"}, Outbound: []string{"*.example.com"}}}
	outside := &outbound.Net{}
	c := g.SDK(outside)
	require.Equal(t, sdk.Self{Project: "p", Application: "shop", Function: "pay", Commit: "c0ffee", Branch: "main"}, c.Self)
	require.Equal(t, outside, c.Outside)
	require.True(t, c.Allow.Allows("api.example.com", 443))
	require.False(t, c.Allow.Allows("example.net", 443))
	g.Target, g.Function.ID = "functions/pay", "id1"
	require.Equal(t, sdk.Self{Project: "p", Function: "id1", Commit: "c0ffee", Branch: "main"}, g.SDK(nil).Self)
	for _, list := range [][]string{nil, {"*.example.com", "not a host"}} {
		g.Function.Outbound = list
		require.Empty(t, g.SDK(outside).Allow)
	}
}

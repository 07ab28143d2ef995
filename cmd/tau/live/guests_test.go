package live

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
)

// Who has a universe has no tau, and no shape that it could ask.
func TestWhichCommandStoresASecret(t *testing.T) {
	for universe, want := range map[string]string{"": "tau auth secret put function", "/universe": "dreamland secret put"} {
		g, is := newGuests(Config{Universe: universe, Paths: shape.Paths{Builds: t.TempDir()}})(node.Env{}).(*guests)
		require.True(t, is)
		require.Equal(t, want, g.putSecret)
	}
}

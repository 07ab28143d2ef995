package cmdtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmdline"
)

// FreePort is a port of 127.0.0.1 that nobody has.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := cmdline.FreePort()
	require.NoError(t, err)
	return port
}

package cmdline

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFreePorts: none twice in a row, none that somebody has.
func TestFreePorts(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		port, err := FreePort()
		require.NoError(t, err)
		require.False(t, seen[port])
		seen[port] = true
		require.True(t, port >= portsFrom && port < portsFrom+portsMany)
	}
	port, err := FreePort()
	require.NoError(t, err)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	require.False(t, Free(port))
	require.NoError(t, l.Close())
	p, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	defer p.Close()
	require.False(t, Free(port))
}

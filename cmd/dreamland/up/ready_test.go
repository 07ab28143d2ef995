package up

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkReady is how long a universe of the usual nodes takes until all of them serve.
func BenchmarkReady(b *testing.B) {
	home, err := os.MkdirTemp("", "up-")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(home)) })
	b.Setenv("XDG_STATE_HOME", home)
	for b.Loop() {
		p, err := placeOf("bench")
		require.NoError(b, err)
		u, err := open(p, wishes{ephemeral: true})
		require.NoError(b, err)
		require.NoError(b, u.ready(b.Context()))
		b.StopTimer()
		require.NoError(b, u.close())
		b.StartTimer()
	}
}

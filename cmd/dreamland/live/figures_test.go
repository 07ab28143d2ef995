package live

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/dreamland"
)

// TestFigures measures a little of everything: each figure is there, and none is nothing.
func TestFigures(t *testing.T) {
	t.Parallel()
	tau, err := builtTau()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "figures-") // the path of a socket is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	f := &figuresOf{tools: dreamland.Tools{}, tau: tau, keep: dir + "/run", pushes: 4, restarts: 2, rest: time.Second, writing: 100 * time.Millisecond, json: true, progress: io.Discard}
	var out bytes.Buffer
	require.NoError(t, f.run(&out))
	var got figuresOf
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	none := 0
	for _, one := range got.List {
		if one.Left != "" {
			none++
			continue
		}
		cpu := one.Unit == "%" // of so short a time it may be none
		require.True(t, one.Value > 0 || cpu, "%s: %v", one.Name, one.Value)
	}
	require.Equal(t, 1, none, "the large cloud alone was not asked for")
	require.Len(t, got.List, 29)
	f.json = false
	out.Reset()
	f.write(&out)
	require.Contains(t, out.String(), "left out: --large 0")
	require.Regexp(t, `start of a core until its services have started +\d+(\.\d+)? s +0\.65\n`, out.String())
}

package live

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick"
)

// A patrick that was killed while it asked a forge has left a deploy key in memory, which no other end of it is than the next start.
func TestKeysOfAKilledPatrickAreForgotten(t *testing.T) {
	cfg := Config{Shape: &shape.Shape{}, Paths: shape.Paths{Builds: t.TempDir()}}
	scratch := filepath.Join(cfg.Paths.Builds, "forge")
	sum := sha256.Sum256([]byte(scratch))
	left := filepath.Join("/dev/shm", "tau-fetch-"+hex.EncodeToString(sum[:8])+"-left")
	if os.Mkdir(left, 0o700) != nil {
		t.Skip("this machine has no file system in memory")
	}
	defer os.RemoveAll(left)
	f, is := newForge(cfg)(node.Env{}).(*forge)
	require.True(t, is)
	require.NoError(t, f.err)
	require.Equal(t, scratch, f.git.Scratch)
	require.NoDirExists(t, left)
}

// TestStreamsAreServedApart from webhooks and other requests, which have room however many streams there are, and the other way round.
func TestStreamsAreServedApart(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	h := apart(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-end
	}))
	ask := func(method, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for range patrick.StreamsMax {
		go ask("GET", "text/event-stream")
		<-began
	}
	require.Equal(t, http.StatusServiceUnavailable, ask("GET", "text/event-stream").Code)
	for range requestsMax {
		go ask("POST", "text/event-stream")
		<-began
	}
	require.Equal(t, http.StatusServiceUnavailable, ask("GET", "*/*").Code)
}

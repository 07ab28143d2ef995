package live

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestABodyIsPaced: it is waited for no longer than what has come allows, in all its parts together.
func TestABodyIsPaced(t *testing.T) {
	require.Equal(t, doorBodyGrace+time.Second, (&pacedBody{come: 2 * doorBodyRate, waited: time.Second}).left())
	require.Negative(t, (&pacedBody{come: 1, waited: doorBodyGrace + time.Second}).left())
}

// TestABodyThatNobodyReadsHoldsNoConnection: what is left of it is waited for no longer than a moment, whatever the answer was.
func TestABodyThatNobodyReadsHoldsNoConnection(t *testing.T) {
	for name, read := range map[string]bool{"not at all": false, "a part": true} {
		server := httptest.NewServer(paced{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if read {
				_, _ = r.Body.Read(make([]byte, 1))
			}
			w.WriteHeader(http.StatusNotFound)
		})})
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = c.Write([]byte("POST / HTTP/1.1\r\nHost: nobody.example\r\nContent-Length: 1000\r\n\r\nx"))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		said, err := io.ReadAll(c)
		require.NoError(t, err, "%s: the connection is closed", name)
		require.Contains(t, string(said), "404", name)
		require.NoError(t, c.Close())
		server.Close()
	}
}

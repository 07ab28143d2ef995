package up

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

type reads struct{}

// RoundTrip reads the body, and has nobody to send it to.
func (reads) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	return nil, errNoGateway
}

// TestWhoseFaultItIs: a body that breaks off is no gateway's fault, and that nobody answers is not the client's.
func TestWhoseFaultItIs(t *testing.T) {
	f := newFront(&Universe{log: slog.New(slog.DiscardHandler)})
	f.proxy.Transport = reads{}
	for _, c := range []struct {
		body   io.Reader
		status int
		says   string
	}{{iotest.ErrReader(errors.New("malformed chunked encoding")), 400, "broke off"}, {strings.NewReader("whole"), 502, "no gateway"}} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest("POST", "http://www.example.com/", c.body))
		require.Equal(t, c.status, w.Code)
		require.Contains(t, w.Body.String(), c.says)
	}
}

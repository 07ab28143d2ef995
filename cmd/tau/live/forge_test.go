package live

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/patrick"
)

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

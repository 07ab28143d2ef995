package patrick

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatIsAStream: a GET that asks for events; all others are bounded as requests are.
func TestWhatIsAStream(t *testing.T) {
	for _, row := range []struct {
		method, accept string
		is             bool
	}{
		{"GET", "text/event-stream", true},
		{"GET", "text/html, text/event-stream;q=0.9", true},
		{"GET", "text/html", false},
		{"GET", "", false},
		{"POST", "text/event-stream", false},
	} {
		r := httptest.NewRequest(row.method, "/v1/jobs/j/logs", nil)
		if row.accept != "" {
			r.Header.Set("Accept", row.accept)
		}
		require.Equal(t, row.is, IsStream(r), "%s %q", row.method, row.accept)
	}
}

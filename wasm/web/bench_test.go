package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
)

// nowhere is a client that keeps nothing.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) WriteHeader(int)             {}
func (w nowhere) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkServe is a request without a network.
func BenchmarkServe(b *testing.B) {
	r, err := New(Options{Coroutines: 64})
	require.NoError(b, err)
	defer r.Close()
	for _, call := range []string{"page", "event"} {
		b.Run(call, func(b *testing.B) {
			f, module := function(call), guests.Version("v1")
			require.NoError(b, r.Load(context.Background(), f, module))
			q := httptest.NewRequest("GET", "http://example.com/some/path?some=query", nil)
			q.Header.Set("User-Agent", "bench")
			b.ReportAllocs()
			begun := processorTime()
			w := nowhere{http.Header{}}
			for b.Loop() {
				clear(w.header)
				r.Serve(w, q, f, Exchange{ID: "r"})
			}
			b.ReportMetric(float64((processorTime()-begun).Nanoseconds())/1000/float64(b.N), "cpu-us/op")
		})
	}
}

package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
)

// resident is what this process has in memory, in bytes.
func resident(b *testing.B) int64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(b, err)
	var size, pages int64
	_, err = fmt.Sscan(string(text), &size, &pages)
	require.NoError(b, err)
	return pages * int64(os.Getpagesize())
}

// BenchmarkResident is what a small function in C takes in memory: compiled and started, and with an instance at rest that was called once. Functions
// are modules of their own.
func BenchmarkResident(b *testing.B) {
	const functions = 300
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		b.Skip("there is no /proc")
	}
	for range b.N {
		r, err := New(Options{})
		require.NoError(b, err)
		f := function("page")
		load := func(n int) {
			f.Module = fmt.Sprint(n)
			require.NoError(b, r.Load(context.Background(), f, guests.Version("v"+f.Module)))
		}
		for n := range 20 { // what is needed once is there
			load(n)
		}
		before := resident(b)
		for n := range functions {
			load(100 + n)
		}
		after := resident(b)
		w, q := nowhere{http.Header{}}, httptest.NewRequest("GET", "http://example.com/", nil)
		for n := range functions {
			f.Module = fmt.Sprint(100 + n)
			r.Serve(w, q, f, Exchange{})
		}
		called := resident(b)
		b.ReportMetric(float64(after-before)/functions/1024, "KiB/function")
		b.ReportMetric(float64(called-after)/functions/1024, "KiB/instance")
		b.ReportMetric(float64(len(guests.Version("v")))/1024, "KiB/module")
		require.NoError(b, r.Close())
	}
}

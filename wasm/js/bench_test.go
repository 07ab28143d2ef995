package js

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
)

// BenchmarkAsk is a request: put back, asked, answered.
func BenchmarkAsk(b *testing.B) {
	e, err := engine.New(engine.Options{Hosts: Hosts(), CacheDir: cacheDir, Now: time.Now})
	require.NoError(b, err)
	defer e.Close()
	module, err := Module()
	require.NoError(b, err)
	for name, body := range map[string]string{
		"hello": `return new Response("hello")`,
		"url":   `const u = new URL(request.url); return Response.json({path: u.pathname, name: u.searchParams.get("name")}, {headers: {"x-word": request.headers.get("x-word")}})`,
	} {
		f, err := e.Load(context.Background(), module, Setup(engine.Setup{}, []byte(Mark+"export default { async fetch(request, env, ctx) {"+body+"} }"), "fetch"))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var usage engine.Usage
			begun := processorTime()
			for b.Loop() {
				x := &exchange{Method: "GET", URL: "http://example.com/some/path?name=value", Header: http.Header{"X-Word": {"first", "second"}, "User-Agent": {"bench"}}}
				q := x.request()
				_, usage, err = f.Call(context.Background(), &engine.Request{Drive: q.Serve, Value: q})
				require.NoError(b, err)
			}
			b.ReportMetric(float64((processorTime()-begun).Nanoseconds())/1000/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(usage.Fuel), "fuel/op")
			b.ReportMetric(float64(usage.Pages), "pages/op")
		})
		f.Close()
	}
	b.Run("load", func(b *testing.B) {
		begun := processorTime()
		for b.Loop() {
			f, err := e.Load(context.Background(), module, Setup(engine.Setup{}, []byte(Mark+"export default { fetch(request) { return new Response() } }"), "fetch"))
			require.NoError(b, err)
			f.Close()
		}
		b.ReportMetric(float64((processorTime()-begun).Nanoseconds())/1000/float64(b.N), "cpu-us/op")
	})
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

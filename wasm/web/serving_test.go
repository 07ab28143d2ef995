package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
	"github.com/taucloud/tau/wasm/js"
)

// benchGo is the function in Go of the figures.
const benchGo = `package main

import "os"

var count int

//go:wasmexport answer
func answer() {
	count++
	os.Stdout.WriteString("Content-Type: text/plain\n\nhello from a function, which was asked before: " + string(rune('0'+count)) + "\n")
}

func main() {}
`

// benchJS is the function in JavaScript of the figures.
const benchJS = js.Mark + `let count = 0;
export default { async fetch(request, env) {
  count++;
  return new Response("hello from a function, which was asked before: " + count + "\n" + ".".repeat(80) + "\n", {headers: {"content-type": "text/plain"}});
} }`

// clientOf is set in the process that sends requests: the address, how many clients, how many requests.
const clientOf = "TAU_SERVING_CLIENT"

// load is that process.
func load() int {
	var address string
	var clients, requests int
	if _, err := fmt.Sscan(os.Getenv(clientOf), &address, &clients, &requests); err != nil {
		return 2
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients}}
	var all sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for range clients {
		all.Go(func() {
			for range requests / clients {
				response, err := client.Get("http://" + address + "/some/path?some=query")
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
				if err != nil || response.StatusCode >= 300 {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if failed > 0 {
		fmt.Fprintln(os.Stderr, failed, "requests have failed")
		return 1
	}
	return 0
}

// processorTime is that of this process, which serves and does not ask.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// listen serves a handler and returns its address.
func listen(t *testing.T, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// servedBy is a function behind net/http.
func servedBy(t *testing.T, r *Runner, f Function, module []byte) http.HandlerFunc {
	require.NoError(t, r.Load(context.Background(), f, module))
	return func(w http.ResponseWriter, q *http.Request) {
		r.Serve(w, q, f, Exchange{ID: "r", Module: func(context.Context) ([]byte, error) { return module, nil }})
	}
}

// TestServingRatios is make bench-serving: processor time of a server for a request, in several rounds that alternate, and its ratio to that of
// plain net/http with the same body. Clients are another process.
func TestServingRatios(t *testing.T) {
	if os.Getenv("TAU_SERVING") == "" {
		t.Skip("make bench-serving")
	}
	s := newStage(t, Options{Coroutines: 64})
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(benchGo), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module answer\n\ngo 1.24\n"), 0o644))
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-w", "-o", "main.wasm", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	module, err := os.ReadFile(filepath.Join(dir, "main.wasm"))
	require.NoError(t, err)
	const body = "version [........................................] GET /some/path\ncount 1, before nothing\ngreeting hello, parameter \n"
	names := []string{"plain", "c", "c-event", "go", "js"}
	at := map[string]string{
		"plain": listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, body)
		})),
		"c":       listen(t, servedBy(t, s.Runner, function("page"), guests.Read("web-c"))),
		"c-event": listen(t, servedBy(t, s.Runner, Function{Module: "e", Call: "event", Timeout: time.Second, MemoryMax: 1 << 20}, guests.Read("web-c"))),
		"js":      listen(t, servedBy(t, s.Runner, Function{Module: "js", Call: "fetch", Timeout: 10 * time.Second, MemoryMax: 64 << 20}, []byte(benchJS))),
		"go":      listen(t, servedBy(t, s.Runner, Function{Module: "go", Call: "answer", Timeout: 10 * time.Second, MemoryMax: 16 << 20}, module)),
	}
	rounds, requests := 7, 4000
	if n, err := strconv.Atoi(os.Getenv("TAU_SERVING_ROUNDS")); err == nil {
		rounds = n
	}
	var ratios []string
	for _, clients := range []int{1, 16, 64} {
		took := map[string][]float64{}
		for round := range rounds + 1 {
			for _, name := range names {
				c := exec.Command(os.Args[0])
				c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", clientOf, at[name], clients, requests))
				c.Stderr = os.Stderr
				began := processorTime()
				require.NoError(t, c.Run(), "%s with %d clients", name, clients)
				if round > 0 { // the first warms up
					took[name] = append(took[name], float64((processorTime()-began).Nanoseconds())/1000/float64(requests/clients*clients))
				}
			}
		}
		for _, name := range names {
			slices.Sort(took[name])
			median := took[name][len(took[name])/2]
			fmt.Printf("serving %s-%d %.1f us of processor time a request (%.1f to %.1f)\n", name, clients, median, took[name][0], took[name][len(took[name])-1])
			if name != "plain" {
				ratios = append(ratios, fmt.Sprintf("ratio %s-%d %.2f", name, clients, median/took["plain"][len(took["plain"])/2]))
			}
		}
	}
	for _, r := range ratios {
		fmt.Println(r)
	}
}

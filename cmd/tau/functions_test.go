package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/fixtures/guests"
	"github.com/taucloud/tau/project"
)

// countC is a function in C that tells how often it was called.
const countC = `#include <stdio.h>
#include <stdlib.h>
static int count;
__attribute__((export_name("count"))) void counts(void) {
	printf("Content-Type: text/plain\n\n%s: count %d, %s%s", "TEXT", ++count, getenv("GREETING"), getenv("TOKEN") ? getenv("TOKEN") : "");
	fflush(stdout);
}
`

const spinC = `__attribute__((export_name("spin"))) void spin(void) {
	for (volatile int i = 0;; i++)
		;
}
`

// drawGo is a function in Go that tells what it has drawn at random, in each of the three ways.
const drawGo = `package main

import (
	"crypto/rand"
	"encoding/hex"
	mrand "math/rand/v2"
	"os"
	"strconv"
)

var count int

//go:wasmexport draw
func draw() {
	count++
	secret := make([]byte, 16)
	_, _ = rand.Read(secret)
	out := "Content-Type: text/plain\n\n" + strconv.Itoa(count) + " " + hex.EncodeToString(secret) + " " + strconv.FormatUint(mrand.Uint64(), 16) + " "
	for k := range map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10, 11: 11, 12: 12} {
		out += strconv.Itoa(k) + "."
	}
	os.Stdout.WriteString(out + " " + os.Getenv("GREETING"))
}

func main() {}
`

// served is a node with a project of functions.
type served struct {
	*operator
	dir, at, host string
}

func (s *served) write(path, text string) {
	file := filepath.Join(s.dir, path)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(s.t, os.WriteFile(file, []byte(text), 0o644))
}

func (s *served) push() { s.must("", "push", s.dir, "--project", "hello", "-s", "one") }

func (s *served) get(path string) (status int, body string) {
	r, err := http.NewRequest("GET", "http://"+s.at+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	r.Host = s.host
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(raw)
}

// goFunction puts the function in Go into the project: built here, as the library of Go takes minutes in the sandbox of a node that has never
// built any. TAU_TEST_GO_SOURCE=1 has the node do it.
func (s *served) goFunction() {
	if os.Getenv("TAU_TEST_GO_SOURCE") != "" {
		s.write("functions/draw/main.go", drawGo)
		s.write("functions/draw/go.mod", "module draw\n\ngo 1.24\n")
		return
	}
	source := s.t.TempDir()
	require.NoError(s.t, os.WriteFile(filepath.Join(source, "main.go"), []byte(drawGo), 0o644))
	require.NoError(s.t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module draw\n\ngo 1.24\n"), 0o644))
	s.built(source, "draw")
}

// built puts what is built of a folder into the project.
func (s *served) built(source, name string) {
	require.NoError(s.t, os.MkdirAll(filepath.Join(s.dir, "functions", name), 0o755))
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-w", "-o", filepath.Join(s.dir, "functions", name, "main.wasm"), ".")
	build.Dir, build.Env = source, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(s.t, err, string(out))
}

// TestPushedFunctionsAreServed: functions in C and Go are pushed, and answer at the gateway's door: each request in a clean instance, with
// random numbers of its own; those that never end harm no neighbour; a new version takes over.
func TestPushedFunctionsAreServed(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	s := &served{operator: o, dir: filepath.Join(t.TempDir(), "hello"), at: fmt.Sprintf("127.0.0.1:%d", cmdtest.FreePort(t))}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one", "--http-listen", s.at)
	if out, _ := exec.Command("sh", "-c", "echo 'int f(void){return 1;}' | clang --target=wasm32-wasi -x c - -mexec-model=reactor -o /dev/null 2>&1").CombinedOutput(); len(out) > 0 && os.Getenv("CI") == "" {
		t.Skipf("no compiler for C: %s", out)
	}
	o.start("one")
	o.ready("one", 0)
	s.write("functions/count/main.c", countC)
	s.write("functions/spin/main.c", spinC)
	s.goFunction()
	s.write("functions/out/main.wasm", string(guests.Read("out-c")))
	s.write("tau.yaml", `name: hello
functions:
  count: {paths: [/count], environment: {GREETING: hello}, secrets: [TOKEN], memory: 1MB}
  spin: {paths: [/spin], timeout: 1s, memory: 1MB, concurrency: 4}
  out: {paths: [/out], memory: 1MB, outbound: ["*", "127.0.0.1:1"]}
  draw: {paths: [/draw], environment: {GREETING: hello}, memory: 16MB}
  flow: {paths: [/flow], call: page, methods: [GET, POST], memory: 1MB, timeout: 1m}
`)
	source, err := os.ReadFile("../../fixtures/guests/c/stream.c")
	require.NoError(t, err)
	s.write("functions/flow/main.c", string(source))
	loaded, err := project.Load(os.DirFS(s.dir))
	require.NoError(t, err)
	compiled, err := project.Compile(loaded.Project, project.Options{Project: "hello"})
	require.NoError(t, err)
	s.host = compiled.Claims[0].Host
	o.must("", "auth", "project", "add", "hello", "-s", "one")
	o.must(" and a secret\n", "auth", "secret", "put", "function", "hello", "TOKEN", "-s", "one")
	s.push()
	patience := 2 * time.Minute
	if os.Getenv("TAU_TEST_GO_SOURCE") != "" {
		patience = 15 * time.Minute
	}
	is := func(path, want string) {
		t.Helper()
		var status int
		var body string
		o.within(patience, path+" answers "+want, func() bool { status, body = s.get(path); return status == 200 && strings.Contains(body, want) })
	}
	is("/count", "TEXT: count 1, hello and a secret")
	is("/draw", "1 ")
	s.alone()
	s.flows()
	log := o.must("", "logs", "--project", "hello", "--function", "spin", "-s", "one")
	require.Equal(t, 3, strings.Count(log, "it was stopped: engine: the call has taken too long"), log)
	used, ok := ask[live.FunctionsResponse](o, "functions", "hello", "-s", "one")
	require.True(t, ok)
	require.Empty(t, used.Silent)
	require.Len(t, used.Functions, 4)
	spin := used.Functions[3]
	require.Equal(t, [4]any{"functions/spin", uint64(3), uint64(3), "hello"}, [4]any{spin.Function, spin.Requests, spin.Errors, spin.Project})
	require.Greater(t, spin.Fuel, uint64(1_000_000))
	require.Equal(t, uint64(1_000_000), used.Functions[0].MemoryLimit)
	require.Greater(t, used.Functions[0].MemoryMax, uint64(1<<15))
	page, err := live.NewClient(shape.PathsOf(o.root, "one").Socket).Page(t.Context(), "/metrics", 1<<20)
	require.NoError(t, err)
	require.Contains(t, string(page), `tau_function_requests_total{branch="main",function="functions/spin",outcome="failed",project="hello"} 3`)
	require.Contains(t, string(page), `tau_function_duration_seconds_count{branch="main",function="functions/spin",project="hello"} 3`)
	template := filepath.Join(t.TempDir(), "template")
	made, err := exec.Command("tau", "project", "new", template, "--template", "hello").CombinedOutput()
	require.NoError(t, err, string(made))
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "functions", "draw"))) // a tree has 3 MiB at most
	s.built(filepath.Join(template, "functions", "hello"), "hello")
	s.write("tau.yaml", `name: hello
functions:
  count: {paths: [/count], environment: {GREETING: hello}, secrets: [TOKEN], memory: 1MB}
  hello: {paths: [/hello], memory: 16MB, timeout: 5s}
`)
	s.write("functions/count/main.c", strings.ReplaceAll(countC, "TEXT", "another"))
	s.push()
	is("/count", "another: count 1, hello")
	is("/hello", "Hello.\n")
}

// flows talks with a function: each line is answered before the next is sent, over HTTP/1.1 and HTTP/2; who wants a WebSocket is told that there is none.
func (s *served) flows() {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(protocol == "HTTP/1.1")
		protocols.SetUnencryptedHTTP2(protocol == "HTTP/2.0")
		client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
		in, out := io.Pipe()
		q, err := http.NewRequest("POST", "http://"+s.at+"/flow?echo", in)
		require.NoError(s.t, err)
		q.Host = s.host
		go func() { _, _ = out.Write([]byte("line 0\n")) }()
		response, err := client.Do(q)
		require.NoError(s.t, err)
		require.Equal(s.t, protocol, response.Proto)
		lines := bufio.NewReader(response.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			require.NoError(s.t, err)
			require.Equal(s.t, fmt.Sprintf("line %d\n", i), line)
			_, err = fmt.Fprintf(out, "line %d\n", i+1)
			require.NoError(s.t, err)
		}
		require.NoError(s.t, out.Close())
		rest, err := io.ReadAll(lines)
		require.NoError(s.t, err)
		require.Equal(s.t, "line 3\n", string(rest))
		require.NoError(s.t, response.Body.Close())
		client.CloseIdleConnections()
	}
	q, err := http.NewRequest("GET", "http://"+s.at+"/flow", http.NoBody)
	require.NoError(s.t, err)
	q.Host = s.host
	q.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	response, err := http.DefaultClient.Do(q)
	require.NoError(s.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, 501, response.StatusCode)
	require.Contains(s.t, string(text), "nothing here takes WebSockets")
}

// alone asks again and again, beside functions that never end.
func (s *served) alone() {
	drawn := [3]map[string]bool{{}, {}, {}} // by each way
	var spins sync.WaitGroup
	for range 3 {
		spins.Go(func() {
			if status, body := s.get("/spin"); status != 504 || !strings.Contains(body, "within 1s (request ") {
				s.t.Errorf("a function that never ends was answered with %d %s", status, body)
			}
		})
	}
	const draws = 6
	for range draws {
		status, body := s.get("/count")
		require.Equal(s.t, 200, status, body)
		require.Equal(s.t, "TEXT: count 1, hello and a secret", body)
		status, body = s.get("/draw")
		require.Equal(s.t, 200, status, body)
		words := strings.SplitN(body, " ", 2)
		require.Equal(s.t, "1", words[0], "it has seen the request before")
		require.True(s.t, strings.HasSuffix(body, " hello"), body)
		for i, word := range strings.Fields(strings.TrimSuffix(words[1], " hello")) {
			drawn[i][word] = true
		}
	}
	spins.Wait()
	for i, way := range []string{"crypto/rand", "math/rand", "the order of a map"} {
		require.Greater(s.t, len(drawn[i]), 1, "%s: all requests have drawn the same", way)
	}
}

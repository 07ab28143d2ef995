package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
	source "github.com/taucloud/tau/sdk"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/taucloud/tau/wasm/sdk"
)

// buildsOf is set where guests are compiled that take minutes when the library of Go was not: make sdk.
const buildsOf = "TAU_TEST_GO_SDK"

// far is an outside with one host, which tells what it was asked.
type far struct{}

func (far) Within(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}

func (far) Addresses(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

func (far) Records(_ context.Context, kind outbound.Kind, _ string) ([]string, error) {
	if kind == outbound.MX {
		return []string{"mail.example.com. 10", "post.example.com. 20"}, nil
	}
	return []string{"one", "two"}, nil
}

func (far) Send(_ netip.AddrPort, r *http.Request, _ int64) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	text := fmt.Sprintf("%s %s %s %v", r.Method, r.URL, body, r.Header["X-Own"])
	return &http.Response{StatusCode: 201, Header: http.Header{"X-Theirs": {"a", "b"}}, Body: io.NopCloser(strings.NewReader(text))}, err
}

func goBuild(t *testing.T, dir string, files map[string]string) []byte {
	for name, text := range files {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	out := filepath.Join(t.TempDir(), "main.wasm")
	build := exec.Command("go", "build", "-mod=vendor", "-trimpath", "-ldflags=-w", "-buildmode=c-shared", "-o", out, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	module, err := os.ReadFile(out)
	require.NoError(t, err)
	return module
}

// asked asks a function twice: the second request finds what the first has found.
func asked(t *testing.T, s *stage, f Function, want map[string]any) {
	allow, err := outbound.Parse([]string{"api.example.com"})
	require.NoError(t, err)
	for range 2 {
		w := httptest.NewRecorder()
		q := httptest.NewRequest("POST", "http://example.com/things/7?name=me&other=2", strings.NewReader("the body"))
		q.Header.Set("X-Mine", "mine")
		s.Serve(w, q, f, Exchange{ID: "r1", Module: func(context.Context) ([]byte, error) { return s.module, nil }, Ran: func(o Outcome) { s.last = o },
			SDK: sdk.Config{Self: sdk.Self{Project: "p", Function: "f", Commit: "c0ffee"}, Outside: far{}, Allow: allow}})
		require.Equal(t, 202, w.Code, w.Body.String()+s.last.Log)
		got := map[string]any{}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		for name, v := range want {
			require.Equal(t, v, got[name], name)
		}
	}
	require.Regexp(t, `evil.example.net .*is not in the function's list`, s.last.Log)
	s.Logf("a module of %d bytes, %d units of fuel and %d pages for a request, %d KiB of memory", len(s.module), s.last.Usage.Fuel, s.last.Usage.Pages, s.last.Usage.MemoryPeak>>10)
}

// near resolves all names to one public address, and connects to a server of the test instead.
type near struct {
	outbound.Resolver
	server string
}

func (near) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

func (n near) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, n.server)
}

// TestAFunctionGoesOut: over real sockets, to a server that only the test's own resolver and dialer make a public one.
func TestAFunctionGoesOut(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://"+r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()+"/", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "hello from "+r.Host)
	}))
	t.Cleanup(server.Close)
	n := near{server: server.Listener.Addr().String()}
	allow, err := outbound.Parse([]string{"*.example.com", n.server})
	require.NoError(t, err)
	s := newStage(t, Options{})
	s.module = guests.Read("out-c")
	f := Function{Module: "out", Call: "out", Timeout: 20 * time.Second, MemoryMax: 1 << 20}
	for _, c := range []struct {
		url, answer string
		outside     outbound.Outside
	}{
		{"http://api.example.com/", "0 0 200 hello from api.example.com", &outbound.Net{Resolver: n, Dial: n.dial}},
		{"http://api.example.com/away", "0 13 ", &outbound.Net{Resolver: n, Dial: n.dial}},
		{"http://" + n.server + "/", "0 13 ", &outbound.Net{}},
		{"http://example.net/", "0 13 ", &outbound.Net{Resolver: n, Dial: n.dial}},
		{"http://api.example.com/", "0 13 ", nil},
	} {
		w := httptest.NewRecorder()
		s.Serve(w, httptest.NewRequest("GET", "http://example.com/?url="+url.QueryEscape(c.url), nil), f, Exchange{
			Module: func(context.Context) ([]byte, error) { return s.module, nil }, Ran: func(o Outcome) { s.last = o }, SDK: sdk.Config{Outside: c.outside, Allow: allow},
		})
		require.Equal(t, c.answer, w.Body.String(), c.url)
		require.Equal(t, c.answer == "0 13 ", strings.Contains(s.last.Log, "[tau] outbound: "), s.last.Log)
	}
}

// TestOurSDK: a function with handlers of net/http is compiled with nothing but Go, and answers.
func TestOurSDK(t *testing.T) {
	if os.Getenv(buildsOf) == "" {
		t.Skip("make sdk")
	}
	files := map[string]string{
		"go.mod":             "module ours\n\ngo 1.24\n\nrequire github.com/taucloud/tau v0.0.0\n",
		"vendor/modules.txt": "# github.com/taucloud/tau v0.0.0\n## explicit; go 1.24\ngithub.com/taucloud/tau/sdk\n",
	}
	main, err := os.ReadFile("testdata/guests/ours.go.txt")
	require.NoError(t, err)
	files["main.go"] = string(main)
	for name, text := range source.Sources() {
		files["vendor/github.com/taucloud/tau/sdk/"+name] = text
	}
	s := newStage(t, Options{})
	s.module = goBuild(t, t.TempDir(), files)
	f := Function{Module: "ours", Call: "serve", Timeout: 30 * time.Second, MemoryMax: 64 << 20}
	asked(t, s, f, map[string]any{
		"id": "7", "query": "me", "host": "example.com", "length": 8.0, "body": "the body", "count": 1.0, "field": "mine", "request": "",
		"self":   map[string]any{"Project": "p", "Application": "", "Function": "f", "Branch": "", "Commit": "c0ffee"},
		"answer": "201 Created PUT http://api.example.com/a?b=c hello [1 2] a,b",
		"evil":   "outbound: evil.example.net at port 80 is not in the function's list of outbound hosts",
	})
	w := s.get(f, "http://example.com/panic")
	require.Equal(t, 500, w.Code)
	require.Contains(t, s.last.Log, "panic: no")
	require.Equal(t, 404, s.get(f, "http://example.com/none").Code)
}

// TestTheirSDK: the SDK of tau for Go (github.com/taubyte/go-sdk v0.3.9) finds here what it was written for. It is for TinyGo, whose way to say what is
// imported is put into Go's; nothing else of it is changed.
func TestTheirSDK(t *testing.T) {
	if os.Getenv(buildsOf) == "" {
		t.Skip("make sdk")
	}
	main, err := os.ReadFile("testdata/guests/theirs.go.txt")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), main, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module theirs\n\ngo 1.24\n\nrequire (\n\tgithub.com/taubyte/go-sdk v0.3.9\n\tgithub.com/taubyte/go-sdk-symbols v0.2.7\n)\n"), 0o644))
	for _, args := range [][]string{{"mod", "tidy", "-e"}, {"mod", "vendor"}} {
		tidy := exec.Command("go", args...)
		tidy.Dir, tidy.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		said, err := tidy.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	files := map[string]string{}
	imports := regexp.MustCompile(`//go:wasm-module (\S+)\n//export (\w+)\n`)
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "vendor/github.com/taubyte/go-sdk-symbols"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() != "wasm_imports.go" {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = imports.ReplaceAllString(string(text), "//go:wasmimport $1 $2\n")
		for _, c := range [][2]string{ // types that TinyGo passes, and Go does not
			{"func FifoClose(id uint32) {}", "func FifoClose(id uint32)"},
			{"func FifoPush(id uint32, buf byte) (error errno.Error)", "func fifoPush(id, buf uint32) errno.Error\n\nfunc FifoPush(id uint32, buf byte) errno.Error { return fifoPush(id, uint32(buf)) }"},
			{"whence int, offsetPtr *int)", "whence int32, offsetPtr *int32)"},
			{"func PutGlobalValue(\n\tname string,\n\tapplication, function uint32,\n\tvalue []byte,\n) (error errno.Error)", "func putGlobalValue(name string, application, function uint32, value *byte, length, most uint32) errno.Error\n\n" +
				"func PutGlobalValue(name string, application, function uint32, value []byte) errno.Error {\n\treturn putGlobalValue(name, application, function, &value[0], uint32(len(value)), uint32(cap(value)))\n}"},
		} {
			files[name] = strings.ReplaceAll(files[name], c[0], c[1])
		}
		return err
	}))
	s := newStage(t, Options{})
	s.module = goBuild(t, dir, files)
	asked(t, s, Function{Module: "theirs", Call: "handle", Timeout: 30 * time.Second, MemoryMax: 64 << 20}, map[string]any{
		"method": "POST", "path": "/things/7", "host": "example.com", "name": "me", "none": "", "queries": []any{"name", "other"}, "mine": "mine", "body": "the body",
		"project": "p", "commit": "c0ffee", "random": 8.0, "fifo": "through", "view": "a view", "do": "ok", "answer": "POST http://api.example.com/ hello [1 2]",
		"answer-headers": map[string]any{"X-Theirs": []any{"a", "b"}}, "txt": []any{"one", "two"}, "mx": "2",
		"txt-evil": "error: Failed lookupTxTSize with ErrorFailedTxTLookup", "database": "error: Failed creating new database with: ErrorDatabaseCreateFailed",
		"globals": "error: Getting value from `/uint32/count` size failed with ErrorDatabaseCreateFailed",
	})
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/cmd/tau/live"
)

// systemd is told what a process tells it.
type systemd struct {
	path string
	conn *net.UnixConn
}

func newSystemd(t *testing.T) systemd {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return systemd{path, conn}
}

// hears waits for a message.
func (s systemd) hears(t *testing.T, want string) {
	buffer := make([]byte, 4096)
	require.NoError(t, s.conn.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := s.conn.Read(buffer)
	require.NoError(t, err)
	require.Regexp(t, want, string(buffer[:n]))
}

// get reads a page.
func get(t *testing.T, url string) (int, string) {
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// TestANodeSeenFromOutside: by systemd, which hears when it is ready, reads its configuration again and ends; and by
// Prometheus, of which each metric that a node has is there.
func TestANodeSeenFromOutside(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	at := fmt.Sprintf("127.0.0.1:%d", cmdtest.FreePort(t))
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one", "--metrics-listen", at)
	init := newSystemd(t)
	p := &process{cmd: exec.Command("tau", "start", "-s", "one", "--root", o.root), log: &lockedBuffer{}}
	p.cmd.Stderr, p.cmd.Env = p.log, append(os.Environ(), "NOTIFY_SOCKET="+init.path)
	o.run(p, "one")
	init.hears(t, "^READY=1\n")
	o.ready("one", 0)

	code, page := get(t, "http://"+at+"/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, m := range live.Metrics {
		if strings.HasPrefix(m.Name, "tau_function_") {
			continue // this node has run none: see TestPushedFunctionsAreServed
		}
		require.Contains(t, page, "# HELP "+m.Name+" ", "each has a meaning")
		require.Regexp(t, `(?m)^`+m.Name+`[ {]`, page, "and a value")
		counts := strings.Contains(page, "# TYPE "+m.Name+" counter")
		require.Equal(t, counts, strings.HasSuffix(m.Name, "_total"), m.Name)
	}
	require.Contains(t, page, "go_goroutines")
	require.Contains(t, page, "process_open_fds")
	require.Contains(t, page, `tau_service_ready{service="patrick"} 1`)
	require.Regexp(t, `tau_facts_total\{fact="[a-z-]+",service="[a-z]+"\} [1-9]`, page)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		code, page = get(t, "http://"+at+path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, page, want)
	}

	require.NotContains(t, p.log.String(), `"DEBUG"`)
	config := filepath.Join(o.root, "config", "one.yaml")
	raw, err := os.ReadFile(config)
	require.NoError(t, err)
	text := strings.Replace(string(raw), "log-level: info", "log-level: debug", 1)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(text, "name: ", "name: other-", 1)), 0o600))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	init.hears(t, "^RELOADING=1\nMONOTONIC_USEC=[0-9]+$")
	init.hears(t, "^READY=1\n")
	o.must("", "push", "testdata", "--project", "p", "-s", "one")
	o.within(time.Minute, "it logs more", func() bool { return strings.Contains(p.log.String(), `"DEBUG"`) })
	require.Contains(t, p.log.String(), `takes a start of the node to count","keys":"name"`)
	o.must("", "log-level", "error", "-s", "one")

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	init.hears(t, "^STOPPING=1\n")
	require.NoError(t, p.cmd.Wait())
}

// TestTheDashboardNamesMetricsThatThereAre, and all those whose change people should look at.
func TestTheDashboardNamesMetricsThatThereAre(t *testing.T) {
	raw, err := os.ReadFile("../../docs/grafana.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(raw, &board))
	known := []string{"go_goroutines", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
	for _, m := range live.Metrics {
		known = append(known, m.Name)
	}
	shown := map[string]bool{}
	for _, p := range board.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			names := regexp.MustCompile(`\b(tau|go|process)_[a-z0-9_]+`).FindAllString(target.Expr, -1)
			require.NotEmpty(t, names, "%s: %s", p.Title, target.Expr)
			for _, name := range names {
				require.True(t, slices.Contains(known, name), "%s: there is no metric %s", p.Title, name)
				shown[name] = true
			}
		}
	}
	for _, name := range []string{"tau_node_ready", "tau_disk_free_bytes", "tau_certificate_expiry_timestamp_seconds", "tau_members_alive", "tau_facts_total", "tau_log_lines_total"} {
		require.True(t, shown[name], "no panel shows %s", name)
	}
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/project"
)

// TestAPushedPageIsServed: what the template of a website makes is pushed, and a browser has it from the gateway's door: the
// page, then that of the next push; 404 for a host of nobody. A node that is told to end does.
func TestAPushedPageIsServed(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	at := fmt.Sprintf("127.0.0.1:%d", cmdtest.FreePort(t))
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one", "--http-listen", at)
	p := o.start("one")
	o.ready("one", 0)
	site := filepath.Join(t.TempDir(), "hello")
	require.NoError(t, os.MkdirAll(filepath.Join(site, "websites", "site"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(site, "tau.yaml"), []byte("name: hello\nwebsites:\n  site:\n    paths: [/]\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(site, "websites", "site", "index.html"), []byte("none yet"), 0o644))
	loaded, err := project.Load(os.DirFS(site))
	require.NoError(t, err)
	compiled, err := project.Compile(loaded.Project, project.Options{Project: "hello"})
	require.NoError(t, err)
	host := compiled.Claims[0].Host
	get := func(host string) (status int, version, body string) {
		r, err := http.NewRequest("GET", "http://"+at+"/", nil)
		require.NoError(t, err)
		r.Host = host
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, "", err.Error()
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, response.Header.Get("X-Tau-Version"), string(raw)
	}
	versions := map[string]bool{}
	for _, page := range []string{"<h1>one</h1>", "<h1>two</h1>"} {
		require.NoError(t, os.WriteFile(filepath.Join(site, "websites", "site", "index.html"), []byte(page), 0o644))
		o.must("", "push", site, "--project", "hello", "-s", "one")
		o.within(time.Minute, page+" is served", func() bool {
			status, version, body := get(host)
			versions[version] = true
			return status == 200 && body == page
		})
	}
	status, _, body := get("nobody.example.com")
	require.Equal(t, 404, status, body)
	delete(versions, "")
	require.Len(t, versions, 2)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait())
}

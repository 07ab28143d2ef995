package up

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	taulive "github.com/taucloud/tau/cmd/tau/live"
)

// browser is a headless Chromium, asked by its own protocol over two pipes.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	last    int
}

// newBrowser starts one, with a page that is empty.
func newBrowser(t *testing.T) *browser {
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine")
	}
	if testing.Short() {
		t.Skip("a browser takes some seconds")
	}
	in, to, err := os.Pipe()
	require.NoError(t, err)
	from, out, err := os.Pipe()
	require.NoError(t, err)
	home, err := os.MkdirTemp("", "up-browser-")
	require.NoError(t, err)
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir="+home, "about:blank")
	cmd.ExtraFiles = []*os.File{in, out}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = to.Close()
		_ = from.Close()
		require.Eventually(t, func() bool { return os.RemoveAll(home) == nil }, time.Minute, 50*time.Millisecond)
	})
	require.NoError(t, errors.Join(in.Close(), out.Close()))
	require.NoError(t, from.SetReadDeadline(time.Now().Add(2*time.Minute)))
	b := &browser{t: t, to: to, from: bufio.NewReaderSize(from, 1<<20)}
	target := b.do("Target.createTarget", map[string]any{"url": "about:blank"})["targetId"]
	b.session = b.do("Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	b.do("Page.enable", nil)
	return b
}

// do has the browser do something, and returns what it answers.
func (b *browser) do(method string, params map[string]any) map[string]any {
	b.t.Helper()
	b.last++
	raw, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params, "sessionId": b.session})
	require.NoError(b.t, err)
	if b.session == "" {
		raw, err = json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
		require.NoError(b.t, err)
	}
	_, err = b.to.Write(append(raw, 0))
	require.NoError(b.t, err)
	for {
		text, err := b.from.ReadBytes(0)
		require.NoError(b.t, err)
		var m struct {
			ID     int
			Result map[string]any
			Error  *struct{ Message string }
		}
		require.NoError(b.t, json.Unmarshal(text[:len(text)-1], &m))
		if m.ID == b.last {
			require.Nil(b.t, m.Error, method)
			return m.Result
		}
	}
}

// is is the value of an expression in the page.
func (b *browser) is(expression string) any {
	b.t.Helper()
	out := b.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	require.Nil(b.t, out["exceptionDetails"], expression)
	return out["result"].(map[string]any)["value"]
}

// until waits until an expression is true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); b.is(expression) != true; time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("never: %s\n%v", expression, b.is("document.body.innerText"))
		}
	}
}

// key presses one.
func (b *browser) key(name string, code int, text string) {
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.do("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text})
	}
}

// looks sets the size of the window and the colours that the reader likes. A picture of it goes to the directory UP_SCREENSHOTS.
func (b *browser) looks(width, height int, colours string) {
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": colours}}})
	if dir := os.Getenv("UP_SCREENSHOTS"); dir != "" {
		time.Sleep(1500 * time.Millisecond)
		shot := b.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true})
		raw, err := base64.StdEncoding.DecodeString(shot["data"].(string))
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("page-%d-%s.png", width, colours)), raw, 0o600))
	}
}

// someUniverse is one that is ready, and gone with the test.
func someUniverse(t *testing.T) *Universe {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	home, err := os.MkdirTemp("", "up-")
	require.NoError(t, err)
	t.Setenv("XDG_STATE_HOME", home)
	p, err := placeOf("page")
	require.NoError(t, err)
	u, err := open(p, wishes{ephemeral: true, nodes: []string{"one=seer,auth,tns,hoarder,patrick", "two=monkey,substrate,gateway", "three=monkey"}})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, u.close())
		require.NoError(t, os.RemoveAll(home))
	})
	require.NoError(t, u.ready(t.Context()))
	return u
}

// TestThePage: what it shows is shown as text, whoever chose it; by its buttons, and by the keyboard alone, a node is killed and comes
// back; logs come as they are written; it fits a telephone; it breaks no rule of its policy.
func TestThePage(t *testing.T) {
	b := newBrowser(t)
	u := someUniverse(t)
	site := filepath.Join(t.TempDir(), "site")
	_, err := newProject(site, "site", "website", "page")
	require.NoError(t, err)
	const branch = "<b>bold</b>-&-branch"
	_, err = git(site, somebody, "checkout", "--quiet", "-b", branch)
	require.NoError(t, err)
	_, err = git(site, somebody, "commit", "--quiet", "--allow-empty", "-m", "<script>document.title='bad'</script><img src=x onerror=alert(1)>")
	require.NoError(t, err)
	_, err = git(site, nil, "push", "--quiet", remoteName, "HEAD", "main")
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.http()+"/?q=secret", nil)
	require.NoError(t, err)
	r.Host = "site.localhost"
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	b.do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": "window.wrong=[];addEventListener('securitypolicyviolation',e=>wrong.push(e.violatedDirective+' '+e.blockedURI));addEventListener('error',e=>wrong.push(e.message));" + usage(t)})
	b.do("Page.navigate", map[string]any{"url": local(u.plan.Admin) + "/"})
	b.until("document.getElementById('ask') && !document.getElementById('ask').hidden")
	b.do("Page.navigate", map[string]any{"url": "about:blank"})
	b.do("Page.navigate", map[string]any{"url": local(u.plan.Admin) + "/#token=" + u.token})
	b.until("document.querySelectorAll('#nodes tr').length === 3 && document.getElementById('ready').textContent === 'ready'")
	require.Equal(t, "", b.is("location.hash"), "the token does not stay in the address")
	b.until("document.querySelectorAll('#builds tr').length === 2 && document.querySelectorAll('#projects li').length === 2")
	for _, part := range []string{branch, "<script>document.title='bad'</script><img src=x onerror=alert(1)>"} {
		require.Contains(t, b.is("document.getElementById('projects').textContent"), part)
	}
	require.Contains(t, b.is("document.getElementById('builds').textContent"), branch)
	require.EqualValues(t, 0, b.is("document.querySelectorAll('main b, main img, main script').length"), "names are text")
	require.Equal(t, "page - dreamland", b.is("document.title"))
	require.Contains(t, b.is("document.getElementById('requests').textContent"), "GET site.localhost/200")
	require.NotContains(t, b.is("document.body.textContent"), "secret", "no query is shown")
	require.EqualValues(t, 3, b.is("document.querySelectorAll('#picture circle.up').length"))
	b.until("document.querySelectorAll('#picture line').length >= 2")

	b.until("document.querySelectorAll('#functions tr').length === 2")
	require.Equal(t, "orders|shop, main|1200|2|3.1 ms|410 k|1000 k|2.0 MiB of 16 MiB", b.is("[...document.querySelectorAll('#functions tr:first-child :is(strong, div, td)')].map(e => e.textContent).join('|')"), "of both nodes together")
	b.key("Tab", 9, "")
	require.Equal(t, "Skip to the nodes", b.is("document.activeElement.textContent"))
	b.is("document.querySelector('[aria-label=\"kill three\"]').focus()")
	b.key("Enter", 13, "\r")
	b.until("document.querySelector('[data-key=three] [data-part=state]').textContent.startsWith('down')")
	b.until("document.getElementById('said').textContent.includes('three is down')")
	require.Equal(t, "not all nodes are ready", b.is("document.getElementById('ready').textContent"))
	b.until("document.activeElement.getAttribute('aria-label') === 'start three'")
	b.is("document.querySelector('[aria-label=\"choose two to be cut off\"]').focus()")
	b.key(" ", 32, " ")
	b.is("document.getElementById('partition').click()")
	b.until("document.getElementById('parted').textContent.startsWith('Cut: two')")
	b.is("document.getElementById('heal').click()")
	b.until("document.getElementById('parted').textContent === ''")
	b.is("document.querySelector('[aria-label=\"start three\"]').click()")
	b.until("document.getElementById('ready').textContent === 'ready'")
	b.is("[...document.querySelectorAll('#builds button')].at(-1).click()")
	b.until("document.getElementById('log').textContent.includes('static of websites/site') && document.getElementById('log').textContent.endsWith('success')")
	b.is("document.querySelector('#projects details').open = true")
	b.until("document.querySelector('#projects [data-part=more]').textContent.includes(' live ')")
	require.Contains(t, b.is("document.querySelector('#projects [data-part=more]').textContent"), "websites/site")

	b.is("(s => { s.value = s.options[1].value; s.dispatchEvent(new Event('change')) })(document.querySelector('#projects select'))")
	b.until("document.querySelector('#projects [data-part=more]').textContent.includes('websites/site') && document.querySelector('#projects select').value.startsWith('<b>bold')")
	require.EqualValues(t, 0, b.is("[...document.querySelectorAll('select')].filter(e => !e.labels?.length).length"))
	require.EqualValues(t, 0, b.is("[...document.querySelectorAll('table')].filter(e => !e.caption || !e.querySelector('thead th[scope=col]')).length"), "each table has a name and headings")
	require.EqualValues(t, 0, b.is("(hs => hs.filter((h, i) => i && h > hs[i-1] + 1).length)([...document.querySelectorAll('main :is(h1,h2,h3)')].map(e => +e.tagName[1]))"), "no level of headings is left out")
	require.EqualValues(t, 0, b.is("[...document.querySelectorAll('button, input:not([hidden])')].filter(e => !e.textContent.trim() && !e.getAttribute('aria-label') && !e.labels?.length).length"), "each control has a name")
	for _, colours := range []string{"light", "dark"} {
		for _, size := range [][2]int{{1280, 1200}, {390, 2300}} {
			b.looks(size[0], size[1], colours)
			require.LessOrEqual(t, b.is("document.documentElement.scrollWidth"), float64(size[0]), "nothing is beside the window")
			require.EqualValues(t, 0, b.is("(e => e.scrollWidth - e.clientWidth)(document.getElementById('some-functions'))"), "nor beside its table")
		}
	}
	require.Empty(t, b.is("wrong"))
}

// usage is a script by which the page is told of functions that nobody has built here.
func usage(t *testing.T) string {
	one := taulive.FunctionUsage{Node: "two", Project: "shop", Branch: "main", Function: "functions/orders", Requests: 1000, Errors: 1, Fuel: 400_000_000, FuelMax: 1_000_000, MemoryMax: 2 << 20, MemoryLimit: 16 << 20, Seconds: 3}
	other := one
	other.Node, other.Requests, other.Fuel, other.Seconds, other.MemoryMax = "four", 200, 92_000_000, 0.72, 1<<20
	raw, err := json.Marshal(taulive.FunctionsResponse{Functions: []taulive.FunctionUsage{one, other, {Node: "two", Project: "<b>bold</b>", Branch: "next", Function: "functions/<i>x</i>", Requests: 3, MemoryMax: 70 << 10}}})
	require.NoError(t, err)
	return "(f => { window.fetch = (at, how) => at === 'v1/functions' ? Promise.resolve(new Response(" + strconv.Quote(string(raw)) + ")) : f(at, how) })(window.fetch)"
}

// TestNoPageOfElsewhere: neither another origin, nor a name of elsewhere that leads here, is answered, with the token or without; what
// is served without one has a policy.
func TestNoPageOfElsewhere(t *testing.T) {
	u := someUniverse(t)
	ask := func(method, path string, change func(r *http.Request)) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, local(u.plan.Admin)+path, strings.NewReader("{}"))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+u.token)
		change(r)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	require.Equal(t, http.StatusOK, ask("GET", "/v1/status", func(*http.Request) {}).StatusCode)
	own := "http://" + strings.TrimPrefix(local(u.plan.Admin), "http://")
	require.Equal(t, http.StatusOK, ask("GET", "/v1/status", func(r *http.Request) { r.Header.Set("Origin", own) }).StatusCode)
	require.Equal(t, http.StatusUnauthorized, ask("GET", "/v1/status", func(r *http.Request) { r.Header.Del("Authorization") }).StatusCode)
	for _, path := range []string{"/", "/page.js", "/v1/status", "/v1/openapi.json"} {
		for what, change := range map[string]func(r *http.Request){
			"host": func(r *http.Request) { r.Host = "dreamland.example.com" }, "origin": func(r *http.Request) { r.Header.Set("Origin", "http://evil.example.com") },
			"a project's page": func(r *http.Request) { r.Header.Set("Origin", fmt.Sprintf("http://site.localhost:%d", u.plan.HTTP)) },
			"no origin":        func(r *http.Request) { r.Header.Set("Origin", "null") }, "site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		} {
			resp := ask("GET", path, change)
			require.Equal(t, http.StatusForbidden, resp.StatusCode, "%s %s", path, what)
			require.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
		}
	}
	resp := ask("GET", "/", func(r *http.Request) { r.Header.Del("Authorization") })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, policy, resp.Header.Get("Content-Security-Policy"))
	require.Equal(t, "DENY", resp.Header.Get("X-Frame-Options"))
	raw, err := assets.ReadFile("assets/index.html")
	require.NoError(t, err)
	require.NotRegexp(t, `<script>|style=|\son[a-z]+=|https?://`, string(raw), "nothing inline, nothing of elsewhere")
	for _, m := range u.members {
		require.Equal(t, "", m.looks(context.Background()))
	}
}

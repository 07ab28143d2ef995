package page

import (
	"bytes"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browsers are the names of programs that can render a page without a screen.
var browsers = []string{"chromium", "chromium-browser", "google-chrome"}

// rendered is the page after its script has run, as markup. script is added to it.
func rendered(t *testing.T, page, script string) string {
	name := ""
	for _, b := range browsers {
		if path, err := exec.LookPath(b); err == nil && name == "" {
			name = path
		}
	}
	if name == "" {
		t.Skip("no browser: install chromium to see the page rendered (apt-get install chromium)")
	}
	if script != "" {
		_, own, err := ownCode()
		require.NoError(t, err)
		page = strings.Replace(page, own, own+script, 1)
		page = strings.Replace(page, hashOf(own), hashOf(own+script), 1)
	}
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(page), 0o644))
	cmd := exec.Command(name, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=4000", "--dump-dom", "file://"+file)
	var out bytes.Buffer
	cmd.Stdout = &out
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	require.NoError(t, cmd.Run())
	return out.String()
}

// textOf is what the element with an id has in it.
func textOf(t *testing.T, dom, id string) string {
	m := regexp.MustCompile(`(?s)<(\w+)[^>]* id="` + id + `"[^>]*>(.*?)</`).FindStringSubmatch(dom)
	require.NotNil(t, m, id)
	return html.UnescapeString(m[2])
}

// TestBrowser: the page runs without an error, shows what happened, and what a run
// says stays text.
func TestBrowser(t *testing.T) {
	dom := rendered(t, pageOf(t, SizeMax, shopRun(), shopRun()), `
const found = [];
const check = (what, ok) => { if (!ok) found.push(what); };
const key = k => document.dispatchEvent(new KeyboardEvent('keydown', {key: k, bubbles: true}));
check('object', app.filter.object === 'o-000017' && app.filter.markList.length === 2);
app.select(app.filter.markList[1]);
check('chain', app.run.chain(app.selected).map(i => app.run.kind[i]).join() === '0,5,0,1,3');
check('causes', $('selected').textContent.includes('client → core-1') && $('selected').textContent.includes('buy 0'));
check('source', (app.select(app.filter.markList[0]), $('selected').textContent.includes('services/shop/sell.go:12')));
check('state before', (app.moment(4500), !$('state').textContent.includes('I hold it')));
check('state after', (app.moment(6000000 / 1000), $('state').textContent.includes('I hold it')));
check('down', (app.setObject(''), app.moment(3600000), $('state').textContent.includes('lost disk')));
check('all rows', app.filter.rows.length > 5);
$('fact').value = 'lost'; $('fact').dispatchEvent(new Event('change'));
check('by fact', app.filter.rows.length === 1 && $('list-rows').children.length === 1);
$('clear').click();
$('warnings').click();
check('warnings', app.filter.rows.length === 1);
$('warnings').click();
$('messages').value = 'all'; $('messages').dispatchEvent(new Event('change'));
check('messages', app.filter.rows.filter(i => app.run.kind[i] === MESSAGE).length === 2);
app.lanes.fit(); app.lanes.draw();
const seen = app.filter.rows.find(i => app.run.kind[i] === FACT && app.run.text[app.run.b[i]] === 'lost');
check('click', (app.click(app.lanes.x(app.run.t[seen]), app.lanes.mid(app.run.lane(seen))), app.selected === seen));
key('Escape'); check('escape', app.selected === -1);
key('ArrowDown'); check('down key', app.selected >= 0);
key('+'); const span = app.lanes.to - app.lanes.from; key('0'); check('zoom', app.lanes.to - app.lanes.from > span);
for (const tab of ['story', 'expected', 'figures', 'faults', 'beside', 'timeline']) { app.tab(tab); check('tab ' + tab, !$(tab).hidden); }
check('charts', $('charts').children.length > 3);
check('expected', $('expected-table').textContent.includes('FAILED'));
$('which').value = '1'; $('which').dispatchEvent(new Event('change'));
check('beside', app.run === app.runs[1]);
document.documentElement.dataset.found = found.join('; ');
`)
	require.True(t, strings.Contains(dom, `data-found=""`), "%s: the script ran to its end and found nothing wrong", dom[:min(len(dom), 300)])
	require.Contains(t, dom, `data-ready="`)
	require.Equal(t, "failed", textOf(t, dom, "verdict"))
	require.Equal(t, "shop "+hostile, textOf(t, dom, "name"))
	require.NotContains(t, dom, "<img")
	require.NotContains(t, dom, "<title>taken")
}

// TestBigPageInABrowser: 50 nodes and 100,000 events are there soon, drawn within a
// moment, and as rows only as far as they are in view.
func TestBigPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	page := pageOf(t, SizeMax, bigRun(50, 100_000))
	dom := rendered(t, page, `
$('messages').value = 'all'; $('messages').dispatchEvent(new Event('change'));
const start = performance.now();
for (let k = 0; k < 10; k++) { app.lanes.zoom(.7, 500); app.lanes.draw(); }
document.documentElement.dataset.zoomed = String(Math.round((performance.now() - start) / 10));
document.documentElement.dataset.rows = String($('list-rows').children.length) + ' ' + String(app.filter.rows.length);
`)
	attribute := func(name string) string {
		m := regexp.MustCompile(name + `="([^"]*)"`).FindStringSubmatch(dom)
		require.NotNil(t, m, name)
		return m[1]
	}
	drawn, err := strconv.Atoi(attribute("data-drawn"))
	require.NoError(t, err)
	zoomed, err := strconv.Atoi(attribute("data-zoomed"))
	require.NoError(t, err)
	shown, all, _ := strings.Cut(attribute("data-rows"), " ")
	t.Logf("%d bytes; ready after %s ms, drawn in %d ms, zoomed in %d ms; %s rows of %s", len(page), attribute("data-ready"), drawn, zoomed, shown, all)
	require.Less(t, drawn, 2000, "milliseconds, also on a busy machine")
	require.Less(t, zoomed, 2000)
	n, err := strconv.Atoi(shown)
	require.NoError(t, err)
	require.Less(t, n, 100)
	rows, err := strconv.Atoi(all)
	require.NoError(t, err)
	require.GreaterOrEqual(t, rows, 100_000, "all messages are rows")
}

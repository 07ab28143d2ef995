package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/js"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/taucloud/tau/wasm/sdk"
)

const program = js.Mark + `let count = 0;
export default { async fetch(request, env, ctx) {
  count++;
  const url = new URL(request.url);
  console.log("asked for", url.pathname);
  switch (url.pathname) {
  case "/throws": throw new Error("broken");
  case "/loop": for (;;);
  case "/silent": await new Promise(() => {});
  case "/long": return new Response(new ReadableStream({pull(c) { c.enqueue(new Uint8Array(1 << 16)); }}));
  case "/echo": return new Response(request.body, {headers: {"content-type": "text/plain"}});
  case "/events": {
    let n = 0;
    return new Response(new ReadableStream({async pull(c) {
      await new Promise((f) => setTimeout(f, 5));
      c.enqueue("data: " + ++n + "\n\n");
      if (n === 3) c.close();
    }}), {headers: {"content-type": "text/event-stream"}});
  }
  case "/many": return new Response("", {headers: Array.from({length: 300}, (_, i) => ["x-" + i, "v"])});
  case "/head": return new Response("", {headers: {"x-long": "v".repeat(40000)}});
  case "/status": { // none that Response takes, but what it keeps can be changed
    const response = new Response("");
    response[Object.getOwnPropertySymbols(response)[0]].status = Number(url.search.slice(1));
    return response;
  }
  case "/zeros": {
    const response = new Response(""), own = Object.getOwnPropertySymbols(response)[0];
    response[own].headers = {[own]: {"x-zeros": "\0".repeat(1 << 20)}};
    return response;
  }
  case "/redirect": return Response.redirect("https://a.example/b");
  case "/nothing": return new Response(null, {status: 204, headers: {"X-Tau-Own": "mine", "Status": "201", "Set-Cookie": "a=b", "Content-Length": "5"}});
  }
  return Response.json({count, method: request.method, url: request.url, id: ctx.params.id, greeting: env.GREETING, agent: request.headers.get("user-agent"), body: await request.text()}, {status: 201, headers: {"X-Mine": "yes"}});
}, own() { return new Response("own") } }
export const named = () => new Response("named");`

// TestScript: a bundle of JavaScript answers, and what is wrong with it is in its log alone.
func TestScript(t *testing.T) {
	s := newStage(t, Options{AnswerMax: 1 << 20})
	s.module = []byte(program)
	f := function("fetch")
	for range 2 {
		q := httptest.NewRequest("POST", "http://example.com:81/some/p%20ath?some=query", strings.NewReader("the body"))
		q.Header.Set("X-Forwarded-Proto", "https")
		q.Header.Set("User-Agent", "test")
		w := s.ask(f, q)
		require.Equal(t, 201, w.Code, w.Body)
		require.JSONEq(t, `{"count": 1, "method": "POST", "url": "https://example.com:81/some/p%20ath?some=query", "id": "7", "greeting": "hello", "agent": "test", "body": "the body"}`, w.Body.String())
		require.Equal(t, http.Header{"Content-Type": {"application/json"}, "X-Mine": {"yes"}, "Content-Length": {w.Header().Get("Content-Length")}}, w.Header())
		require.Equal(t, "asked for /some/p%20ath\n", s.last.Log)
		require.Equal(t, Answered, s.last.Ended)
	}
	require.Equal(t, 1, s.reads)
	w := s.get(f, "/nothing")
	require.Equal(t, http.Header{"Set-Cookie": {"a=b"}}, w.Header())
	require.Equal(t, "https://a.example/b", s.get(f, "/redirect").Header().Get("Location"))
	require.Equal(t, 302, s.get(f, "/redirect").Code)
	for path, want := range map[string]struct {
		code       int
		ended, log string
	}{
		"/throws": {500, Trapped, "Uncaught Error: broken\n    at fetch ("},
		"/silent": {500, Trapped, "never settled"},
		"/many":   {500, Malformed, "more than 256 fields"},
		"/head":   {500, Malformed, "more than 32768 bytes"},
		"/zeros":  {500, Malformed, "a field \"\""},

		"/status?101": {500, Malformed, "the status 101"}, "/status?199": {500, Malformed, "the status 199"}, "/status?0": {500, Malformed, "the status 0"},
		"/status?600": {500, Malformed, "the status 600"}, "/status?99999": {500, Malformed, "the status 99999"},
	} {
		w := s.get(f, path)
		require.Equal(t, want.code, w.Code, path)
		require.Equal(t, want.ended, s.last.Ended, path)
		require.Contains(t, s.last.Log, want.log, path)
		require.NotContains(t, w.Body.String(), "broken")
	}
	for host, url := range map[string]string{"a.example:99999": "a.example", "a.example:8080": "a.example:8080", "a.example:": "a.example", "a.example:b": "a.example", "[::1]": "[::1]", "[::1]:99999": "[::1]"} {
		q := httptest.NewRequest("GET", "/port", nil)
		q.Host = host
		require.Contains(t, s.ask(f, q).Body.String(), `"url":"http://`+url+`/port"`, host)
	}
	w = s.get(f, "/events")
	require.Equal(t, "data: 1\n\ndata: 2\n\ndata: 3\n\n", w.Body.String())
	require.True(t, w.Flushed, "each event is sent when it was written")
	long := strings.Repeat("0123456789", 30_000)
	require.Equal(t, long, s.ask(f, httptest.NewRequest("POST", "/echo", strings.NewReader(long))).Body.String())
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { s.get(f, "/long") })
	require.Equal(t, TooLong, s.last.Ended)
	small := f
	small.MemoryMax = 2 << 20
	require.Equal(t, 500, s.get(small, "/").Code)
	require.Contains(t, s.last.Log, "too small for JavaScript")
	for call, want := range map[string]string{"own": "own", "named": "named", "unknown": "GET"} {
		named := f
		named.Call = call
		require.Contains(t, s.get(named, "/").Body.String(), want)
	}
}

// TestScriptsFetch: what the function's list allows can be asked, and nothing else.
func TestScriptsFetch(t *testing.T) {
	s := newStage(t, Options{})
	allow, err := outbound.Parse([]string{"api.example.com"})
	require.NoError(t, err)
	s.module = []byte(js.Mark + `export default { async fetch() {
  const ask = async (url, init) => { try { const r = await fetch(url, init); return [r.status, r.ok, r.url, r.headers.get("x-theirs"), await r.text()] } catch (e) { return String(e) } };
  return Response.json([await ask("https://api.example.com/a?b", {method: "POST", body: "sent", headers: {"x-own": "mine"}}), await ask("https://evil.example.net/"), await ask("http://127.0.0.1/")]);
} }`)
	w := httptest.NewRecorder()
	s.Serve(w, httptest.NewRequest("GET", "http://example.com/", nil), function("fetch"), Exchange{ID: "r1", Module: func(context.Context) ([]byte, error) { return s.module, nil }, Ran: func(o Outcome) { s.last = o },
		SDK: sdk.Config{Outside: far{}, Allow: allow}})
	require.JSONEq(t, `[[201, true, "https://api.example.com/a?b", "a, b", "POST https://api.example.com/a?b sent [mine]"], "TypeError: fetch: evil.example.net at port 443 is not in the function's list of outbound hosts", "TypeError: fetch: 127.0.0.1 at port 80 is not in the function's list of outbound hosts"]`,
		w.Body.String(), s.last.Log)
	require.Contains(t, s.last.Log, "[tau] outbound: evil.example.net")
}

// TestScriptTakesItsTime: fuel is time where there is no other.
func TestScriptTakesItsTime(t *testing.T) {
	s := newStage(t, Options{Fuelled: true, FuelPerSecond: 20_000_000})
	s.module = []byte(program)
	require.Equal(t, 504, s.get(function("fetch"), "/loop").Code)
	require.Equal(t, 201, s.get(function("fetch"), "/").Code)
}

// TestAStartIsBounded: a bundle that never comes to its end while it is loaded is stopped by its fuel, long before its time is up.
func TestAStartIsBounded(t *testing.T) {
	s := newStage(t, Options{})
	require.LessOrEqual(t, s.starting(time.Hour).Fuel, uint64(startFuel))
	s = newStage(t, Options{FuelPerSecond: 2_000_000})
	s.module = []byte(js.Mark + "for (;;) ;\nexport default { fetch() { return new Response() } }")
	w := s.get(Function{Module: "loops", Call: "fetch", Timeout: time.Second, MemoryMax: 64 << 20}, "http://example.com/")
	require.Equal(t, 500, w.Code)
	require.Contains(t, s.last.Log, "has used up its fuel")
}

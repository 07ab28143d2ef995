package js

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
)

// TestURLsArePaidFor: what takes the host long costs the guest much, and is refused before it takes too long.
func TestURLsArePaidFor(t *testing.T) {
	s := newStage(t)
	f, err := s.load(`
const made = [];
for (let i = 0; i < 5000; i++) made.push(String.fromCharCode(0x4e00 + i));
const foreign = made.join(""), can = (...url) => String(URL.canParse(...url));
const parts = "a/".repeat(30000);
export default { async fetch(request) {
  switch (await request.text()) {
  case "names": return new Response([
    can("http://" + foreign), can("HTTP:\t/\n\\" + foreign), can("http:" + foreign), can("//" + foreign, "http://a.b"), can("x", "http://" + foreign), can("ssh://" + "@".repeat(2000) + "a"),
    can("http://" + "@".repeat(60000) + "a"), can("http://" + foreign.slice(0, 300) + ".b/"), can("/" + "x".repeat(3000), "http://a.b"), can("http://a.b/?" + "@".repeat(3000)), can("data:" + "x".repeat(3000)),
  ].join());
  case "set": {
    const url = new URL("http://a.b/");
    url.host = foreign; url.hostname = foreign; url.username = "@".repeat(3000); url.password = "@".repeat(3000);
    return new Response(url.href);
  }
  case "path": return new Response(can("http://a.b/" + parts));
  case "path of the base": return new Response(can("x", "http://a.b/" + parts));
  case "path that is set": { const url = new URL("http://a.b/"); url.pathname = parts; return new Response(String(url.href.length)); }
  case "short": return new Response(can("http://a.example/some/path?and=more#there"));
  case "again": for (;;) URL.canParse("http://a.b/" + parts);
  }
} }`)
	require.NoError(t, err)
	ask := func(what string) (string, error) {
		x := &exchange{Method: "POST", Body: strings.NewReader(what)}
		err := s.ask(f, x)
		return x.answer.String(), err
	}
	for what, answer := range map[string]string{"names": "false,false,false,false,false,false,false,true,true,true,true", "set": "http://a.b/"} {
		got, err := ask(what)
		require.NoError(t, err, s.log.String())
		require.Equal(t, answer, got)
	}
	for what, length := range map[string]uint64{"path": 60_000, "path of the base": 60_000, "path that is set": 60_000} {
		_, err := ask(what)
		require.ErrorIs(t, err, engine.ErrFuel, "%s: the square of %d is more than it may do", what, length)
	}
	_, err = ask("again")
	require.ErrorIs(t, err, engine.ErrFuel)
	got, err := ask("short")
	require.NoError(t, err)
	require.Equal(t, "true", got)
	require.Less(t, s.usage.Fuel, uint64(300_000))
}

// TestLongLogs: of what is logged at once, no more is looked at than is kept.
func TestLongLogs(t *testing.T) {
	s := newStage(t)
	f, err := s.load(`export default { fetch(request) {
  if (request.method === "GET") console.log("at bundle.js:1:1 ".repeat(1 << 16));
  else throw new Error("at bundle.js:1:1 ".repeat(1 << 16));
  return new Response("done");
} }`)
	require.NoError(t, err)
	for _, method := range []string{"GET", "POST"} {
		_ = s.ask(f, &exchange{Method: method})
		require.LessOrEqual(t, s.log.Len(), textMax+1, method)
		require.Greater(t, s.log.Len(), textMax/2, method)
	}
}

// TestOneAnswer: a bundle that has got hold of the runtime's own functions, by way of the places in a stack, answers once all the same.
func TestOneAnswer(t *testing.T) {
	s := newStage(t)
	f, err := s.load(`
let deep = 0;
export default { fetch(request) {
  if (deep++ > 0) return new Response("inner");
  Error.prepareStackTrace = (e, places) => places;
  const asked = new Error().stack.map((place) => place.getFunction()).find((f) => f?.name === "asked");
  asked("GET", "http://a.b/", "", "", false);
  return new Response("outer");
} }`)
	require.NoError(t, err)
	x := &exchange{}
	require.ErrorIs(t, s.ask(f, x), errForeign)
	require.Equal(t, "inner", x.answer.String())
}

// TestRejectedPromisesAreBounded: of the promises that nobody asks for, some are told of.
func TestRejectedPromisesAreBounded(t *testing.T) {
	s := newStage(t)
	f, err := s.load(`export default { fetch(request) {
  for (let i = 0; i < 100; i++) Promise.reject(i);
  return new Response(request.headers.get("cookie"));
} }`)
	require.NoError(t, err)
	x := &exchange{Header: http.Header{"Cookie": {"a=b", "c=d"}}}
	require.NoError(t, s.ask(f, x))
	require.Equal(t, "a=b; c=d", x.answer.String(), "HTTP/2 takes cookies apart")
	require.Equal(t, rejectedMax, strings.Count(s.log.String(), "Uncaught (in promise)"))
}

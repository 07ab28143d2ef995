package js

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
)

// nosy leaves all that it can for the next request, and looks for what an earlier one has left.
const nosy = `
let count = 0;
const kept = [];
const frozen = Math.random();
export default { async fetch(request) {
  const found = [];
  const look = (what, is) => { if (is) found.push(what) };
  look("variable", count++);
  look("list", kept.push(request));
  look("global", globalThis.left);
  look("prototype", [].left || Response.prototype.left);
  look("json", JSON.parse('"x"') !== "x");
  look("promise", Promise.prototype.then.name !== "then");
  look("random", Math.random.name !== "random");
  look("date", new Date(0).getTime() !== 0);
  look("timer", globalThis.fired);
  look("symbol", Object.getOwnPropertySymbols(globalThis).some((s) => s.description === "left"));
  look("error", Error.left);
  look("cache", await new Response("a").text() !== "a");
  found.splice(found.indexOf("list"), kept.length === 1 ? 1 : 0);
  globalThis.left = "secret"; Array.prototype.left = Response.prototype.left = 1; globalThis[Symbol("left")] = 1; Error.left = 1;
  JSON.parse = () => "patched"; Promise.prototype.then = function left() {}; Math.random = () => 4; Date = class { getTime() { return 7 } };
  Response.prototype.text = async () => "patched";
  setTimeout(() => { globalThis.fired = true }, 0); setInterval(() => { globalThis.fired = true; kept.push(1) }, 1000);
  new Promise(() => {}); Promise.resolve().then(() => { globalThis.fired = true }); queueMicrotask(() => kept.push(2));
  for (let i = 0; i < 2000; i++) kept.push("x".repeat(1000) + i);
  return new Response(found.join());
} }`

// TestNoRequestSeesAnother: whatever one leaves - in variables, globals, prototypes, timers, promises, memory - the next finds nothing of it.
func TestNoRequestSeesAnother(t *testing.T) {
	s := newStage(t)
	f, err := s.load(nosy)
	require.NoError(t, err)
	fuel := uint64(0)
	for n := range 5 {
		x := &exchange{}
		require.NoError(t, s.ask(f, x), s.log.String())
		require.Equal(t, "", x.answer.String(), n)
		if n > 0 {
			require.Equal(t, fuel, s.usage.Fuel, "equal requests do equal work")
		}
		fuel = s.usage.Fuel
	}
	ok, why := f.Resets()
	require.True(t, ok, why)
}

// TestRandomNumbersAreNew: each request draws others, although all begin with the same memory.
func TestRandomNumbersAreNew(t *testing.T) {
	s := newStage(t)
	f, err := s.load(`const before = Array.from({length: 7}, Math.random);
export default { fetch() { return new Response([Math.random(), Math.random(), crypto.randomUUID(), crypto.getRandomValues(new BigUint64Array(1))].join(" ")) } }`)
	require.NoError(t, err)
	seen := map[string]bool{}
	for range 20 {
		x := &exchange{}
		require.NoError(t, s.ask(f, x))
		numbers := strings.Fields(x.answer.String())
		require.Len(t, numbers, 4)
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, numbers[2])
		for _, number := range numbers {
			require.False(t, seen[number], number)
			seen[number] = true
		}
	}
	for _, what := range []string{"crypto.randomUUID()", "crypto.getRandomValues(new Uint8Array(8))", "setTimeout(() => 1)"} {
		_, err = s.load("const secret = " + what + "; export default { fetch() { return new Response(secret) } }")
		require.ErrorContains(t, err, "can only be used while a request is answered", what)
	}
}

// TestHarmEnds: what does harm is stopped, and the next request is answered.
func TestHarmEnds(t *testing.T) {
	s := newStage(t)
	f, err := s.load(`
const deep = (n) => n ? [deep(n - 1)] : [];
export default { async fetch(request) {
  switch (await request.text()) {
  case "loop": for (;;);
  case "microtasks": { const again = () => Promise.resolve().then(again); again(); await new Promise(() => {}); }
  case "timers": { const again = () => setTimeout(again); again(); await new Promise(() => {}); }
  case "pattern": /^(a+)+$/.test("a".repeat(40) + "b"); break;
  case "recursion": { const f = () => f() + f(); f(); }
  case "text": { const o = {toString() { return String(o) }}; String(o); }
  case "logs": for (;;) console.log("x".repeat(10000));
  case "memory": { const all = []; for (;;) all.push(new Uint8Array(1 << 16)); }
  case "log": console.log("x".repeat(1 << 20) + " bundle.js:1:1"); break;
  case "string": { let s = "x"; for (;;) s += s; }
  case "answer": return new Response(new Uint8Array(4 << 20).fill(65));
  case "generated": new Function("for (;;);")();
  case "json": JSON.parse("[".repeat(1 << 20)); break;
  case "proxy": { const p = new Proxy({}, {get(_, k, r) { return r[k] }}); p.x; }
  case "patched": Promise.prototype.then = Promise.resolve = Array.prototype.push = Object.create = undefined; throw new Error("x");
  case "patience": await new Promise((f) => setTimeout(f, 3e6)); break;
  case "silence": await new Promise(() => {});
  case "stack": Error.prepareStackTrace = () => { for (;;); }; throw new Error("x");
  case "getter": throw {get message() { for (;;); }};
  case "thrown": throw new Proxy({}, {get() { throw 1 }, getPrototypeOf() { throw 2 }});
  }
  return new Response("done");
} }`)
	require.NoError(t, err)
	for harm, want := range map[string]any{
		"loop": engine.ErrFuel, "microtasks": engine.ErrFuel, "timers": engine.ErrFuel, "pattern": engine.ErrFuel, "recursion": ErrThrown, "text": engine.ErrRecursion,
		"logs": engine.ErrFuel, "memory": ErrThrown, "string": ErrThrown, "answer": "AAA", "generated": engine.ErrFuel, "json": engine.ErrRecursion, "proxy": ErrThrown,
		"patched": ErrThrown, "patience": "done", "silence": ErrSilent, "stack": engine.ErrFuel, "getter": engine.ErrFuel, "thrown": ErrThrown, "log": "done", "": "done",
	} {
		x := &exchange{Method: "POST", Body: strings.NewReader(harm)}
		err := s.ask(f, x)
		switch want := want.(type) {
		case string:
			assert.NoError(t, err, harm)
			assert.Contains(t, x.answer.String()[:min(100, x.answer.Len())], want, harm)
		case error:
			assert.ErrorIs(t, err, want, harm)
		}
		assert.LessOrEqual(t, s.usage.MemoryPeak, uint64(16<<20), harm)
		assert.LessOrEqual(t, s.log.Len(), 1<<20, harm)
		x = &exchange{}
		assert.NoError(t, s.ask(f, x), harm)
		assert.Equal(t, "done", x.answer.String(), harm)
	}
}

// TestErrorsAreTold: what is thrown is in the log, with the places of the sources.
func TestErrorsAreTold(t *testing.T) {
	s := newStage(t)
	for code, want := range map[string]string{
		`throw new TypeError("none")`: "Uncaught TypeError: none\n    at fetch (bundle.js:4:11)",
		`throw "text"`:                "Uncaught text",
		`throw undefined`:             "Uncaught undefined",
		`null.x`:                      "Uncaught TypeError: cannot read property 'x' of null\n    at fetch (bundle.js:4:1)",
		`throw new Error("outer", {cause: new RangeError("inner")})`: "Caused by RangeError: inner",
		`return "text"`:                        `Uncaught TypeError: the function has returned "text": expected a Response`,
		`return`:                               "Uncaught TypeError: the function has returned undefined: expected a Response",
		`await null; throw new Error("later")`: "Uncaught Error: later\n    at fetch (bundle.js:4:23)",
		`const r = new Response("x"); await r.text(); return r`:                           "Uncaught TypeError: the body of the response was read already",
		`return new Response(new ReadableStream({pull() { throw new Error("broken") }}))`: "Uncaught Error: broken",
	} {
		f, err := s.load("export default { async fetch(request, env, ctx) {\n\n" + code + "\n} }")
		require.NoError(t, err)
		require.ErrorIs(t, s.ask(f, &exchange{}), ErrThrown)
		assert.Contains(t, s.log.String(), want, code)
		assert.NotContains(t, s.log.String(), runtimeFile)
	}
	for code, want := range map[string]string{
		`Promise.reject(new Error("forgotten"))`:                                                                      "Uncaught (in promise) Error: forgotten",
		`ctx.waitUntil(Promise.reject(new Error("after")))`:                                                           "Uncaught (in waitUntil) Error: after",
		`setTimeout(() => { throw new Error("timer") }); await new Promise((f) => setTimeout(f, 5))`:                  "Uncaught Error: timer",
		`ctx.waitUntil(new Promise((f) => setTimeout(f, 10)).then(() => console.log("cleared up")))`:                  "cleared up",
		`const p = Promise.reject(1); p.catch(() => 1)`:                                                               "",
		`console.log("a", 1, {b: [true, null], c: "d"}, [1, "x"], new Map([[1, 2]]), undefined, Symbol("s"), 1n, -0)`: `a 1 { b: [true, null], c: "d" } [1, "x"] Map { 1 => 2 } undefined Symbol(s) 1n -0`,
		`console.error("%s is %d", "x", 4, "more")`:                                                                   "error: x is 4 more",
		`const o = {}; o.o = o; console.log(o)`:                                                                       "{ o: [circular] }",
		`console.log(new Error("shown"))`:                                                                             "Error: shown\n    at fetch (bundle.js:4:17)",
	} {
		f, err := s.load("export default { async fetch(request, env, ctx) {\n\n" + code + "\nreturn new Response() } }")
		require.NoError(t, err)
		require.NoError(t, s.ask(f, &exchange{}))
		if want == "" {
			assert.Empty(t, s.log.String(), code)
		}
		assert.Contains(t, s.log.String(), want, code)
	}
}

// TestBundlesThatDoNotLoad: the error says why.
func TestBundlesThatDoNotLoad(t *testing.T) {
	s := newStage(t)
	for code, want := range map[string]string{
		`export default {`: "SyntaxError",
		`throw new Error("at once"); export default {}`:  "Error: at once\n    at <anonymous> (bundle.js:2:",
		`export default {}`:                              "the default export has no function fetch",
		`export const a = 1`:                             "the module has no default export",
		`await new Promise(() => {}); export default {}`: "awaits what does not come",
		`for (;;);`: engine.ErrFuel.Error(),
		`const a = []; for (;;) a.push(new Uint8Array(1 << 20))`: "out of memory",
		`import x from "./x.js"; export default {}`:              "could not",
	} {
		_, err := s.load(code)
		assert.ErrorContains(t, err, want, code)
	}
	f, err := s.load(`console.log("loading"); const later = await Promise.resolve(5); export default { fetch(request, env) { return Response.json([later, env]) } }`, "A=b=c", "B=")
	require.NoError(t, err)
	require.Equal(t, "loading\n", s.log.String())
	x := &exchange{}
	require.NoError(t, s.ask(f, x))
	require.JSONEq(t, `[5, {"A": "b=c", "B": ""}]`, x.answer.String())
	require.Equal(t, [][2]string{{"content-type", "application/json"}}, x.fields)
}

// TestFunctionsShareTheInterpreter: a second function costs its own memory alone, and no compilation.
func TestFunctionsShareTheInterpreter(t *testing.T) {
	s := newStage(t)
	module, err := Module()
	require.NoError(t, err)
	require.NoError(t, s.Keep(module))
	for n := range 3 {
		f, err := s.Load(context.Background(), module, Setup(engine.Setup{Limits: limits(), MemoryMax: uint64(8+n) << 20}, fmt.Appendf([]byte(Mark), "export default { fetch() { return new Response('%d') } }", n), "fetch"))
		require.NoError(t, err)
		defer f.Close()
		x := &exchange{}
		require.NoError(t, s.ask(f, x))
		require.Equal(t, fmt.Sprint(n), x.answer.String())
	}
}

// TestHeadsOfAnswers: what the host is given of an answer's headers, whichever way they were said.
func TestHeadsOfAnswers(t *testing.T) {
	s := newStage(t)
	text := [2]string{"content-type", "text/plain;charset=UTF-8"}
	for code, want := range map[string][][2]string{
		`new Response("x")`:                                                                                 {text},
		`new Response("x", {headers: {}})`:                                                                  {text},
		`new Response("x", {headers: {A: "b", "a": "c"}})`:                                                  {{"a", "b"}, {"a", "c"}, text},
		`new Response("x", {headers: {"Content-Type": "d"}})`:                                               {{"content-type", "d"}},
		`new Response(null, {headers: {e: ""}})`:                                                            {{"e", ""}},
		`new Response("x", {headers: [["A", " b "]]})`:                                                      {{"a", "b"}, text},
		`new Response("x", {headers: request.headers})`:                                                     {{"x-word", "asked"}, text},
		`new Response("x", new Response("y", {headers: {a: "b"}}))`:                                         {{"a", "b"}, text},
		`(() => { const r = new Response("x", {headers: {a: "b"}}); r.headers.set("c", "d"); return r })()`: {{"a", "b"}, text, {"c", "d"}},
		`Response.json(1, {headers: {a: "b"}})`:                                                             {{"a", "b"}, {"content-type", "application/json"}},
		`Response.json(1)`:                                                                                  {{"content-type", "application/json"}},
	} {
		f, err := s.load("export default { fetch(request) { return " + code + " } }")
		require.NoError(t, err)
		x := &exchange{Header: http.Header{"X-Word": {"asked"}}}
		require.NoError(t, s.ask(f, x), code)
		require.Equal(t, want, x.fields, code)
	}
}

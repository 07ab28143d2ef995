package js

import (
	"context"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
)

// cacheDir is of all tests: the interpreter is compiled once.
var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "js")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

type lockedRand struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (l *lockedRand) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// stage is an engine, and what its last call has logged.
type stage struct {
	*testing.T
	*engine.Engine
	log   strings.Builder
	usage engine.Usage
}

func newStage(t *testing.T) *stage {
	e, err := engine.New(engine.Options{Hosts: Hosts(), CacheDir: cacheDir, Rand: &lockedRand{r: rand.NewChaCha8([32]byte{1})},
		Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return &stage{T: t, Engine: e}
}

func limits() engine.Limits {
	l := engine.DefaultLimits()
	l.Fuel, l.Wall = 200_000_000, 0
	return l
}

func (s *stage) load(code string, env ...string) (*engine.Function, error) {
	module, err := Module()
	require.NoError(s, err)
	s.log.Reset()
	f, err := s.Load(context.Background(), module, Setup(engine.Setup{Limits: limits(), Env: env, Log: &s.log, MemoryMax: 16 << 20}, []byte(Mark+code), "fetch"))
	if err == nil {
		s.Cleanup(f.Close)
	}
	return f, err
}

// exchange keeps the answer.
type exchange struct {
	Method, URL string
	Header      http.Header
	Body        io.Reader

	status int
	fields [][2]string
	answer strings.Builder
}

func (x *exchange) request() *Exchange {
	return &Exchange{Method: x.Method, URL: x.URL, Header: x.Header, Body: x.Body,
		Head: func(status int, fields [][2]string) error {
			x.status, x.fields = status, fields
			return nil
		},
		Write: func(part []byte) { x.answer.Write(part) },
	}
}

// ask has a function answer a request.
func (s *stage) ask(f *engine.Function, x *exchange) error {
	if x.Method == "" {
		x.Method = "GET"
	}
	if x.URL == "" {
		x.URL = "http://example.com/some/path?name=value"
	}
	s.log.Reset()
	q := x.request()
	_, usage, err := f.Call(context.Background(), &engine.Request{Drive: q.Serve, Value: q, Stderr: &s.log})
	s.usage = usage
	return err
}

// run answers one request with the body of a function.
func (s *stage) run(body string) string {
	s.Helper()
	f, err := s.load("export default { async fetch(request, env, ctx) {\n" + body + "\n} }")
	require.NoError(s, err)
	x := &exchange{Header: http.Header{"X-Word": {"first", "second"}}}
	require.NoError(s, s.ask(f, x), s.log.String())
	return x.answer.String()
}

// TestMapsOfOthers: a source map that is damaged, or made to do harm, leaves places as they are.
func TestMapsOfOthers(t *testing.T) {
	const said = "at f (bundle.js:1:1) and (bundle.js:9999999999999999999:3)"
	for _, m := range []string{"", "{", `{"sources": ["a"], "mappings": "!!!"}`, `{"sources": [], "mappings": "AAAA"}`, `{"sources": ["a"], "mappings": "//////////////A,AD"}`,
		`{"sources": ["a"], "mappings": "` + strings.Repeat("A,", 3_000_000) + `"}`, `{"sources": ["a"], "mappings": "` + strings.Repeat(";", 3_000_000) + `"}`} {
		s := &sources{bundle: []byte(Mark + "code" + mapMark + base64.StdEncoding.EncodeToString([]byte(m)))}
		require.Equal(t, said, s.in(said), m[:min(len(m), 60)])
		require.Equal(t, Mark+"code\n", string(code(s.bundle)))
	}
	s := &sources{bundle: []byte(Mark + mapMark + base64.StdEncoding.EncodeToString([]byte(`{"sources": ["a.ts"], "mappings": "AAEA"}`)))}
	require.Equal(t, "at f (a.ts:3:1) and (bundle.js:2:1)", s.in("at f (bundle.js:1:1) and (bundle.js:2:1)"))
}

// TestWhatThereIs: what a Workers' program expects beside the language.
func TestWhatThereIs(t *testing.T) {
	s := newStage(t)
	for code, want := range map[string]string{
		`return new Response("hello")`: "hello",
		// Requests.
		`return new Response([request.method, request.url, request.headers.get("X-WORD"), request.headers.has("none"), await request.text(), request.bodyUsed, request.body].join())`:                                                                    "GET,http://example.com/some/path?name=value,first, second,false,,false,",
		`const r = new Request("http://a.example/x", {method: "post", body: "text", headers: {a: "b"}}); const c = r.clone(); return new Response([r.method, await r.text(), await c.text(), r.headers.get("content-type"), c.headers.get("a")].join())`: "POST,text,text,text/plain;charset=UTF-8,b",
		`const r = new Request("http://a.example", {method: "PUT", body: '{"a": [1]}'}); return Response.json((await r.json()).a)`:                                                                                                                       "[1]",
		`const r = new Request("http://a.example", {method: "PUT", body: new Uint8Array([104, 105])}); return new Response(new Uint8Array(await r.arrayBuffer()))`:                                                                                       "hi",
		`const r = new Request(request, {headers: {b: "c"}}); return new Response(r.url + [...r.headers])`:                                                                                                                                               "http://example.com/some/path?name=valueb,c",
		`return new Response(new Response("streamed").body)`: "streamed",
		`const s = new ReadableStream({start(c) { c.enqueue(new TextEncoder().encode("a")) }, async pull(c) { await null; c.enqueue(new TextEncoder().encode("b")); c.close() }}); return new Response(s)`: "ab",
		`let text = ""; for await (const part of new Response("in parts").body) text += new TextDecoder().decode(part); return new Response(text)`:                                                         "in parts",
		`const r = new Response("once"); await r.text(); try { await r.text() } catch (e) { return new Response(e.name) }`:                                                                                 "TypeError",
		`try { await fetch("http://example.com") } catch (e) { return new Response(String(e)) }`:                                                                                                           "TypeError: fetch: there is no way out here",
		`return new Response(request.body)`: "",
		// Responses.
		`const r = Response.json({a: 1}); return new Response([r.status, r.ok, r.headers.get("content-type"), await r.text()].join())`:                    `200,true,application/json,{"a":1}`,
		`const r = Response.redirect("http://a.example/b", 301); return new Response([r.status, r.headers.get("location")].join())`:                       "301,http://a.example/b",
		`const n = []; for (const s of [100, 600, "x"]) try { new Response("", {status: s}) } catch (e) { n.push(e.name) } return new Response(n.join())`: "RangeError,RangeError,RangeError",
		`try { new Response("x", {status: 204}) } catch (e) { return new Response(e.name) }`:                                                              "TypeError",
		`return new Response(new URLSearchParams({a: "b c"}))`:                                                                                            "a=b+c",
		// Headers.
		`const h = new Headers([["B", " x "], ["a", 1]]); h.append("b", "y"); h.append("Set-Cookie", "c=1"); h.append("set-cookie", "d=2"); return Response.json([[...h], h.getSetCookie(), h.get("set-cookie")])`: `[[["a","1"],["b","x, y"],["set-cookie","c=1"],["set-cookie","d=2"]],["c=1","d=2"],"c=1, d=2"]`,
		`const n = []; for (const h of [["a b", ""], ["a", "x\r\ny"], ["", ""], ["ä", "b"]]) try { new Headers([h]) } catch (e) { n.push(e.name) } return new Response(n.join())`:                                  "TypeError,TypeError,TypeError,TypeError",
		`const h = new Headers({a: "1", b: "2"}); h.set("A", "3"); h.delete("b"); return Response.json([...new Headers(h)])`:                                                                                       `[["a","3"]]`,
		// Headers of the request, which the host keeps until one asks for more than single ones.
		`const h = request.headers; return Response.json([h.get("x-word"), h.get("X-Word"), h.get("none"), h.has("x-WORD"), h.has("none"), [...h], h.get("none"), h.has("x-word")])`:          `["first, second","first, second",null,true,false,[["x-word","first, second"]],null,true]`,
		`const h = request.headers; h.set("X-Word", "mine"); h.append("b", "c"); return Response.json([h.get("x-word"), request.headers.get("b"), [...new Headers(h)]])`:                      `["mine","c",[["b","c"],["x-word","mine"]]]`,
		`const n = []; for (const w of ["a b", "", "ä", "x\0word"]) for (const m of ["get", "has"]) try { request.headers[m](w) } catch (e) { n.push(e.name) } return new Response(n.join())`: strings.Repeat("TypeError,", 7) + "TypeError",
		`const h = request.headers; h.delete("x-word"); return Response.json([h.has("x-word"), h === request.headers, request.headers.get("x-word"), [...request.clone().headers]])`:          `[false,true,null,[]]`,
		`return Response.json([...new Request(request).headers, request.headers.getAll("x-word"), Object.keys(Object.fromEntries(request.headers))])`:                                         `[["x-word","first, second"],["first, second"],["x-word"]]`,
		`const h = request.headers; let n = 0; h.forEach((value, name, all) => { n += value === "first, second" && name === "x-word" && all === h }); return new Response(n)`:                 "1",
		// Headers that an object says.
		`return Response.json([...new Response("x", {headers: {"X-B": 1, a: ["c", "d"], "x-b": null}}).headers])`:                                                                                                                                                               `[["a","c,d"],["content-type","text/plain;charset=UTF-8"],["x-b","1, null"]]`,
		`return Response.json([...new Response("x", {headers: {"Content-TYPE": "b/c", d: " spaced "}}).headers])`:                                                                                                                                                               `[["content-type","b/c"],["d","spaced"]]`,
		`const r = new Response(null, {headers: {a: "b"}}); r.headers.append("A", "c"); return Response.json([[...r.headers], [...r.clone().headers], [...new Response("", {headers: {}}).headers]])`:                                                                           `[[["a","b, c"]],[["a","b, c"]],[["content-type","text/plain;charset=UTF-8"]]]`,
		`const n = []; for (const h of [{"a b": ""}, {a: "x\r\ny"}, {"": ""}, {"ä": "b"}, {"a\0b": "c"}, {"a\0b\0c": "d"}, {a: "b\0c\0d"}, {a: "\0"}, "text", 1]) try { new Response("", {headers: h}); n.push(h) } catch (e) { n.push(e.name) } return new Response(n.join())`: strings.Repeat("TypeError,", 9) + "TypeError",
		`const o = {get a() { return "got" }, b: {toString: () => "told", valueOf: () => "valued"}}; return Response.json([...new Response(null, {headers: Object.assign(Object.create({c: "inherited"}), o)}).headers])`:                                                       `[["a","got"],["b","told"]]`,
		`const all = {}; for (let i = 0; i < 500; i++) all["x-" + i] = "v".repeat(300); const r = new Response(null, {headers: all}); return Response.json([r.headers.get("x-499").length, [...r.headers].length])`:                                                             "[300,500]",
		`return Response.json([[...Response.json(1, {headers: {a: "b"}}).headers], [...Response.json(1, {headers: [["Content-Type", "c/d"]]}).headers], Response.json(1, {headers: {"Content-Type": "e/f"}, status: 201}).headers.get("content-type")])`:                        `[[["a","b"],["content-type","application/json"]],[["content-type","c/d"]],"e/f"]`,
		`try { Response.json(1, {status: 204}) } catch (e) { return new Response(e.name) }`:                                                                                                                                                                                     "TypeError",
		// URLs.
		`const u = new URL("http://user:pw@a.example:81/p?q#r"); return new Response([u.pathname, u.search, u.hash, u.host, u.port, u.pathname, u.password].join())`:                                                                                                                           "/p,?q,#r,a.example:81,81,/p,pw",
		`const u = new URL("http://a.example/p"); u.pathname = "/é"; const first = u.href; u.search = "x"; return Response.json([first, u.href, u.pathname, u.search, new URL("http://a.example/" + "é".repeat(9000)).hash, new URL("http://a.example/" + "é".repeat(9000)).pathname.length])`: `["http://a.example/%C3%A9","http://a.example/%C3%A9?x","/%C3%A9","?x","",54001]`,
		`const u = new URL("../c?d=e#f", "HTTPS://user:pw@Example.COM:443/a/b/x"); return new Response([u.href, u.origin, u.host, u.port, u.pathname, u.search, u.hash, u.username].join(" "))`:                                                                                                "https://user:pw@example.com/a/c?d=e#f https://example.com example.com  /a/c ?d=e #f user",
		`const u = new URL("http://a.example/"); u.pathname = "/ä b"; u.searchParams.append("q", "1 2"); u.searchParams.set("r", "&"); u.hash = "x"; u.port = "81"; return new Response(u.toString())`:                                                                                         "http://a.example:81/%C3%A4%20b?q=1+2&r=%26#x",
		`const u = new URL(request.url); u.search = "?a=1&a=2"; return Response.json([u.searchParams.getAll("a"), URL.canParse("nothing"), URL.parse("x:y").protocol, JSON.stringify(u)])`:                                                                                                     `[["1","2"],false,"x:","\"http://example.com/some/path?a=1&a=2\""]`,
		`try { new URL("nothing") } catch (e) { return new Response(String(e)) }`:                                                                    "TypeError: 'nothing' is no valid URL",
		`const p = new URLSearchParams("?a=%41+b&c&d=%E4%"); p.sort(); return Response.json([[...p], p.size, p.has("c"), p.get("x"), p.toString()])`: `[[["a","A b"],["c",""],["d","�%"]],3,true,null,"a=A+b&c=&d=%EF%BF%BD%25"]`,
		// Text, base 64, clones.
		`return Response.json([[...new TextEncoder().encode("é€")], new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff])), btoa("hi"), atob("aGk=")])`:                               `[[195,169,226,130,172],"a�","aGk=","hi"]`,
		`const d = new TextDecoder(); const b = new TextEncoder().encode("€𝄞"); let t = ""; for (const x of b) t += d.decode(new Uint8Array([x]), {stream: true}); return new Response(t + d.decode())`: "€𝄞",
		`try { new TextDecoder("utf-8", {fatal: true}).decode(new Uint8Array([255])) } catch (e) { return new Response(e.name) }`:                                                                       "TypeError",
		`return new Response("half \ud800 of it")`: "half � of it",
		`const a = {d: new Date(0), m: new Map([[1, {x: [1]}]]), u: new Uint8Array([1, 2])}; a.self = a; const b = structuredClone(a); return Response.json([b.self === b, b !== a, b.d.getTime(), b.m.get(1), [...b.u]])`: `[true,true,0,{"x":[1]},[1,2]]`,
		`try { structuredClone(() => 1) } catch (e) { return new Response(e.name) }`: "DataCloneError",
		// Time and what comes later.
		`return Response.json([Date.now(), new Date().toISOString(), new Date().getTimezoneOffset()])`: `[1700000000000,"2023-11-14T22:13:20.000Z",0]`,
		`const order = []; queueMicrotask(() => order.push(1)); setTimeout((x) => order.push(x), 20, 3); setTimeout(() => order.push(2), 10); const gone = setTimeout(() => order.push(9), 5); clearTimeout(gone); const began = performance.now(); await new Promise((f) => setTimeout(f, 30)); return Response.json([order, performance.now() - began >= 30])`: `[[1,2,3],true]`,
		`let n = 0; await new Promise((f) => { const i = setInterval(() => { if (++n == 3) { clearInterval(i); f() } }, 10) }); return new Response(n)`:                                                                                                                                                                                                          "3",
		`try { for (;;) setTimeout(() => 1, 1) } catch (e) { return new Response(e.name) }`: "RangeError",
		// Recursion, memory, generated code: errors that can be caught.
		`const f = (n) => f(n + 1) + 1; try { f(0) } catch (e) { return new Response(e.name) }`:                                           "RangeError",
		`const all = []; try { for (;;) all.push(new Uint8Array(1 << 20)) } catch (e) { all.length = 0; return new Response(String(e)) }`: "InternalError: out of memory",
		`try { await import("./other.js") } catch (e) { return new Response(e.name) }`:                                                    "ReferenceError",
		`return new Response([typeof crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(4)).length, self === globalThis].join())`: "string,4,true",
		`return new Response(typeof host + typeof std + typeof os + typeof require + typeof process)`:                                     "undefinedundefinedundefinedundefinedundefined",
	} {
		assert.Equal(t, want, s.run(code), code)
	}
}

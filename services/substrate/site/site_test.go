package site

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/stretchr/testify/require"
)

func archive(t testing.TB, method uint16, files map[string]string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		dst, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		require.NoError(t, err)
		_, err = io.WriteString(dst, files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func read(t testing.TB, spa bool, files map[string]string) (*Site, []byte) {
	raw := archive(t, zip.Store, files)
	s, err := Read(bytes.NewReader(raw), int64(len(raw)), spa)
	require.NoError(t, err)
	return s, raw
}

// said is an answer in one line: the status, and the file's content or where it leads.
func said(raw []byte, a Answer) string {
	if a.File != nil {
		return fmt.Sprintf("%d %s", a.Status, raw[a.File.Offset:a.File.Offset+a.File.Size])
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Location))
}

// br is "js", packed with brotli.
var br = func() string {
	var out bytes.Buffer
	w := brotli.NewWriter(&out)
	_, _ = io.WriteString(w, "js")
	_ = w.Close()
	return out.String()
}()

// gz is "js", packed with gzip.
var gz = zipped("js")

func zipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

var example = map[string]string{
	"index.html": "home", "about.html": "about", "app.js": "js", "app.js.br": br, "app.js.gz": gz, "app.js.gz.gz": gz, "index.html.gz": "home", "docs/index.html": "docs",
	"docs/404.html": "no docs", "404.html": "nothing", "with space.txt": "space", "old/kept.html": "kept",
	"_redirects": "# moved\n/old/* /new/:splat 302\n/blog/:year/:name /posts/:name?y=:year\n/force /app.js 200!\n/app.js /index.html 200\n" +
		"/gone /404.html 404\n/away https://example.com/:splat 308\n/api/* https://api.example.com/v1/:splat 307\n/bad\n/x /y 999\n/star*/x /y\n/evil/* //:splat\n/host/* /:splat\n/spaced /docs/a\u00e9 301\n",
	"_headers": "/*\n  X-Frame-Options: DENY\n  Content-Length: 3\n/docs/*\n  x-frame-options: SAMEORIGIN\n  Cache-Control: max-age=60\nnonsense\n  A: b\n",
}

func TestResolve(t *testing.T) {
	s, raw := read(t, false, example)
	for rest, want := range map[string]string{
		"":                   "200 home",
		"index.html":         "200 home",
		"about":              "200 about",
		"about.html":         "200 about",
		"about/":             "404 nothing",
		"docs":               "301 /b/docs/",
		"docs/":              "200 docs",
		"docs/none":          "404 no docs",
		"docs/deep/none":     "404 no docs",
		"none":               "404 nothing",
		"_redirects":         "404 nothing",
		"_headers":           "404 nothing",
		"app.js":             "200 js", // the rule is not forced
		"with space.txt":     "200 space",
		"old/x/y":            "302 /b/new/x/y",
		"old/kept.html":      "200 kept",
		"blog/2024/hi":       "301 /b/posts/hi?y=2024",
		"force":              "200 js",
		"gone":               "404 nothing",
		"away":               "308 https://example.com/:splat",
		"api/a/b":            "307 https://api.example.com/v1/a/b",
		"host//evil.example": "301 /b/host/evil.example",
		"evil/a":             "404 nothing", // such a rule is none
		"spaced":             "301 /b/docs/a%C3%A9",
		"a//b":               "301 /b/a/b",
		"./a":                "301 /b/a",
		"a/../../etc":        "301 /b/etc",
		"x":                  "404 nothing",
	} {
		require.Equal(t, want, said(raw, s.Resolve("/b", rest, "", "")), rest)
	}
	require.Equal(t, "301 /b/docs/?q=1", said(raw, s.Resolve("/b", "docs", "q=1", "")))
	require.Len(t, s.Warnings, 7, "%v", s.Warnings)
	require.Contains(t, s.Warnings, "_redirects:9: expected FROM TO and perhaps a status")
}

// TestNoRedirectionLeadsAway: what follows the website's own path is never taken for a host.
func TestNoRedirectionLeadsAway(t *testing.T) {
	s, _ := read(t, false, example)
	for _, rest := range []string{"/evil.example", "//evil.example/", "host//evil.example", `host/\evil.example`, "/evil.example/..", "docs/..//evil"} {
		a := s.Resolve("", rest, "", "")
		require.False(t, strings.HasPrefix(a.Location, "//") || strings.HasPrefix(a.Location, `/\`), "%q leads to %q", rest, a.Location)
	}
}

func TestSinglePage(t *testing.T) {
	s, raw := read(t, true, map[string]string{"index.html": "app", "a.txt": "a", "404.html": "no"})
	require.Equal(t, "200 app", said(raw, s.Resolve("", "any/thing", "", "")))
	require.Equal(t, "200 a", said(raw, s.Resolve("", "a.txt", "", "")))
	bare, raw := read(t, true, map[string]string{"a.txt": "a"})
	require.Equal(t, "404", said(raw, bare.Resolve("", "b", "", "")))
}

func TestPacked(t *testing.T) {
	s, raw := read(t, false, example)
	for accepts, want := range map[string]string{
		"": "js", "gzip": gz, "br": br, "gzip, br": br, "*": br, "br;q=0, gzip": gz, "br; q=0.000, *": gz, "identity": "js", "gzip;q=0.5": gz,
		"gzip, br;q=0.9": gz, "BR;Q=1, gzip;q=0.999": br, "identity;q=0, br": br, "identity;q=0, *": br, "identity;q=0, *, br;q=0": gz, "identity, gzip;q=0.5": "js",
		"identity;q=0.5, gzip;q=0.5": gz, "x-gzip": gz, "deflate, zstd": "js", "*;q=0, gzip;q=0.1": gz, "gzip;q=7, br;q=x": "js", "gzip;q=nan": "js", "identity;q=0.5, gzip;q=nan, br;q=-1": "js", "identity;q=nan, gzip;q=0.1": gz, ",,": "js", "*;q=0.2, identity;q=0.3": "js",
	} {
		a := s.Resolve("", "app.js", "", accepts)
		require.Equal(t, "200 "+want, said(raw, a), accepts)
		require.True(t, a.Negotiated)
		require.Equal(t, "text/javascript; charset=utf-8", a.Type)
	}
	require.NotEqual(t, s.Resolve("", "app.js", "", "br").File.ETag, s.Resolve("", "app.js", "", "").File.ETag)
	require.False(t, s.Resolve("", "about", "", "br").Negotiated)
	for _, accepts := range []string{"identity;q=0", "*;q=0", "identity;q=0, deflate", "gzip;q=0, br;q=0, identity;q=0"} {
		a := s.Resolve("", "app.js", "", accepts)
		require.Equal(t, 406, a.Status, accepts)
		require.Nil(t, a.File)
	}
	require.Equal(t, 406, s.Resolve("", "about", "", "identity;q=0").Status, "it is there as it is only")
	for rest, want := range map[string]string{"": "home", "app.js.gz": gz} { // what only seems to be packed is a file of its own
		a := s.Resolve("", rest, "", "gzip")
		require.Equal(t, "200 "+want, said(raw, a))
		require.Empty(t, a.Encoding)
		require.False(t, a.Negotiated)
	}
}

func TestRanges(t *testing.T) {
	const long = "99999999999999999999999999"
	for field, want := range map[string]string{
		"bytes=0-1": "bytes=0-1", "Bytes=0-1": "bytes=0-1", "bytes=5-": "bytes=5-", "bytes=-3": "bytes=-3", "bytes=-0": "bytes=10-", "bytes=-00": "bytes=10-", "bytes=-99": "bytes=-10",
		"bytes=3-" + long: "bytes=3-10", "bytes=" + long + "-": "bytes=10-", "bytes=" + long + "-" + long: "bytes=10-10", "bytes=-" + long: "bytes=-10", "bytes=20-30": "bytes=10-10",
		"bytes=0-0,2-3": "", "items=0-1": "", "bytes=": "", "bytes=-": "", "bytes=5-4": "", "bytes=a-b": "", "bytes 0-1": "", "bytes=+1-2": "", "bytes=--1": "",
	} {
		require.Equal(t, want, Range(field, 10), field)
	}
}

func TestHeaders(t *testing.T) {
	s, _ := read(t, false, example)
	require.Equal(t, []Field{{"X-Frame-Options", "DENY"}}, s.Resolve("", "about", "", "").Header)
	require.Equal(t, []Field{{"x-frame-options", "SAMEORIGIN"}, {"Cache-Control", "max-age=60"}}, s.Resolve("", "docs/", "", "").Header)
}

// TestETags: a file that stays the same keeps its name, wherever the archive has it.
func TestETags(t *testing.T) {
	one, _ := read(t, false, map[string]string{"a": "same", "b": "1"})
	two, _ := read(t, false, map[string]string{"0": "more", "a": "same", "b": "2"})
	require.Equal(t, one.files["a"].ETag, two.files["a"].ETag)
	require.NotEqual(t, one.files["b"].ETag, two.files["b"].ETag)
}

func TestBadArchives(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no path":  {"../x": "a"},
		"a folder": {"x/": ""},
		"absolute": {"/x": "a"},
		"long":     {"_headers": strings.Repeat("x", ControlLenMax+1)},
	} {
		raw := archive(t, zip.Store, files)
		_, err := Read(bytes.NewReader(raw), int64(len(raw)), false)
		require.Error(t, err, name)
	}
	raw := archive(t, zip.Deflate, map[string]string{"a": strings.Repeat("a", 1000)})
	_, err := Read(bytes.NewReader(raw), int64(len(raw)), false)
	require.ErrorContains(t, err, "not stored")
}

// FuzzSite: whatever an archive says, and whatever is asked of it, answers lie within.
func FuzzSite(f *testing.F) {
	f.Add(archive(f, zip.Store, example), "docs/", "br")
	f.Add(archive(f, zip.Store, map[string]string{"_redirects": "/* /:splat/:splat 301!"}), "a/../b", "*")
	f.Fuzz(func(t *testing.T, raw []byte, rest, accepts string) {
		s, err := Read(bytes.NewReader(raw), int64(len(raw)), len(raw)%2 == 0)
		if err != nil {
			return
		}
		a := s.Resolve("", rest, "", accepts)
		if a.File != nil {
			require.LessOrEqual(t, a.File.Offset+a.File.Size, int64(len(raw)))
		}
		require.False(t, strings.HasPrefix(a.Location, "//"), "%q", a.Location)
		require.False(t, strings.ContainsAny(a.Location, "\r\n"), "%q", a.Location)
	})
}

// FuzzRules: lines that are not understood are left out, and lead nowhere.
func FuzzRules(f *testing.F) {
	f.Add("/a/* //:splat 301", "/*\n X: y", "a//b")
	f.Add("/:x/:y /:y/:x 200!", "", "a/b")
	f.Fuzz(func(t *testing.T, redirects, headers, rest string) {
		s := &Site{files: map[string]File{"index.html": {}}}
		s.readRedirects(redirects)
		s.readHeaders(headers)
		a := s.Resolve("", rest, "", "")
		require.False(t, strings.HasPrefix(a.Location, "//") || strings.HasPrefix(a.Location, `/\`), "%q", a.Location)
		require.False(t, strings.ContainsAny(a.Location, "\r\n"))
		for _, h := range a.Header {
			require.False(t, strings.ContainsAny(h.Name+h.Value, "\r\n"))
		}
	})
}

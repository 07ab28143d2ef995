package route

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPatterns(t *testing.T) {
	for text, want := range map[string]string{
		"/": "/", "/ping": "/ping", "/a/": "/a/", "/users/{id}": "/users/{}", "/users/{id}/x": "/users/{}/x", "/f/{rest...}": "/f/*", "/f/*": "/f/*", "/*": "/*",
		"/caf\u00e9": "/caf\u00e9",
	} {
		p, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, text, p.String())
		require.Equal(t, want, p.Key())
	}
	for text, want := range map[string]string{
		"": "begins with /", "ping": "begins with /", "/a//b": "//", "/a?b": "query", "/a#b": "query", "/a%20b": "query", "/a b": "query", "/a\tb": "query", "/a\u202eb": "u202e", "/a\u009bb": "query", "/a\u200bb": "query", "/\xff": "query", "/..": `".."`, "/./x": `"."`,
		"/*/a": "whole segment", "/{}": "whole segment", "/{1}": "whole segment", "/a{b}": "whole segment", "/{a...}/b": "at the end", "/{a}/{a}": "twice", "/{a}/{a...}": "twice",
		"/" + strings.Repeat("x", LenMax): "256 bytes", strings.Repeat("/a", 33): "32 segments",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestPrefixes(t *testing.T) {
	for text, want := range map[string]string{"/": "/*", "/photos": "/photos/*", "/photos/": "/photos/*", "/a/b": "/a/b/*"} {
		p, err := Prefix(text)
		require.NoError(t, err)
		require.Equal(t, want, p.String())
	}
	for _, text := range []string{"/{id}", "/*", "a"} {
		_, err := Prefix(text)
		require.Error(t, err, text)
	}
}

// TestTheLongestPrefixes are served; what is longer is refused, since its pattern could not be read again.
func TestTheLongestPrefixes(t *testing.T) {
	for text, fits := range map[string]bool{
		"/" + strings.Repeat("a", LenMax-3): true, "/" + strings.Repeat("a", LenMax-2): false, "/" + strings.Repeat("a", LenMax-1): false,
		strings.Repeat("/a", segmentsMax-1): true, strings.Repeat("/a", segmentsMax-1) + "/": true, strings.Repeat("/a", segmentsMax): false,
	} {
		_, err := Parse(text)
		require.NoError(t, err)
		p, err := Prefix(text)
		if !fits {
			require.ErrorContains(t, err, "a website's path has at most 254 bytes and 31 segments", text)
			continue
		}
		require.NoError(t, err, text)
		claim := Claim{Host: "h", Path: p.String(), Key: p.Key(), Methods: []string{"GET"}, Target: "websites/w"}
		_, _, ok := Best([]Claim{claim}, "h", "GET", text)
		require.True(t, ok, text)
	}
}

func TestMatching(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		ok            bool
		with          map[string]string
	}{
		{"/", "/", true, nil}, {"/", "/a", false, nil}, {"/ping", "/ping", true, nil}, {"/ping", "/ping/", false, nil}, {"/ping", "/Ping", false, nil}, {"/ping", "ping", false, nil},
		{"/users/{id}", "/users/7", true, map[string]string{"id": "7"}}, {"/users/{id}", "/users/", false, nil}, {"/users/{id}", "/users", false, nil}, {"/users/{id}", "/users/7/x", false, nil},
		{"/f/{rest...}", "/f", true, map[string]string{"rest": ""}}, {"/f/{rest...}", "/f/", true, map[string]string{"rest": ""}}, {"/f/{rest...}", "/f/a/b", true, map[string]string{"rest": "a/b"}},
		{"/f/{rest...}", "/fx", false, nil}, {"/f/*", "/f/a", true, nil}, {"/*", "/", true, nil}, {"/*", "/a/b", true, nil},
	} {
		p, err := Parse(c.pattern)
		require.NoError(t, err)
		with, ok := p.Match(c.path)
		require.Equal(t, c.ok, ok, "%s %s", c.pattern, c.path)
		if c.with != nil {
			require.Equal(t, c.with, with)
		}
	}
}

// The order in which patterns are tried, most specific first.
func TestOrder(t *testing.T) {
	order := []string{"/", "/a", "/a/b", "/a/b/", "/a/b/{y}", "/a/b/*", "/a/{x}", "/a/{x}/c", "/a/*", "/{x}", "/{x}/c", "/{x}/*", "/*"}
	var sorted []Pattern
	for _, text := range order {
		p, err := Parse(text)
		require.NoError(t, err)
		sorted = append(sorted, p)
	}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, Pattern.Compare)
	var got []string
	for _, p := range shuffled {
		got = append(got, p.String())
	}
	// "/a" and "/a/b" never match the same path: which of them is first says nothing, as long as it is always the same.
	for i, a := range got {
		for _, b := range got[i+1:] {
			p, _ := Parse(a)
			q, _ := Parse(b)
			require.Negative(t, p.Compare(q))
		}
	}
	for _, c := range [][]string{{"/a/b/c", "/a/b/{y}"}, {"/a/b", "/a/b"}, {"/a/z/c", "/a/{x}/c"}, {"/a/z", "/a/{x}"}, {"/a", "/a"}, {"/a/b/c/d", "/a/b/*"}, {"/z", "/{x}"}, {"/z/y/x", "/{x}/*"}, {"/a/z/y", "/a/*"}} {
		i := slices.IndexFunc(shuffled, func(p Pattern) bool { _, ok := p.Match(c[0]); return ok })
		require.Equal(t, c[1], got[i], c[0])
	}
}

// patterns draws patterns of few words, so that they meet.
func patterns() *rapid.Generator[Pattern] {
	return rapid.Custom(func(t *rapid.T) Pattern {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "{x}"}), 0, 3).Draw(t, "segments")
		for i := range segments {
			segments[i] = strings.ReplaceAll(segments[i], "x", "xyz"[i:i+1])
		}
		end := rapid.SampledFrom([]string{"", "", "/*", "/{rest...}", "/"}).Draw(t, "end")
		text := "/" + strings.Join(segments, "/") + end
		if len(segments) == 0 {
			text = "/" + strings.TrimPrefix(end, "/")
		}
		p, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return p
	})
}

// TestThePatternOrderIsTotal, and agrees with keys: patterns are equal that match the same paths.
func TestThePatternOrderIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := patterns().Draw(t, "a"), patterns().Draw(t, "b"), patterns().Draw(t, "c")
		if (a.Compare(b) == 0) != (a.Key() == b.Key()) {
			t.Fatalf("%s %s: %d", a, b, a.Compare(b))
		}
		if a.Compare(b) != -b.Compare(a) {
			t.Fatalf("%s %s", a, b)
		}
		if a.Compare(b) < 0 && b.Compare(c) < 0 && a.Compare(c) >= 0 {
			t.Fatalf("%s %s %s", a, b, c)
		}
		again, err := Parse(a.String())
		if err != nil || again.Compare(a) != 0 || again.String() != a.String() {
			t.Fatalf("%s is read as %s: %v", a, again, err)
		}
	})
}

// TestMoreSpecificComesFirst: a pattern that matches less than another is tried before it.
func TestMoreSpecificComesFirst(t *testing.T) {
	var paths []string
	words := []string{"a", "b", "c", ""}
	for _, x := range words {
		paths = append(paths, "/"+x)
		for _, y := range words {
			paths = append(paths, "/"+x+"/"+y)
			for _, z := range words {
				paths = append(paths, "/"+x+"/"+y+"/"+z, "/"+x+"/"+y+"/"+z+"/q")
			}
		}
	}
	set := func(p Pattern) map[string]bool {
		out := map[string]bool{}
		for _, path := range paths {
			if _, ok := p.Match(path); ok {
				out[path] = true
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := patterns().Draw(t, "a"), patterns().Draw(t, "b")
		inA, inB := set(a), set(b)
		for path := range inA {
			if !inB[path] {
				return
			}
		}
		if len(inA) > 0 && len(inA) < len(inB) && a.Compare(b) >= 0 {
			t.Fatalf("%s matches less than %s and comes after it", a, b)
		}
	})
}

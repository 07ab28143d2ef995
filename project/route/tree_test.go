package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// drawClaims makes claims of few words, so that they meet. No two are of one key and method.
func drawClaims(r *rand.Rand, n int) (list []Claim) {
	taken := map[string]bool{}
	for range n {
		var parts []string
		for range 1 + r.IntN(4) {
			parts = append(parts, []string{"a", "b", "{x}", "{y}"}[r.IntN(4)])
		}
		switch r.IntN(4) {
		case 0:
			parts = append(parts, "*")
		case 1:
			parts = append(parts, "{rest...}")
		case 2:
			parts = append(parts, "")
		}
		p, err := Parse("/" + strings.Join(parts, "/"))
		if err != nil {
			continue // a name is there twice
		}
		c := Claim{Host: []string{"h", "i"}[r.IntN(2)], Path: p.String(), Key: p.Key(), Target: fmt.Sprint(len(list))}
		for _, m := range []string{"DELETE", "GET", "POST"} {
			if at := c.Host + m + c.Key; r.IntN(2) == 0 && !taken[at] {
				taken[at] = true
				c.Methods = append(c.Methods, m)
			}
		}
		if len(c.Methods) > 0 {
			list = append(list, c)
		}
	}
	return list
}

func drawPath(r *rand.Rand) string {
	var parts []string
	for range 1 + r.IntN(5) {
		parts = append(parts, []string{"a", "b", "c", ""}[r.IntN(4)])
	}
	return "/" + strings.Join(parts, "/")
}

// agree compares a tree with Best, which looks at each claim.
func agree(t *testing.T, tree *Tree[string], claims []Claim, host, method, path string) {
	want, parameters, ok := Best(claims, host, method, path)
	found, methods := tree.Find(host, method, path)
	require.Equal(t, ok, found != nil, "%s %s%s of %v", method, host, path, claims)
	if ok {
		require.Equal(t, want.Target, found.Value, "%s %s%s of %v", method, host, path, claims)
		require.Equal(t, parameters, found.Parameters(path))
		if rest, named := parameters["rest"]; named {
			require.Equal(t, rest, found.Rest(path))
		}
		return
	}
	var others []string
	for _, m := range []string{"DELETE", "GET", "POST"} {
		if _, _, ok := Best(claims, host, m, path); ok {
			others = append(others, m)
		}
	}
	require.Equal(t, others, methods)
}

// TestTreeFindsTheBest: the tree answers as looking at each claim does.
func TestTreeFindsTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		claims := drawClaims(r, 1+r.IntN(25))
		var tree Tree[string]
		for _, i := range r.Perm(len(claims)) {
			tree.Add(claims[i], claims[i].Target)
		}
		for range 60 {
			agree(t, &tree, claims, []string{"h", "i", "j"}[r.IntN(3)], []string{"DELETE", "GET", "POST"}[r.IntN(3)], drawPath(r))
		}
	}
}

func FuzzTree(f *testing.F) {
	f.Add("/a/*", "/a/{x}", "/a/b", "/a/b")
	f.Add("/{x}/b", "/a/{rest...}", "/*", "/a/b/")
	f.Add("/", "/{x}", "/{y}/", "//")
	f.Fuzz(func(t *testing.T, a, b, c, path string) {
		var claims []Claim
		var tree Tree[string]
		for i, text := range []string{a, b, c} {
			p, err := Parse(text)
			if err != nil || slices.ContainsFunc(claims, func(o Claim) bool { return o.Key == p.Key() }) {
				continue
			}
			claim := Claim{Host: "h", Path: p.String(), Key: p.Key(), Methods: []string{"GET"}, Target: fmt.Sprint(i)}
			claims = append(claims, claim)
			tree.Add(claim, claim.Target)
		}
		want, _, ok := Best(claims, "h", "GET", path)
		found, _ := tree.Find("h", "GET", path)
		require.Equal(t, ok, found != nil)
		if ok {
			require.Equal(t, want.Target, found.Value)
		}
	})
}

// TestTreeRest: what a website is asked for below its path.
func TestTreeRest(t *testing.T) {
	var tree Tree[int]
	tree.Add(Claim{Host: "h", Path: "/docs/*", Key: "/docs/*", Methods: []string{"GET"}}, 1)
	for path, want := range map[string]struct {
		rest string
		root bool
	}{"/docs": {"", true}, "/docs/": {"", false}, "/docs/a/b": {"a/b", false}, "/docs/a/": {"a/", false}} {
		found, _ := tree.Find("h", "GET", path)
		require.NotNil(t, found, path)
		require.Equal(t, want.rest, found.Rest(path), path)
		require.Equal(t, want.root, found.Root(path), path)
	}
	require.True(t, tree.Has("h"))
	tree.Drop("h")
	require.False(t, tree.Has("h"))
}

// TestTreeVisitsEachSegmentOnce: a path costs no more than the patterns are large, also where many match in part.
func TestTreeVisitsEachSegmentOnce(t *testing.T) {
	var tree Tree[int]
	for i := range 512 {
		var parts []string
		for bit := range 9 {
			parts = append(parts, []string{"a", fmt.Sprintf("{p%d}", bit)}[i>>bit&1])
		}
		path := "/" + strings.Join(parts, "/") + "/end"
		tree.Add(Claim{Host: "h", Path: path, Methods: []string{"GET"}}, i)
	}
	allocs := testing.AllocsPerRun(10, func() {
		found, _ := tree.Find("h", "GET", "/a/a/a/a/a/a/a/a/a/none")
		require.Nil(t, found)
	})
	require.Less(t, allocs, 100.0)
}

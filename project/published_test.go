package project

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project/route"
)

// TestPublishedIsReadBack: who serves a version reads the claims and websites that were compiled.
func TestPublishedIsReadBack(t *testing.T) {
	p := &Project{Name: "hello"}
	p.Websites = []Website{{Base: Base{Name: "site"}, Paths: []string{"/", "/docs"}, SPA: true}}
	c, err := Compile(p, Options{Project: "hello"})
	require.NoError(t, err)
	var claims []route.Claim
	for _, e := range c.Entries {
		if strings.HasPrefix(e.Path, RoutesPrefix) {
			more, err := DecodeRoutes(e.Path, e.Value)
			require.NoError(t, err)
			claims = append(claims, more...)
			_, err = DecodeRoutes("routes/other.example/0000", e.Value)
			require.ErrorContains(t, err, "a claim of")
		}
		if KindOf(e.Path) == "websites" {
			w, err := DecodeWebsite(e.Value)
			require.NoError(t, err)
			require.True(t, w.SPA)
			require.Equal(t, "websites/site", e.Path)
		}
	}
	require.Equal(t, c.Claims, claims)
	_, err = DecodeRoutes("functions/x", nil)
	require.Error(t, err)
	require.Empty(t, KindOf("project"))
}

func FuzzDecodeRoutes(f *testing.F) {
	f.Add("routes/h/0000", []byte{0x80})
	f.Add("routes/h/0000", encode([]route.Claim{{Host: "h", Path: "/", Key: "/", Methods: []string{"GET"}}}))
	f.Fuzz(func(t *testing.T, path string, value []byte) {
		claims, err := DecodeRoutes(path, value)
		for _, c := range claims {
			require.NoError(t, err)
			_, err := route.Parse(c.Path)
			require.NoError(t, err)
		}
	})
}

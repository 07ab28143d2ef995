package storage

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestKey(t *testing.T) {
	require.Equal(t, Key("/jobs/0001/a%2Fb"), K("jobs", "0001", "a/b"))
	require.Equal(t, Key("/%/%2E/%25/%2E%2E"), K("", ".", "%", ".."))
	require.Equal(t, Key("/a-b.c:d/ü"), K("a-b.c:d", "ü"))
	require.True(t, K("a", "b").Has(K("a")))
	require.True(t, K("a").Has(K("a")))
	require.True(t, K("a").Has(""))
	require.False(t, K("a", "bc").Has(K("a", "b")))
	require.False(t, K("a").Has(K("a", "b")))
	for _, bad := range []Key{"", "/", "a", "/a/", "//a", "/a//b", "/./a", "/a/.."} {
		require.Panics(t, func() { MustBeKey(bad) }, bad)
	}
}

func TestKeyPartsInvertK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`[./%a\- ]*`)), 1, 5).Draw(t, "parts")
		MustBeKey(K(parts...))
		require.Equal(t, parts, K(parts...).Parts())
	})
}

func TestKeyOrderIsOrderOfParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.SliceOfN(rapid.StringMatching(`[!\-a/]{0,3}`), 0, 3)
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		escaped := func(parts []string) []string {
			return strings.Split(string(K(parts...)), "/")
		}
		want := slices.Compare(escaped(a), escaped(b))
		got := K(a...).Compare(K(b...))
		require.Equal(t, want < 0, got < 0)
		require.Equal(t, want == 0, got == 0)
	})
}

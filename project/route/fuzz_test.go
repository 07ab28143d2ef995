package route

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzPattern: what is a pattern is read again from its text and from its key, in which names are gone; and it matches the
// path that it is itself, as far as it has no parameters.
func FuzzPattern(f *testing.F) {
	for _, text := range []string{"/", "/a/b/", "/users/{id}/files/{rest...}", "/x/*", "/{a}/{b...}", "//", "/{a", "/a}", "/{a...}/b", "/é/\u2028", "/%41", "/..", "/a\x00"} {
		f.Add(text, "/users/7/files/a/b")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		require.Equal(t, text, p.String())
		again, err := Parse(p.String())
		require.NoError(t, err)
		require.Zero(t, p.Compare(again))
		with, ok := p.Match(path)
		if ok {
			require.NotEmpty(t, path)
			require.Equal(t, byte('/'), path[0])
		}
		for _, s := range p.segments {
			if ok && s.kind == parameter {
				require.NotEmpty(t, with[s.text])
			}
		}
		if q, err := Parse(path); err == nil && q.Key() == p.Key() {
			require.Zero(t, p.Compare(q))
		}
	})
}

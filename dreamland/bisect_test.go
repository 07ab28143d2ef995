package dreamland

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFirstChange: wherever the verdict changes and whichever commits have none, the
// change is between the two that are returned, and all between have none.
func TestFirstChange(t *testing.T) {
	const n = 12
	for change := 1; change < n; change++ {
		for mask := range 1 << (n - 2) {
			has := func(i int) bool { return i == 0 || i == n-1 || mask>>(i-1)&1 == 0 }
			asked := 0
			before, after, err := firstChange(n, "held", func(i int) (verdict, error) {
				asked++
				switch {
				case !has(i):
					return "", nil
				case i < change:
					return "held", nil
				}
				return "failed", nil
			})
			require.NoError(t, err)
			require.True(t, before < change && change <= after && has(before) && has(after))
			for i := before + 1; i < after; i++ {
				require.False(t, has(i))
			}
			if mask == 0 {
				require.LessOrEqual(t, asked, 4)
			}
		}
	}
}

// TestSideOf: what fails of something else than the end that failed does not have its bug.
func TestSideOf(t *testing.T) {
	const bug, other = verdict("failed of kept (always)"), verdict("failed of figure (report)")
	for _, x := range []struct{ v, was, is, want verdict }{
		{"held", "held", bug, "held"},
		{bug, "held", bug, bug},
		{other, "held", bug, "held"},
		{other, bug, "held", "held"},
		{bug, bug, "held", bug},
		{"failed of z (always)", other, bug, other},
		{"", "held", bug, ""},
	} {
		require.Equal(t, x.want, sideOf(x.v, x.was, x.is), "%+v", x)
	}
}

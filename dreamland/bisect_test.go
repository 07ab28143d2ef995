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

package transport_test

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

func TestCheckPage(t *testing.T) {
	for _, c := range []struct {
		name  string
		after int
		page  []int
		ok    bool
	}{
		{"nothing", 5, nil, true},
		{"ascending", 5, []int{6, 7, 9}, true},
		{"the one asked for", 5, []int{5, 6}, false},
		{"before it", 5, []int{4}, false},
		{"twice", 5, []int{6, 6}, false},
		{"descending at the end", 5, []int{6, 8, 7}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := transport.CheckPage("x/page", c.after, c.page, func(n int) int { return n }, cmp.Compare[int])
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		})
	}
}

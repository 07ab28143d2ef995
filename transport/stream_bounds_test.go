package transport_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// What a stream is opened with is within its bounds, or nothing is sent.
func TestWhatAStreamIsOpenedWith(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		for name, row := range map[string]struct {
			method string
			hello  int
			kind   transport.Kind
		}{
			"the longest hello":  {"t/s", transport.HelloLenMax, 0},
			"a longer hello":     {"t/s", transport.HelloLenMax + 1, transport.Invalid},
			"a hello too long":   {"t/s", transport.MessageLenMax + 1, transport.Invalid},
			"no name":            {"", 0, transport.Invalid},
			"a name that is too": {strings.Repeat("x", 300), 0, transport.Invalid},
		} {
			before := len(c.sent)
			st, err := s.OpenStream(ctx, s.peer, row.method, make([]byte, row.hello))
			require.Equal(t, row.kind, transport.KindOf(err), "%s: %v", name, err)
			require.Equal(t, row.kind == 0, st != nil, name)
			require.Equal(t, row.kind == 0, len(c.sent) > before, name)
		}
	})
}

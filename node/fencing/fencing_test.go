package fencing_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

// TestOrder: attempts come first, holders decide between equal ones, and it is a
// total order with the zero token below all.
func TestOrder(t *testing.T) {
	token := func(attempt uint64, holder byte) fencing.Token {
		return fencing.Token{Attempt: attempt, Holder: transport.Peer{holder}}
	}
	ordered := []fencing.Token{{}, token(0, 1), token(1, 0), token(1, 1), token(1, 2), token(2, 0), token(1<<63, 1)}
	for i, a := range ordered {
		require.Equal(t, i == 0, a.IsZero())
		for j, b := range ordered {
			require.Equal(t, i < j, a.Compare(b) < 0, "%s %s", a, b)
			require.Equal(t, i == j, a.Compare(b) == 0, "%s %s", a, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) fencing.Token {
			return token(rapid.Uint64().Draw(t, name), rapid.Byte().Draw(t, name+"-holder"))
		}
		a, b := draw("a"), draw("b")
		require.Equal(t, a.Compare(b), -b.Compare(a))
		require.Equal(t, a == b, a.Compare(b) == 0)
	})
}

package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostsTakeTurns: of each host who came first goes first, and whoever comes again before them.
func TestHostsTakeTurns(t *testing.T) {
	var l line
	var called []string
	enter := func(host, name string, again bool) *waiter {
		w := &waiter{wake: func() { called = append(called, name) }}
		l.enter(host, w, again)
		return w
	}
	for _, name := range []string{"a1", "a2", "a3", "a4"} {
		enter("a", name, false)
	}
	gone := enter("b", "b1", false)
	enter("b", "b2", false)
	enter("c", "c1", false)
	enter("a", "a0", true)
	l.leave("b", gone)
	l.leave("b", gone) // twice
	l.callNext()
	l.callNext()
	l.call("a")
	for range 9 {
		l.callNext()
	}
	l.call("d")
	require.Equal(t, []string{"a0", "b2", "a1", "c1", "a2", "a3", "a4"}, called)
	require.Empty(t, l.hosts)
	require.Empty(t, l.queue)
}

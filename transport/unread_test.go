package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnreadStreamsHoldUpNoOther, whatever the lengths of their messages are, as long
// as those are at most StreamWindowMin.
func TestUnreadStreamsHoldUpNoOther(t *testing.T) {
	for _, class := range []Class{Control, Bulk} {
		e, sessions := flows(1, class)
		s := sessions[0]
		for range 2*HandlersPerPeerMax - 1 {
			st := s.stream(e)
			for _, n := range []int{StreamWindowMin - messageCost - 1, StreamWindowMin} {
				require.True(t, s.inflow.receive(cost(n)), "the conn has credit")
				require.True(t, st.inflow.receive(cost(n)))
			}
			require.False(t, st.inflow.receive(1))
		}
		require.LessOrEqual(t, s.inflow.size, ConnWindowMax)
		s.stream(e).pass(t, StreamWindowMin)
	}
}

// TestDeadWaitersTakeNoRoom from those who wait for a conn that is there.
func TestDeadWaitersTakeNoRoom(t *testing.T) {
	e, sessions := flows(2, Control)
	gone, here := sessions[0], sessions[1]
	gone.over = true
	for range 20 {
		e.waiting = append(e.waiting, waiting{session: gone, call: &call{}, size: 1 << 20})
	}
	woken := false
	e.waiting = append(e.waiting, waiting{session: here, call: &call{wake: func() { woken = true }}, size: 1 << 20})
	a := &actions{}
	e.wakeWaiting(a)
	for _, act := range a.list {
		act()
	}
	require.True(t, woken)
	require.Empty(t, e.waiting)
}

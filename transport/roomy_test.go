package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A session has its minimum whatever others use, its maximum whatever they leave,
// and all together have no more than the node has.
func TestWhatFits(t *testing.T) {
	with := func(waits, node, size int) bool {
		s := &session{}
		s.out = newOutbox()
		s.out.bytes = waits
		return (&Engine{outbound: [classCount]int{node}}).fits(s, size)
	}
	require.True(t, with(sessionBytesMin-10, outboundBytesMax, 10))
	require.False(t, with(sessionBytesMin-10, outboundBytesMax, 11))
	require.True(t, with(sessionBytesMax-10, 0, 10))
	require.False(t, with(sessionBytesMax-10, 0, 11))
	require.True(t, with(sessionBytesMin, outboundBytesMax-10, 10))
	require.False(t, with(sessionBytesMin, outboundBytesMax-10, 11))
}

// When there is room again, only as many look again as there is room for, the
// first ones first.
func TestWhoIsWokenForRoom(t *testing.T) {
	s := &session{}
	s.out = newOutbox()
	s.out.bytes = sessionBytesMax - 10
	calls := []*call{{}, {}, {}}
	e := &Engine{}
	for _, c := range calls {
		e.waiting = append(e.waiting, waiting{session: s, call: c, size: 4})
	}
	e.wakeWaiting(&actions{})
	require.Len(t, e.waiting, 1)
	require.Same(t, calls[2], e.waiting[0].call)
}

package credentials

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// TestMembersAreBounded: of as many as are remembered, the one that has shown its certificate longest ago makes room, and who
// shows it again needs none. What was verified by what is not trusted any more is not kept.
func TestMembersAreBounded(t *testing.T) {
	peer := func(n int) (p transport.Peer) {
		binary.BigEndian.PutUint64(p[:], uint64(n)+1)
		return p
	}
	a := New(nil, transport.Peer{}, nil)
	a.looking = true // it has no loop to look on
	show := func(n int) bool { return a.remember(entry{member: membership.Member{Peer: peer(n)}}, a.version) }
	known := func(n int) bool {
		_, known := a.Grants(peer(n))
		return known
	}
	for n := range membersMax {
		require.True(t, show(n))
	}
	require.Len(t, a.members, membersMax)
	require.True(t, show(0))
	require.Len(t, a.members, membersMax)
	require.True(t, known(1), "nobody had to make room")
	require.True(t, show(membersMax))
	require.Len(t, a.members, membersMax)
	require.True(t, known(0), "it has shown it again")
	require.False(t, known(1))
	require.True(t, known(2))
	require.True(t, known(membersMax))
	a.version++
	require.False(t, a.remember(entry{member: membership.Member{Peer: peer(1)}}, a.version-1))
	require.False(t, known(1))
}

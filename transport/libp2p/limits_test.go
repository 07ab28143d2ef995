package libp2p

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// addr is a TCP address beyond loopback, which libp2p's limits leave alone.
func addr(t *testing.T, host string, port int) multiaddr.Multiaddr {
	family := "ip4"
	if host[len(host)-1] == ':' {
		family, host = "ip6", host+"1"
	}
	a, err := multiaddr.NewMultiaddr(fmt.Sprintf("/%s/%s/tcp/%d", family, host, 1000+port))
	require.NoError(t, err)
	return a
}

func peerID(kind string, i int) peer.ID {
	return PeerID(transport.NewIdentity(fmt.Appendf(nil, "%s %d", kind, i)).Peer())
}

// newTestLimiter knows whose names begin with member.
func newTestLimiter(t *testing.T) *limiter {
	members := map[peer.ID]bool{}
	for i := range 1000 {
		members[peerID("member", i)] = true
	}
	l, err := newLimiter(defaultLimits, func(p peer.ID) bool { return members[p] })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// open is one inbound connection, as libp2p accounts for it.
func open(l *limiter, from multiaddr.Multiaddr, p peer.ID) (network.ConnManagementScope, error) {
	scope, err := l.OpenConnection(network.DirInbound, true, from)
	if err != nil {
		return nil, err
	}
	if err := scope.SetPeer(p); err != nil {
		scope.Done()
		return nil, err
	}
	return scope, nil
}

// TestManyNodesBehindOneAddress: 200 members connect from one address; libp2p's
// own limits let in 8.
func TestManyNodesBehindOneAddress(t *testing.T) {
	for _, host := range []string{"203.0.113.7", "2001:db8:1:2::"} {
		l := newTestLimiter(t)
		for i := range 200 {
			_, err := open(l, addr(t, host, i), peerID("member", i))
			require.NoError(t, err, "%s: member %d", host, i)
		}
	}
}

// TestQuickRestarts: a node that restarts 100 times in no time is let in each
// time; libp2p's own limits refuse it after 16.
func TestQuickRestarts(t *testing.T) {
	l := newTestLimiter(t)
	for i := range 100 {
		scope, err := open(l, addr(t, "203.0.113.7", i), peerID("member", 0))
		require.NoError(t, err, "restart %d", i)
		scope.Done()
	}
}

// TestStrangersLeaveRoomForMembers: however many strangers there are, from
// however many addresses, members connect; and strangers do again when others
// have left.
func TestStrangersLeaveRoomForMembers(t *testing.T) {
	l := newTestLimiter(t)
	var strangers []network.ConnManagementScope
	for i := range 1000 {
		scope, err := open(l, addr(t, fmt.Sprintf("203.0.113.%d", i%50), i), peerID("stranger", i))
		if err == nil {
			strangers = append(strangers, scope)
		}
	}
	require.Len(t, strangers, strangersMax)
	for i := range 500 {
		_, err := open(l, addr(t, fmt.Sprintf("198.51.100.%d", i%100), i), peerID("member", i))
		require.NoError(t, err, "member %d", i)
	}
	for _, scope := range strangers {
		scope.Done()
		scope.Done()
	}
	require.Zero(t, l.strangers)
	require.Empty(t, l.perAddress)
	for i := range strangersMax {
		_, err := open(l, addr(t, fmt.Sprintf("192.0.2.%d", i), i), peerID("stranger", i))
		require.NoError(t, err)
	}
}

// TestStrangersFromOneAddress: one address does not get all the places.
func TestStrangersFromOneAddress(t *testing.T) {
	for _, host := range []string{"203.0.113.7", "2001:db8:1:2::"} {
		l := newTestLimiter(t)
		for i := range strangersPerAddressMax {
			_, err := open(l, addr(t, host, i), peerID("stranger", i))
			require.NoError(t, err)
		}
		_, err := open(l, addr(t, host, 999), peerID("stranger", 999))
		require.ErrorIs(t, err, errStrangers)
		_, err = open(l, addr(t, host, 999), peerID("member", 1))
		require.NoError(t, err)
		_, err = open(l, addr(t, "198.51.100.1", 1), peerID("stranger", 1))
		require.NoError(t, err)
	}
}

// TestOnePeerIsBounded: in connections, and in streams of our protocol.
func TestOnePeerIsBounded(t *testing.T) {
	l := newTestLimiter(t)
	conns := 0
	for i := range 100 {
		if _, err := open(l, addr(t, "203.0.113.7", i), peerID("member", 0)); err == nil {
			conns++
		}
	}
	require.Equal(t, peerConnsMax, conns)
	streams := 0
	for range 100 {
		s, err := l.OpenStream(peerID("member", 0), network.DirInbound)
		require.NoError(t, err)
		if s.SetProtocol(Protocol) == nil {
			streams++
		}
	}
	require.Equal(t, peerTauMax, streams)
}

// TestHandshakesAreBounded: connections whose peer is not known are few, and
// dials of our own do not wait for them.
func TestHandshakesAreBounded(t *testing.T) {
	l := newTestLimiter(t)
	begun := 0
	for i := range 1000 {
		if _, err := l.OpenConnection(network.DirInbound, true, addr(t, fmt.Sprintf("203.0.113.%d", i%100), i)); err == nil {
			begun++
		}
	}
	require.Equal(t, handshakesMax, begun)
	_, err := l.OpenConnection(network.DirOutbound, true, addr(t, "198.51.100.1", 1))
	require.NoError(t, err)
}

// TestRace: all addresses of a peer are dialed at once, TCP a moment later.
func TestRace(t *testing.T) {
	quic, err := multiaddr.NewMultiaddr("/ip4/203.0.113.7/udp/1/quic-v1")
	require.NoError(t, err)
	tcp := addr(t, "203.0.113.7", 1)
	require.Equal(t, []network.AddrDelay{{Addr: tcp, Delay: tcpDelay}, {Addr: quic}}, rank([]multiaddr.Multiaddr{tcp, quic}))
	require.Equal(t, []network.AddrDelay{{Addr: tcp}, {Addr: tcp}}, rank([]multiaddr.Multiaddr{tcp, tcp}))
}

// TestRefusedDials: a dial is over when its last TCP address has failed.
func TestRefusedDials(t *testing.T) {
	d := &dials{open: map[peer.ID]*dial{}}
	a, b := peerID("a", 0), peerID("b", 0)
	isRefused := func(began *dial) bool {
		select {
		case <-began.refused:
			return true
		default:
			return false
		}
	}
	first, quicOnly := d.begin(a, 2), d.begin(b, 0)
	d.failed(a)
	require.False(t, isRefused(first))
	d.failed(a)
	require.True(t, isRefused(first))
	d.failed(a)
	d.failed(b)
	require.False(t, isRefused(quicOnly))
	again := d.begin(a, 1)
	d.end(a, first)
	d.failed(a)
	require.True(t, isRefused(again))
	d.end(a, again)
	d.end(b, quicOnly)
	d.failed(a)
	require.Empty(t, d.open)
}

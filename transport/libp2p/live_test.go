package libp2p_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	golibp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// beyondLoopback is an address of this machine that is not loopback: libp2p
// exempts loopback from its limits, so tests there see none of them.
func beyondLoopback(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has only loopback; limits_test.go asks the limiter itself")
	return ""
}

// reach opens a conn from a host, says something on it, and closes it all.
func reach(t *testing.T, from *libp2p.Host, to *libp2p.Host) error {
	newRecorder(from)
	opened := make(chan error, 1)
	from.Open(to.ID(), transport.Control, func(c transport.Conn, err error) {
		if err == nil {
			err = c.Send([]byte("hi"))
		}
		opened <- err
	})
	return <-opened
}

// TestRealNodesBehindOneAddress: two dozen nodes of one address connect at once,
// and one of them restarts two dozen times.
func TestRealNodesBehindOneAddress(t *testing.T) {
	t.Parallel()
	listen := []string{"/ip4/" + beyondLoopback(t) + "/tcp/0"}
	server, err := libp2p.New(transport.NewIdentity([]byte("server")), listen, nil)
	require.NoError(t, err)
	server.SetMembers(func(transport.Peer) bool { return true })
	defer func() { require.NoError(t, server.Close()) }()
	r := newRecorder(server)
	r.closed = make(chan error, 100)
	for i := range 24 {
		h, err := libp2p.New(transport.NewIdentity(fmt.Appendf(nil, "%d", i)), listen, server.Addrs())
		require.NoError(t, err)
		defer func() { require.NoError(t, h.Close()) }()
		require.NoError(t, reach(t, h, server), "node %d", i)
		require.Equal(t, "hi", string(<-r.frames))
		<-r.accepted
	}
	for i := range 24 {
		h, err := libp2p.New(transport.NewIdentity([]byte("restarts")), listen, server.Addrs())
		require.NoError(t, err)
		require.NoError(t, reach(t, h, server), "restart %d", i)
		require.Equal(t, "hi", string(<-r.frames))
		<-r.accepted
		require.NoError(t, h.Close())
		<-r.closed
	}
}

// TestRealStrangersGiveWay: when all places of strangers are taken, the oldest lose theirs, all lose them in
// time, and members are not concerned.
func TestRealStrangersGiveWay(t *testing.T) {
	t.Parallel()
	member := transport.NewIdentity([]byte("member"))
	h, err := libp2p.New(transport.NewIdentity([]byte("server")), nil, nil, libp2p.Strangers(3, time.Second))
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	h.SetMembers(func(p transport.Peer) bool { return p == member.Peer() })
	newRecorder(h)
	m, err := libp2p.New(member, nil, h.Addrs())
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	require.NoError(t, reach(t, m, h))
	for name, address := range map[string]string{"tcp": h.Addrs()[0], "quic": h.Addrs()[1]} {
		info, err := peer.AddrInfoFromString(address)
		require.NoError(t, err)
		for i := range 6 {
			stranger, err := golibp2p.New(golibp2p.NoListenAddrs, golibp2p.DisableMetrics())
			require.NoError(t, err)
			defer func() { require.NoError(t, stranger.Close()) }()
			require.NoError(t, stranger.Connect(context.Background(), *info), "%s: stranger %d", name, i)
			_, err = stranger.NewStream(context.Background(), info.ID, libp2p.Protocol)
			require.NoError(t, err, "%s: stranger %d", name, i)
			require.LessOrEqual(t, h.StrangersNow(), 3)
		}
		require.Eventually(t, func() bool { return len(h.LibP2P().Network().Conns()) == 1 }, 20*time.Second, 5*time.Millisecond)
		require.Zero(t, h.StrangersNow())
	}
	require.Equal(t, member.Peer().String(), h.LibP2P().Network().Peers()[0].String())
}

// TestHandshakesOfWebSocketGiveWay: connections on which not even HTTP's handshake begins.
func TestHandshakesOfWebSocketGiveWay(t *testing.T) {
	t.Parallel()
	server := newCitizen(t, "server", ws).with(cloudKey, nil)
	f, err := newFlood(context.Background(), server.host.Addrs()[0])
	require.NoError(t, err)
	at := strings.TrimPrefix(f.at, "ws://")
	first, err := net.Dial("tcp", at)
	require.NoError(t, err)
	for range libp2p.HandshakesPerAddressMax {
		c, err := net.Dial("tcp", at)
		require.NoError(t, err)
		defer c.Close()
	}
	require.NoError(t, first.SetReadDeadline(time.Now().Add(3*time.Second)), "less than a handshake may take")
	_, err = first.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	member := newCitizen(t, "member", tcp).with(cloudKey, nil)
	require.NoError(t, member.call(server, "t/monkey"))
}

// TestDeadNodeIsNotWaitedFor: a node with TCP and QUIC addresses that is gone is
// found out by the refusal of TCP, long before QUIC gives up.
func TestDeadNodeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	gone, err := libp2p.New(transport.NewIdentity([]byte("gone")), nil, nil)
	require.NoError(t, err)
	a, err := libp2p.New(transport.NewIdentity([]byte("a")), nil, gone.Addrs())
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	require.NoError(t, gone.Close())
	newRecorder(a)
	for range 3 {
		opened, began := make(chan error, 1), time.Now()
		a.Open(gone.ID(), transport.Control, func(_ transport.Conn, err error) { opened <- err })
		require.Equal(t, transport.Unreachable, transport.KindOf(<-opened))
		require.Less(t, time.Since(began), libp2p.OpenTimeout/2)
	}
}

// TestAStrangersConnectionEndsWithItsConn: what a stranger says wrongly costs it the connection, not only a stream of it.
func TestAStrangersConnectionEndsWithItsConn(t *testing.T) {
	t.Parallel()
	server := newCitizen(t, "server", tcp).with(cloudKey, nil)
	s := strangers(t, 1)[0]
	f, err := newFlood(context.Background(), server.host.Addrs()[0])
	require.NoError(t, err)
	out, err := f.stream(s)
	require.NoError(t, err)
	_, err = out.Write([]byte{1, 0})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(server.host.LibP2P().Network().Conns()) == 0 }, time.Minute, time.Millisecond)
}

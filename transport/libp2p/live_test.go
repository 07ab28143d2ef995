package libp2p_test

import (
	"context"
	"fmt"
	"net"
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
	server, err := libp2p.New(transport.NewIdentity([]byte("server")), listen, nil, libp2p.Members(func(transport.Peer) bool { return true }))
	require.NoError(t, err)
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

// TestRealStrangersLeaveRoomForMembers: when all places of strangers are taken,
// others are refused, and a member is not.
func TestRealStrangersLeaveRoomForMembers(t *testing.T) {
	t.Parallel()
	member := transport.NewIdentity([]byte("member"))
	h, err := libp2p.New(transport.NewIdentity([]byte("server")), nil, nil, libp2p.Strangers(3),
		libp2p.Members(func(p transport.Peer) bool { return p == member.Peer() }))
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	newRecorder(h)
	for name, address := range map[string]string{"tcp": h.Addrs()[0], "quic": h.Addrs()[1]} {
		info, err := peer.AddrInfoFromString(address)
		require.NoError(t, err)
		var leave []func() error
		for i := range 6 {
			stranger, err := golibp2p.New(golibp2p.NoListenAddrs, golibp2p.DisableMetrics())
			require.NoError(t, err)
			leave = append(leave, stranger.Close)
			err = stranger.Connect(context.Background(), *info)
			if err == nil { // the server may close it a moment later
				_, err = stranger.NewStream(context.Background(), info.ID, libp2p.Protocol)
			}
			require.Equal(t, i < 3, err == nil, "%s: stranger %d: %v", name, i, err)
		}
		m, err := libp2p.New(member, nil, h.Addrs())
		require.NoError(t, err)
		require.NoError(t, reach(t, m, h), name)
		require.NoError(t, m.Close())
		for _, f := range leave {
			require.NoError(t, f())
		}
		require.Eventually(t, func() bool { return len(h.LibP2P().Network().Conns()) == 0 }, 10*time.Second, 5*time.Millisecond)
	}
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

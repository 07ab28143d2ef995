package libp2p_test

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// openOn opens a conn of a class.
func openOn(t *testing.T, from, to *libp2p.Host, class transport.Class) transport.Conn {
	type result struct {
		conn transport.Conn
		err  error
	}
	opened := make(chan result, 1)
	from.Open(to.ID(), class, func(c transport.Conn, err error) { opened <- result{c, err} })
	r := <-opened
	require.NoError(t, r.err)
	return r.conn
}

// TestBulkHasAConnectionOfItsOwn between real hosts, which goes with its last conn.
func TestBulkHasAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]string{"tcp": tcp, "quic": quic, "ws": ws} {
		b, err := libp2p.New(transport.NewIdentity([]byte("b")), []string{listen}, nil)
		require.NoError(t, err)
		a, err := libp2p.New(transport.NewIdentity([]byte("a")), []string{listen}, b.Addrs())
		require.NoError(t, err)
		atA, atB := newRecorder(a), newRecorder(b)
		connections := func() []network.Conn { return b.LibP2P().Network().ConnsToPeer(libp2p.PeerID(a.ID())) }
		for _, class := range []transport.Class{transport.Control, transport.Bulk, transport.Bulk} {
			require.NoError(t, openOn(t, a, b, class).Send([]byte{byte('0' + class)}))
			require.Equal(t, []byte{byte('0' + class)}, <-atB.frames)
		}
		require.Len(t, connections(), 2, "%s: one for control and one for bulk", name)

		// Whatever a peer opens on either is served.
		for _, c := range connections() {
			onlyOn(t, c)
			require.Equal(t, "from b", string(<-atA.frames), name)
		}
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	}
}

// onlyOn sends a frame on one connection.
func onlyOn(t *testing.T, c network.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := c.NewStream(ctx)
	require.NoError(t, err)
	// What go-multistream says to select a protocol, and a frame.
	_, err = s.Write([]byte("\x13/multistream/1.0.0\n\x07/tau/1\n\x06from b"))
	require.NoError(t, err)
}

// TestBulkConnectionsEnd with the last conn that they carry, and control's does not.
func TestBulkConnectionsEnd(t *testing.T) {
	t.Parallel()
	b, err := libp2p.New(transport.NewIdentity([]byte("b")), []string{tcp}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	a, err := libp2p.New(transport.NewIdentity([]byte("a")), []string{tcp}, b.Addrs())
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	newRecorder(a)
	newRecorder(b)
	var conns []transport.Conn
	for _, class := range []transport.Class{transport.Control, transport.Bulk, transport.Bulk} {
		c := openOn(t, a, b, class)
		require.NoError(t, c.Send([]byte("x")))
		conns = append(conns, c)
	}
	at := func() int { return len(b.LibP2P().Network().ConnsToPeer(libp2p.PeerID(a.ID()))) }
	require.Eventually(t, func() bool { return at() == 2 }, time.Minute, 10*time.Millisecond)
	conns[1].Close()
	require.Never(t, func() bool { return at() != 2 }, 300*time.Millisecond, 50*time.Millisecond)
	conns[2].Close()
	require.Eventually(t, func() bool { return at() == 1 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, conns[0].Send([]byte("still there")))
	require.NoError(t, openOn(t, a, b, transport.Bulk).Send([]byte("again")))
	require.Eventually(t, func() bool { return at() == 2 }, time.Minute, 10*time.Millisecond)
}

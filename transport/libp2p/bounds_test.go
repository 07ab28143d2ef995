package libp2p

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// What a host may hold is what limits.go says, each to the very last one, whichever way it was opened.
func TestWhatAHostMayHold(t *testing.T) {
	const files = 500
	in, out := network.DirInbound, network.DirOutbound
	for name, row := range map[string]struct {
		open func(m network.ResourceManager, i int) error
		most int
	}{
		"sockets": {func(m network.ResourceManager, i int) error {
			_, err := m.OpenConnection(out, true, addr(t, fmt.Sprintf("10.0.%d.%d", i/250, i%250), 1))
			return err
		}, files},
		"connections of an address": {func(m network.ResourceManager, i int) error { return connect(m, in, addr(t, "10.0.0.1", i), i) }, perAddressMax},
		"connections that come": {func(m network.ResourceManager, i int) error {
			return connect(m, in, addr(t, fmt.Sprintf("10.0.%d.%d", i/250, i%250), 1), i)
		}, connsMax},
		"connections that go": {func(m network.ResourceManager, i int) error {
			return connect(m, out, addr(t, fmt.Sprintf("10.0.%d.%d", i/250, i%250), 1), i)
		}, connsMax},
		"connections in all": {func(m network.ResourceManager, i int) error {
			return connect(m, []network.Direction{in, out}[i%2], addr(t, fmt.Sprintf("10.0.%d.%d", i/250, i%250), 1), i)
		}, connsMax},
		"connections of a peer": {func(m network.ResourceManager, i int) error { return connect(m, in, addr(t, "10.0.0.1", i), 0) }, peerConnsMax},
		"connections to a peer": {func(m network.ResourceManager, i int) error { return connect(m, out, addr(t, "10.0.0.1", i), 0) }, peerConnsMax},
		"connections with a peer": {func(m network.ResourceManager, i int) error {
			return connect(m, []network.Direction{in, out}[i%2], addr(t, "10.0.0.1", i), 0)
		}, peerConnsMax},
		"streams of a peer": {func(m network.ResourceManager, _ int) error { return stream(m, in, "/other") }, peerStreamsMax},
		"streams to a peer": {func(m network.ResourceManager, _ int) error { return stream(m, out, "/other") }, peerStreamsMax},
		"streams with a peer": {func(m network.ResourceManager, i int) error {
			return stream(m, []network.Direction{in, out}[i%2], "/other")
		}, peerStreamsMax},
		"conns of ours from a peer":   {func(m network.ResourceManager, _ int) error { return stream(m, in, Protocol) }, peerTauMax},
		"conns of ours to a peer":     {func(m network.ResourceManager, _ int) error { return stream(m, out, Protocol) }, peerStreamsMax},
		"MiB for peers not known yet": {func(m network.ResourceManager, i int) error { return reserve(m, addr(t, "10.0.0.1", i), nil) }, memoryMax >> 23},
		"MiB for a peer":              {func(m network.ResourceManager, i int) error { return reserve(m, addr(t, "10.0.0.1", 1), &i) }, peerMemoryMax >> 20},
	} {
		m, err := newManager(files)
		require.NoError(t, err)
		n := 0
		for n < 2*connsMax && row.open(m, n) == nil {
			n++
		}
		require.Equal(t, row.most, n, name)
		require.NoError(t, m.Close())
	}
}

func connect(m network.ResourceManager, dir network.Direction, at multiaddr.Multiaddr, of int) error {
	scope, err := m.OpenConnection(dir, false, at)
	if err == nil {
		err = scope.SetPeer(peerID("peer", of))
	}
	return err
}

func stream(m network.ResourceManager, dir network.Direction, of protocol.ID) error {
	scope, err := m.OpenStream(peerID("peer", 0), dir)
	if err == nil {
		err = scope.SetProtocol(of)
	}
	return err
}

// reserve takes a MiB for a connection of nobody yet, or for one of few of a peer.
func reserve(m network.ResourceManager, at multiaddr.Multiaddr, number *int) error {
	if number != nil {
		scope, err := m.OpenStream(peerID("peer", 0), network.DirOutbound)
		if err != nil {
			return err
		}
		return scope.ReserveMemory(1<<20, network.ReservationPriorityAlways)
	}
	scope, err := m.OpenConnection(network.DirInbound, false, at)
	if err != nil {
		return err
	}
	return scope.ReserveMemory(1<<20, network.ReservationPriorityAlways)
}

// Sockets are a part of the files that the process may have.
func TestHowManySockets(t *testing.T) {
	require.Equal(t, 750, socketsOf(1000))
	require.Equal(t, 1610612735, socketsOf(math.MaxInt32))
	require.Equal(t, connsMax, socketsOf(math.MaxInt32+1))
	require.Equal(t, connsMax, socketsOf(math.MaxUint64))
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	was := limit
	limit.Cur = min(limit.Cur, 900)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	got := filesMax()
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
	require.Equal(t, socketsOf(limit.Cur), got)
}

// Doors are for who comes.
func TestWhoIsDialedIsAtNoDoor(t *testing.T) {
	l := newTestLimiter(t)
	for _, tcp := range []bool{true, false} {
		scope, err := l.OpenConnection(network.DirOutbound, tcp, addr(t, "10.0.0.1", 1))
		require.NoError(t, err)
		require.NotNil(t, scope)
		require.Zero(t, len(l.handshakes.inside)+len(l.quic.inside))
	}
}

// hostStub is a libp2p host of which a test says what it does.
type hostStub struct {
	host.Host
	network   networkStub
	newStream func(ctx context.Context) (network.Stream, error)
	closeErr  error
}

func (s *hostStub) Network() network.Network        { return &s.network }
func (s *hostStub) Peerstore() peerstore.Peerstore  { return noAddrs{} }
func (s *hostStub) RemoveStreamHandler(protocol.ID) {}
func (s *hostStub) Close() error                    { return s.closeErr }
func (s *hostStub) NewStream(ctx context.Context, _ peer.ID, _ ...protocol.ID) (network.Stream, error) {
	return s.newStream(ctx)
}

type networkStub struct {
	network.Network
	closed []peer.ID
}

func (n *networkStub) ClosePeer(p peer.ID) error {
	n.closed = append(n.closed, p)
	return nil
}

type noAddrs struct{ peerstore.Peerstore }

func (noAddrs) Addrs(peer.ID) []multiaddr.Multiaddr { return nil }

type lateStream struct {
	network.Stream
	resets atomic.Int32
}

func (s *lateStream) Reset() error {
	s.resets.Add(1)
	return nil
}

// A dial that libp2p does not end in time is given up: its connection is closed, and a stream that comes after
// all is of no use.
func TestDialsThatDoNotEnd(t *testing.T) {
	for _, comes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			late := &lateStream{}
			stub := &hostStub{newStream: func(context.Context) (network.Stream, error) {
				time.Sleep(2 * OpenTimeout)
				if comes {
					return late, nil
				}
				return nil, errors.New("late")
			}}
			h := newHost()
			h.host = stub
			began := time.Now()
			s, err := h.newStream(peerID("peer", 0), transport.Control)
			require.Nil(t, s)
			require.ErrorContains(t, err, "no conn after 5s")
			require.Equal(t, OpenTimeout, time.Since(began))
			synctest.Wait()
			require.Equal(t, []peer.ID{peerID("peer", 0)}, stub.network.closed)
			require.Zero(t, late.resets.Load())
			time.Sleep(2 * OpenTimeout)
			synctest.Wait()
			require.Equal(t, map[bool]int32{true: 1, false: 0}[comes], late.resets.Load())
			require.Empty(t, h.dials.open)
		})
	}
}

// What goes wrong at the end of either libp2p host is told; a host that is only lent is not closed.
func TestWhatClosingTells(t *testing.T) {
	first, second := &hostStub{closeErr: errors.New("first")}, &hostStub{closeErr: errors.New("second")}
	h := newHost()
	h.host, h.bulk, h.owned = first, &dialer{host: second}, true
	err := h.Close()
	require.ErrorIs(t, err, first.closeErr)
	require.ErrorIs(t, err, second.closeErr)
	require.NoError(t, h.Close(), "it is closed")
	h = newHost()
	h.host = first
	require.NoError(t, h.Close())
}

package libp2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// ear is a handler that notes what it was told, in order.
type ear struct {
	mu    sync.Mutex
	list  []string
	conns []transport.Conn
}

func (e *ear) note(what string, c transport.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, what)
	if c != nil {
		e.conns = append(e.conns, c)
	}
}

func (e *ear) Accepted(c transport.Conn)            { e.note("accepted", c) }
func (e *ear) Frame(_ transport.Conn, frame []byte) { e.note("frame "+string(frame), nil) }
func (e *ear) Closed(_ transport.Conn, err error)   { e.note(fmt.Sprint("closed ", err != nil), nil) }
func (e *ear) opened(c transport.Conn, err error) {
	if err != nil {
		e.note(fmt.Sprint("not opened: ", transport.KindOf(err)), nil)
	} else {
		e.note("opened", c)
	}
}

// twoHosts are hosts that are linked, in virtual time, and what each is told.
func twoHosts(t *testing.T, f func(net mocknet.Mocknet, a, b *Host, atA, atB *ear)) {
	synctest.Test(t, func(t *testing.T) {
		net := mocknet.New()
		var hosts []*Host
		var ears []*ear
		for i, name := range []string{"a", "b"} {
			lh, err := net.AddPeer(PrivateKey(transport.NewIdentity([]byte(name))), multiaddr.StringCast(fmt.Sprintf("/ip4/10.0.0.%d/tcp/1", i+1)))
			require.NoError(t, err)
			h, err := Over(lh)
			require.NoError(t, err)
			e := &ear{}
			h.Handle(e)
			hosts, ears = append(hosts, h), append(ears, e)
		}
		_, err := net.LinkPeers(hosts[0].host.ID(), hosts[1].host.ID())
		require.NoError(t, err)
		f(net, hosts[0], hosts[1], ears[0], ears[1])
		for _, h := range hosts {
			require.NoError(t, h.Close())
		}
		require.NoError(t, net.Close())
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

// A conn is told at both ends, then its frames in order, and its end once, whoever ended it.
func TestWhatHostsReport(t *testing.T) {
	for _, class := range []transport.Class{transport.Control, transport.Bulk} {
		twoHosts(t, func(_ mocknet.Mocknet, a, b *Host, atA, atB *ear) {
			require.Equal(t, transport.NewIdentity([]byte("a")).Peer(), a.ID())
			a.Open(b.ID(), class, atA.opened)
			synctest.Wait()
			require.Equal(t, []string{"opened"}, atA.list)
			require.Equal(t, []string{"accepted"}, atB.list)
			require.Equal(t, b.ID(), atA.conns[0].Remote())
			require.Equal(t, a.ID(), atB.conns[0].Remote())
			require.Equal(t, class == transport.Bulk, atA.conns[0].(*conn).bulk)
			for _, text := range []string{"1", "2"} {
				require.NoError(t, atA.conns[0].Send([]byte(text)))
			}
			require.NoError(t, atB.conns[0].Send([]byte("3")))
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, []string{"accepted", "frame 1", "frame 2"}, atB.list)
			require.Equal(t, []string{"opened", "frame 3"}, atA.list)
			b.Open(a.ID(), class, atB.opened)
			synctest.Wait()
			require.EqualValues(t, 2, atA.conns[1].(*conn).number)
			atA.conns[0].Close()
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, []string{"opened", "frame 3", "accepted", "closed true"}, atA.list)
			require.Equal(t, []string{"accepted", "frame 1", "frame 2", "opened", "closed true"}, atB.list)
			require.Len(t, a.conns, 1)
			require.Error(t, atA.conns[0].Send([]byte("x")))
			require.NoError(t, atA.conns[1].Send([]byte("4")), "the other one goes on")
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, "frame 4", atB.list[5])
		})
	}
}

// A host that is closed reports nothing any more and lets nobody in; its conns end at their other ends.
func TestAClosedHost(t *testing.T) {
	twoHosts(t, func(_ mocknet.Mocknet, a, b *Host, atA, atB *ear) {
		a.Open(b.ID(), transport.Control, atA.opened)
		b.Open(a.ID(), transport.Control, atB.opened)
		synctest.Wait()
		said := len(atA.list)
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, atA.list, said)
		require.Equal(t, []string{"closed true", "closed true"}, atB.list[len(atB.list)-2:])
		a.Open(b.ID(), transport.Control, atA.opened)
		b.Open(a.ID(), transport.Control, atB.opened)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, atA.list, said)
		require.Equal(t, "not opened: unreachable", atB.list[len(atB.list)-1])
		require.Empty(t, b.conns)
		_, err := a.dialer(transport.Bulk, PeerID(b.ID()))
		require.NoError(t, err, "over a host of somebody else there is one for all")
		a.owned = true
		_, err = a.dialer(transport.Bulk, PeerID(b.ID()))
		require.ErrorIs(t, err, errClosed)
		a.owned = false
	})
}

// A stream that comes in while its host is being closed, or of a peer that has no name here, is reset.
func TestStreamsThatAreTurnedAway(t *testing.T) {
	for name, closed := range map[string]bool{"of a closed host": true, "of a strange key": false} {
		from := PeerID(transport.NewIdentity([]byte("x")).Peer())
		if !closed {
			from = "strange"
		}
		h, e := newHost(), &ear{}
		h.handler, h.closed = e, closed
		s := &turned{conn: remote{id: from}}
		h.incoming(s)
		require.True(t, s.reset, name)
		require.Empty(t, e.list, name)
		require.Empty(t, h.conns, name)
	}
}

// turned is a stream of a peer.
type turned struct {
	network.Stream
	conn  remote
	reset bool
}

func (s *turned) Conn() network.Conn { return s.conn }
func (s *turned) Reset() error       { s.reset = true; return nil }

type remote struct {
	network.Conn
	id peer.ID
}

func (r remote) RemotePeer() peer.ID { return r.id }

// slow is a libp2p host whose dials end by themselves, or when they are given up.
type slow struct {
	host.Host
	takes  time.Duration
	answer error
	deaf   bool   // it does not give up
	refuse func() // called at once
}

func (s *slow) NewStream(ctx context.Context, _ peer.ID, _ ...protocol.ID) (network.Stream, error) {
	if s.refuse != nil {
		s.refuse()
	}
	if s.deaf {
		ctx = context.Background()
	}
	select {
	case <-time.After(s.takes):
		return nil, s.answer
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A dial ends within its time, and sooner if nothing is left of it but QUIC, which is silent.
func TestHowLongADialTakes(t *testing.T) {
	told := errors.New("told")
	for name, c := range map[string]struct {
		takes   time.Duration
		refused bool
		deaf    bool
		want    time.Duration
		err     string
	}{
		"it fails":                          {time.Second, false, false, time.Second, "told"},
		"it hangs":                          {4 * OpenTimeout, false, true, OpenTimeout, "no conn"},
		"TCP refuses, QUIC answers":         {quicGrace / 2, true, false, quicGrace / 2, "told"},
		"TCP refuses, and QUIC is silent":   {time.Hour, true, false, quicGrace, "canceled"},
		"TCP refuses, and nothing gives up": {4 * OpenTimeout, true, true, 2 * quicGrace, "no conn"},
		"TCP refuses, and it ends late":     {3 * quicGrace / 2, true, true, 3 * quicGrace / 2, "told"},
	} {
		t.Run(name, func(t *testing.T) {
			twoHosts(t, func(_ mocknet.Mocknet, a, b *Host, _, _ *ear) {
				real := a.host
				s := &slow{Host: real, takes: c.takes, answer: told, deaf: c.deaf}
				id := PeerID(b.ID())
				if c.refused {
					a.host.Peerstore().ClearAddrs(id)
					a.host.Peerstore().AddAddr(id, multiaddr.StringCast("/ip4/10.0.0.2/tcp/1"), time.Hour)
					s.refuse = func() { a.dials.failed(id) }
				}
				a.host = s
				began := time.Now()
				_, err := a.newStream(id, transport.Control)
				require.ErrorContains(t, err, c.err)
				require.Equal(t, c.want, time.Since(began))
				require.Empty(t, a.dials.open)
				a.host = real
			})
		})
	}
}

// Only the TCP addresses of a peer count for a dial that is refused.
func TestTCPAddressesAreCounted(t *testing.T) {
	twoHosts(t, func(_ mocknet.Mocknet, a, b *Host, _, _ *ear) {
		id := PeerID(transport.NewIdentity([]byte("other")).Peer())
		require.Zero(t, dialer{a.host, a.dials}.tcpAddrs(id))
		for n, addr := range []string{"/ip4/10.0.0.9/tcp/1", "/ip4/10.0.0.9/udp/1/quic-v1", "/ip6/::1/tcp/1"} {
			a.host.Peerstore().AddAddr(id, multiaddr.StringCast(addr), time.Hour)
			require.Equal(t, []int{1, 1, 2}[n], dialer{a.host, a.dials}.tcpAddrs(id))
		}
		require.NotNil(t, b)
	})
}

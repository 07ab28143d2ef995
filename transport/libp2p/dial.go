package libp2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptransport "github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

const (
	// OpenTimeout bounds a dial.
	OpenTimeout = 5 * time.Second
	// quicGrace is how long a dial goes on over QUIC when it has failed over TCP: a
	// node that is down refuses TCP at once, but says nothing over UDP.
	quicGrace = 500 * time.Millisecond
	// tcpDelay is the head start of QUIC: a peer that answers within it over QUIC is not dialed
	// over TCP.
	tcpDelay = 30 * time.Millisecond
	// wsDelay is the head start of all others before WebSocket, which is for networks that let nothing else out.
	wsDelay = 300 * time.Millisecond
)

// rank dials all addresses of a peer in parallel, those over TCP and WebSocket a moment later.
func rank(addrs []multiaddr.Multiaddr) (delays []network.AddrDelay) {
	quicFirst, wsLast := false, false
	for _, a := range addrs {
		quicFirst = quicFirst || isQUIC(a)
		wsLast = wsLast || !isWS(a)
	}
	for _, a := range addrs {
		d := network.AddrDelay{Addr: a}
		switch {
		case isWS(a) && wsLast:
			d.Delay = wsDelay
		case quicFirst && !isQUIC(a):
			d.Delay = tcpDelay
		}
		delays = append(delays, d)
	}
	return delays
}

func isQUIC(a multiaddr.Multiaddr) bool { return hasProtocol(a, multiaddr.P_QUIC_V1) }

func isWS(a multiaddr.Multiaddr) bool { return hasProtocol(a, multiaddr.P_WS) }

func hasProtocol(a multiaddr.Multiaddr, code int) bool {
	_, err := a.ValueForProtocol(code)
	return err == nil
}

// dials are those under way, by peer.
type dials struct {
	mu   sync.Mutex
	open map[peer.ID]*dial
	// through dials TCP in place of the system; nil: nothing does.
	through ContextDialer
}

// dial tracks the failures of its TCP addresses.
type dial struct {
	left    int           // of them have not failed
	refused chan struct{} // closed when all have
}

// begin watches a dial of a peer with so many TCP addresses. One peer is dialed
// once at a time.
func (d *dials) begin(id peer.ID, tcpAddrs int) *dial {
	d.mu.Lock()
	defer d.mu.Unlock()
	began := &dial{left: tcpAddrs, refused: make(chan struct{})}
	d.open[id] = began
	return began
}

func (d *dials) end(id peer.ID, began *dial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[id] == began {
		delete(d.open, id)
	}
}

// failed notes that a TCP address of a peer did not answer or refused.
func (d *dials) failed(id peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if began := d.open[id]; began != nil {
		if began.left--; began.left == 0 {
			close(began.refused)
		}
	}
}

// watchedTCP is libp2p's TCP transport, and tells of dials that failed. Its listeners are in listen.go.
type watchedTCP struct {
	*tcp.TcpTransport
	dials    *dials
	upgrader libp2ptransport.Upgrader
	limits   network.ResourceManager
}

func (d *dials) newTCP(upgrader libp2ptransport.Upgrader, m network.ResourceManager) (*watchedTCP, error) {
	// Dialing from the listening port is for punching holes; two nodes that dial
	// each other at once would meet in a TCP simultaneous open, which the handshake
	// does not survive.
	options := []tcp.Option{tcp.DisableReuseport()}
	if d.through != nil {
		options = append(options, tcp.WithDialerForAddr(func(multiaddr.Multiaddr) (tcp.ContextDialer, error) { return d.through, nil }))
	}
	t, err := tcp.NewTCPTransport(upgrader, m, nil, options...)
	return &watchedTCP{t, d, upgrader, m}, err
}

// Dial implements transport.Transport.
func (t *watchedTCP) Dial(ctx context.Context, addr multiaddr.Multiaddr, p peer.ID) (libp2ptransport.CapableConn, error) {
	c, err := t.TcpTransport.Dial(ctx, addr, p)
	if err != nil {
		t.dials.failed(p)
	}
	return c, err
}

// DialWithUpdates implements transport.DialUpdater.
func (t *watchedTCP) DialWithUpdates(ctx context.Context, addr multiaddr.Multiaddr, p peer.ID, updates chan<- libp2ptransport.DialUpdate) (libp2ptransport.CapableConn, error) {
	c, err := t.TcpTransport.DialWithUpdates(ctx, addr, p, updates)
	if err != nil {
		t.dials.failed(p)
	}
	return c, err
}

// swarmOptions are how libp2p dials.
func swarmOptions() []swarm.Option {
	return []swarm.Option{
		swarm.WithDialRanker(rank),
		swarm.WithDialTimeout(OpenTimeout), swarm.WithDialTimeoutLocal(OpenTimeout),
	}
}

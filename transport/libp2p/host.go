// Package libp2p gives the port transport.Host over any libp2p host: over real
// ones, which [New] builds, and over the simulated ones of mocknet, which [Over]
// is given.
//
// A transport.Conn is one libp2p stream of protocol [Protocol] for as long as it
// lasts, and one for bulk has a libp2p connection of its own between real hosts (see
// bulk.go), carrying frames with a uvarint of their length before them. libp2p
// authenticates the peer; only ed25519 identities are let in. Each conn has one
// goroutine that reads and one that writes; a frame is one Write.
//
// What strangers may do before they are members is bounded in limits.go, and what a flood of them costs a node measures
//
//	go test -run X -bench Flood -benchtime 1x ./transport/libp2p
//
// (2026-11-27, two cores shared with others: at most 0.23 processors for any of the floods, from one address or from a
// hundred, while up to 99 a second were let in and 2,800 a second came.)
package libp2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"

	"github.com/taucloud/tau/transport"
)

// Protocol is the libp2p protocol of a conn's stream.
const Protocol protocol.ID = "/tau/1"

// Host is a transport.Host.
type Host struct {
	host    host.Host
	self    transport.Peer
	owned   bool // Close closes the libp2p host, too
	options func(d *dials, limits network.ResourceManager) []libp2p.Option
	limiter *limiter
	handler transport.HostHandler
	// frameTimeout is transport.FrameTimeout, except in tests.
	frameTimeout time.Duration
	limits       hostLimits
	dials        *dials
	announced    []string // in place of what it listens on
	through      ContextDialer
	traffic      traffic

	mu      sync.Mutex
	closed  bool
	bulk    *dialer // nil until there is a conn for bulk
	count   uint64
	conns   map[*conn]struct{}
	learned map[peer.ID]bool          // peers of whom Learn was told
	proven  func(transport.Peer) bool // nil: membership is not proven here
	reports sync.WaitGroup            // goroutines that may report
}

// Over returns a Host over h, which must have an ed25519 identity. Closing it
// resets its conns and leaves h open.
func Over(h host.Host) (*Host, error) {
	self, err := FromPeerID(h.ID())
	if err != nil {
		return nil, err
	}
	over := newHost()
	over.host, over.self = h, self
	return over, nil
}

func newHost() *Host {
	return &Host{
		frameTimeout: transport.FrameTimeout, limits: defaultLimits, dials: &dials{open: map[peer.ID]*dial{}},
		conns: map[*conn]struct{}{}, learned: map[peer.ID]bool{},
	}
}

// LibP2P is the libp2p host below.
func (h *Host) LibP2P() host.Host { return h.host }

// ID implements transport.Host.
func (h *Host) ID() transport.Peer { return h.self }

// Handle implements transport.Host.
func (h *Host) Handle(handler transport.HostHandler) {
	h.handler = handler
	h.host.SetStreamHandler(Protocol, h.incoming)
}

// incoming serves a stream that a peer opened. It runs on a goroutine of its
// own, which becomes the conn's reader.
func (h *Host) incoming(s network.Stream) {
	remote, err := FromPeerID(s.Conn().RemotePeer())
	if err != nil {
		_ = s.Reset()
		return
	}
	c := h.register(s, remote)
	if c == nil {
		return
	}
	defer h.reports.Done()
	h.handler.Accepted(c)
	c.run()
}

// Open implements transport.Host.
func (h *Host) Open(to transport.Peer, class transport.Class, opened func(transport.Conn, error)) {
	if h.enter() {
		go func() {
			defer h.reports.Done()
			h.open(to, class, opened)
		}()
	}
}

// open dials and, if it worked, stays as the conn's reader.
func (h *Host) open(to transport.Peer, class transport.Class, opened func(transport.Conn, error)) {
	s, err := h.newStream(PeerID(to), class)
	var c *conn
	if err == nil {
		if c = h.register(s, to); c == nil {
			return
		}
		defer h.reports.Done()
		c.bulk = class == transport.Bulk
	}
	if h.isClosed() {
		return
	}
	if err != nil {
		opened(nil, transport.New(transport.Unreachable, "open", err.Error()))
		return
	}
	opened(c, nil)
	c.run()
}

// newStream gives up after OpenTimeout even if libp2p does not, and before when
// all of the peer's TCP addresses have failed and QUIC does not answer either.
func (h *Host) newStream(id peer.ID, class transport.Class) (network.Stream, error) {
	type result struct {
		stream network.Stream
		err    error
	}
	d, err := h.dialer(class, id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), OpenTimeout)
	defer cancel()
	d.forgetBackoff(id)
	watched := d.dials.begin(id, d.tcpAddrs(id))
	defer d.dials.end(id, watched)
	results := make(chan result, 1)
	go func() {
		s, err := d.host.NewStream(ctx, id, Protocol)
		results <- result{s, err}
	}()
	select {
	case r := <-results:
		return r.stream, r.err
	case <-watched.refused:
		select {
		case r := <-results:
			return r.stream, r.err
		case <-time.After(quicGrace):
		}
		// The next dial must not join this one, of which only QUIC is left.
		cancel()
		select {
		case r := <-results:
			return r.stream, r.err
		case <-time.After(quicGrace):
		}
	case <-ctx.Done():
	}
	go func() {
		// A libp2p connection on which no stream can be opened is dead: the next dial must not use
		// it.
		_ = d.host.Network().ClosePeer(id)
		if r := <-results; r.stream != nil {
			_ = r.stream.Reset()
		}
	}()
	return nil, fmt.Errorf("no conn after %s", OpenTimeout)
}

// tcpAddrs is how many TCP addresses of a peer we know.
func (d dialer) tcpAddrs(id peer.ID) (n int) {
	for _, a := range d.host.Peerstore().Addrs(id) {
		if hasProtocol(a, multiaddr.P_TCP) {
			n++
		}
	}
	return n
}

// forgetBackoff clears the swarm's own memory of failed dials: the engine has one.
func (d dialer) forgetBackoff(id peer.ID) {
	if s, ok := d.host.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(id)
	}
}

// enter registers a goroutine that may report, unless the host is closed.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.reports.Add(1)
	}
	return !h.closed
}

func (h *Host) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// register makes a conn of a stream and registers its goroutine, or resets the stream and returns nil
// when the host is closed.
func (h *Host) register(s network.Stream, remote transport.Peer) *conn {
	c := newConn(h, s, remote)
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.count++
		c.number = h.count
		h.conns[c] = struct{}{}
		h.reports.Add(1)
	}
	h.mu.Unlock()
	if closed {
		_ = s.Reset()
		return nil
	}
	return c
}

// over reports the end of a conn, once.
func (h *Host) over(c *conn, err error) {
	h.mu.Lock()
	delete(h.conns, c)
	closed := h.closed
	h.mu.Unlock()
	h.letGo(c)
	if !closed {
		h.handler.Closed(c, err)
	}
}

// Close implements transport.Host. Dials under way are given up.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	conns := make([]*conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	h.mu.Unlock()
	slices.SortFunc(conns, func(c, d *conn) int { return cmp.Compare(c.number, d.number) })
	h.host.RemoveStreamHandler(Protocol)
	for _, c := range conns {
		c.Close()
	}
	var err error
	if h.bulk != nil {
		err = h.bulk.host.Close()
	}
	if h.owned {
		err = errors.Join(err, h.host.Close())
	}
	h.reports.Wait()
	return err
}

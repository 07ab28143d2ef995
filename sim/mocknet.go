package sim

import (
	"encoding/binary"
	"fmt"
	"sync"

	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	"github.com/multiformats/go-multiaddr"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// mocknetWire carries frames through transport/libp2p over libp2p's mocknet, at
// latency zero: the same adapter that runs live. mocknet's own idea of time is
// not used.
type mocknetWire struct {
	world  *World
	net    mocknet.Mocknet
	hosts  map[*Node]*libp2p.Host
	linked map[uint64]bool
	conns  map[uint64]*carried // by conn id
	// hello and arrived pass frames from mocknet to the world's thread.
	hello   chan inbound
	arrived chan inbound

	mu    sync.Mutex
	known map[transport.Conn]bool // conns that have said hello
}

// carried is the pair of libp2p conns under one conn.
type carried struct{ ends [2]transport.Conn }

// inbound is a frame that came out.
type inbound struct {
	conn  transport.Conn
	frame []byte
}

func newMocknetWire(w *World) (carrier, error) {
	return &mocknetWire{
		world:   w,
		net:     mocknet.New(),
		hosts:   map[*Node]*libp2p.Host{},
		linked:  map[uint64]bool{},
		conns:   map[uint64]*carried{},
		hello:   make(chan inbound),
		arrived: make(chan inbound),
		known:   map[transport.Conn]bool{},
	}, nil
}

func (m *mocknetWire) addNode(n *Node) error {
	addr, err := multiaddr.NewMultiaddr(fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/4242", n.index>>16, n.index>>8&255, n.index&255))
	if err != nil {
		return err
	}
	h, err := m.net.AddPeer(libp2p.PrivateKey(n.identity), addr)
	if err != nil {
		return fmt.Errorf("sim: mocknet host of %s: %w", n.name, err)
	}
	port, err := libp2p.Over(h)
	if err != nil {
		return err
	}
	port.Handle(m)
	m.hosts[n] = port
	return nil
}

// connect opens a libp2p conn and identifies it by its first frame.
func (m *mocknetWire) connect(c *conn) error {
	from, to := c.ends[0].host.node, c.ends[1].host.node
	if key := pairKey(from, to); !m.linked[key] {
		m.linked[key] = true
		if _, err := m.net.LinkPeers(libp2p.PeerID(from.identity.Peer()), libp2p.PeerID(to.identity.Peer())); err != nil {
			return fmt.Errorf("sim: mocknet link %s-%s: %w", from.name, to.name, err)
		}
	}
	type result struct {
		conn transport.Conn
		err  error
	}
	opened := make(chan result, 1)
	m.hosts[from].Open(to.identity.Peer(), transport.Control, func(conn transport.Conn, err error) { opened <- result{conn, err} })
	r := <-opened
	if r.err != nil {
		return fmt.Errorf("sim: mocknet dial %s-%s: %w", from.name, to.name, r.err)
	}
	m.learn(r.conn)
	if err := r.conn.Send(binary.BigEndian.AppendUint64(nil, c.id)); err != nil {
		return fmt.Errorf("sim: mocknet hello %s-%s: %w", from.name, to.name, err)
	}
	in := <-m.hello
	if got := binary.BigEndian.Uint64(in.frame); got != c.id {
		return fmt.Errorf("sim: mocknet conn %d said hello as %d", c.id, got)
	}
	m.conns[c.id] = &carried{ends: [2]transport.Conn{r.conn, in.conn}}
	return nil
}

func (m *mocknetWire) carry(c *conn, side int, frame []byte) ([]byte, error) {
	m.world.disturb()
	pair := m.conns[c.id]
	if err := pair.ends[side].Send(frame); err != nil {
		return nil, fmt.Errorf("sim: mocknet send: %w", err)
	}
	in := <-m.arrived
	if in.conn != pair.ends[1-side] {
		return nil, fmt.Errorf("sim: a frame of conn %d came out elsewhere", c.id)
	}
	return in.frame, nil
}

func (m *mocknetWire) disconnect(c *conn) {
	pair := m.conns[c.id]
	delete(m.conns, c.id)
	for _, end := range pair.ends {
		end.Close()
	}
}

// close ends the connections first: a host that ends tells all its peers of each
// protocol that it no longer speaks, on a stream for each.
func (m *mocknetWire) close() {
	for _, h := range m.net.Hosts() {
		for _, p := range h.Network().Peers() {
			_ = h.Network().ClosePeer(p)
		}
	}
	for _, h := range m.hosts {
		_ = h.Close()
	}
	_ = m.net.Close()
}

func (m *mocknetWire) learn(c transport.Conn) (first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first = !m.known[c]
	m.known[c] = true
	return first
}

// Accepted implements transport.HostHandler.
func (m *mocknetWire) Accepted(transport.Conn) {}

// Frame implements transport.HostHandler, on the conn's reading goroutine.
func (m *mocknetWire) Frame(c transport.Conn, frame []byte) {
	m.world.disturb()
	if m.learn(c) {
		m.hello <- inbound{c, frame}
	} else {
		m.arrived <- inbound{c, frame}
	}
}

// Closed implements transport.HostHandler.
func (m *mocknetWire) Closed(c transport.Conn, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, c)
}

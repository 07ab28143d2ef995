// Package transporttest holds the conformance suite of package transport, which
// every pair of a Host and a Loop has to pass ([Run]), and the smallest network
// there is, for tests and benchmarks in one process ([PipeNet]).
package transporttest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/taucloud/tau/transport"
)

// PipeNet is a network in memory. A frame is delivered, and a dial ends, before
// Send or Open returns, on the goroutine that called it: there is no latency,
// no loss and no goroutine.
type PipeNet struct {
	mu    sync.Mutex
	hosts map[transport.Peer]*PipeHost
}

// NewPipeNet returns a network without hosts.
func NewPipeNet() *PipeNet { return &PipeNet{hosts: map[transport.Peer]*PipeHost{}} }

// Host adds a host to the network, in the place of one of the same name that
// was closed.
func (n *PipeNet) Host(id transport.Peer) *PipeHost {
	h := &PipeHost{net: n, id: id}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[id] = h
	return h
}

// PipeHost is a transport.Host on a PipeNet.
type PipeHost struct {
	net *PipeNet
	id  transport.Peer

	mu      sync.Mutex
	handler transport.HostHandler
	conns   []*PipeConn
	closed  bool
}

// ID implements transport.Host.
func (h *PipeHost) ID() transport.Peer { return h.id }

// Handle implements transport.Host.
func (h *PipeHost) Handle(handler transport.HostHandler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler = handler
}

// Open implements transport.Host.
func (h *PipeHost) Open(to transport.Peer, _ transport.Class, opened func(transport.Conn, error)) {
	conn, err := h.Dial(to)
	if err != nil {
		opened(nil, err)
		return
	}
	opened(conn, nil)
	conn.start()
}

// Dial opens a conn, for tests that speak the protocol themselves.
func (h *PipeHost) Dial(to transport.Peer) (*PipeConn, error) {
	h.net.mu.Lock()
	remote := h.net.hosts[to]
	h.net.mu.Unlock()
	if remote == nil || !remote.listens() {
		return nil, transport.New(transport.Unreachable, "open", fmt.Sprintf("no host %s", to.Short()))
	}
	link := &pipe{}
	near := &PipeConn{host: h, remote: to, pipe: link}
	far := &PipeConn{host: remote, remote: h.id, pipe: link}
	near.other, far.other = far, near
	if !remote.add(far) || !h.add(near) {
		return nil, transport.New(transport.Unreachable, "open", "the host is closed")
	}
	remote.handler.Accepted(far)
	far.start()
	return near, nil
}

func (h *PipeHost) add(c *PipeConn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.conns = append(h.conns, c)
	}
	return !h.closed
}

// listens reports whether the host's node has called Handle.
func (h *PipeHost) listens() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.handler != nil
}

// Reset breaks all conns of the host.
func (h *PipeHost) Reset() {
	h.mu.Lock()
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// Close implements transport.Host.
func (h *PipeHost) Close() error {
	h.mu.Lock()
	h.closed = true
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	h.net.mu.Lock()
	if h.net.hosts[h.id] == h {
		delete(h.net.hosts, h.id)
	}
	h.net.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	return nil
}

// isClosed also covers a host whose Close is still closing conns.
func (h *PipeHost) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// pipe is what the two ends of a conn share.
type pipe struct {
	mu     sync.Mutex
	closed bool
}

func (p *pipe) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// PipeConn is one end of a conn.
type PipeConn struct {
	host   *PipeHost
	remote transport.Peer
	other  *PipeConn
	pipe   *pipe

	mu      sync.Mutex
	started bool
	held    []func(transport.HostHandler)
}

// Remote implements transport.Conn.
func (c *PipeConn) Remote() transport.Peer { return c.remote }

// Send implements transport.Conn.
func (c *PipeConn) Send(frame []byte) error {
	if c.pipe.isClosed() {
		return errors.New("the conn is closed")
	}
	c.other.report(func(h transport.HostHandler) { h.Frame(c.other, frame) })
	return nil
}

// Close implements transport.Conn.
func (c *PipeConn) Close() {
	c.pipe.mu.Lock()
	was := c.pipe.closed
	c.pipe.closed = true
	c.pipe.mu.Unlock()
	if was {
		return
	}
	reason := errors.New("reset")
	c.report(func(h transport.HostHandler) { h.Closed(c, reason) })
	c.other.report(func(h transport.HostHandler) { h.Closed(c.other, reason) })
}

// report tells the host's handler, once it knows the conn.
func (c *PipeConn) report(f func(transport.HostHandler)) {
	c.mu.Lock()
	if !c.started {
		c.held = append(c.held, f)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.tell(f)
}

// start reports what happened to the conn while it was being opened.
func (c *PipeConn) start() {
	for {
		c.mu.Lock()
		held := c.held
		c.held = nil
		c.started = len(held) == 0
		c.mu.Unlock()
		if len(held) == 0 {
			return
		}
		for _, f := range held {
			c.tell(f)
		}
	}
}

// tell calls the host's handler, unless the host is closed or has none.
func (c *PipeConn) tell(f func(transport.HostHandler)) {
	if c.host.handler != nil && !c.host.isClosed() {
		f(c.host.handler)
	}
}

package sim

import (
	"sync"

	"github.com/taucloud/tau/transport"
)

// Tap is the host of a hostile node: the node's engine uses it as any other, and a hostile program
// opens conns of its own beside it, on which it says what it likes.
type Tap struct {
	transport.Host
	handler transport.HostHandler

	mu  sync.Mutex
	own map[transport.Conn]transport.HostHandler
}

// Addresses implements transport.Addressed.
func (t *Tap) Addresses() []string { return t.Host.(transport.Addressed).Addresses() }

// SetAddresses implements transport.Addressed.
func (t *Tap) SetAddresses(p transport.Peer, addresses []string) {
	t.Host.(transport.Addressed).SetAddresses(p, addresses)
}

// NewTap is the host of a hostile node, over one of any world.
func NewTap(h transport.Host) *Tap {
	return &Tap{Host: h, own: map[transport.Conn]transport.HostHandler{}}
}

// Handle implements transport.Host: what is not about the program's own conns is the engine's.
func (t *Tap) Handle(h transport.HostHandler) {
	t.handler = h
	t.Host.Handle(t)
}

// Dial opens a conn past the engine. h hears of it.
func (t *Tap) Dial(to transport.Peer, class transport.Class, h transport.HostHandler, opened func(transport.Conn, error)) {
	t.Host.Open(to, class, func(c transport.Conn, err error) {
		if err == nil {
			t.mu.Lock()
			t.own[c] = h
			t.mu.Unlock()
		}
		opened(c, err)
	})
}

func (t *Tap) of(c transport.Conn) transport.HostHandler {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.own[c]; h != nil {
		return h
	}
	return t.handler
}

// Accepted implements transport.HostHandler.
func (t *Tap) Accepted(c transport.Conn) { t.handler.Accepted(c) }

// Frame implements transport.HostHandler.
func (t *Tap) Frame(c transport.Conn, frame []byte) { t.of(c).Frame(c, frame) }

// Closed implements transport.HostHandler.
func (t *Tap) Closed(c transport.Conn, err error) {
	h := t.of(c)
	t.mu.Lock()
	delete(t.own, c)
	t.mu.Unlock()
	h.Closed(c, err)
}

// Tap is that of a hostile node that is up, nil of any other.
func (w *World) Tap(name string) *Tap {
	if n := w.byName[name]; n != nil && n.life != nil {
		return n.life.tap
	}
	return nil
}

package transporttest

import (
	"errors"
	"sync"
	"time"

	"github.com/taucloud/tau/transport"
)

// shaper makes the conns of real hosts slow, or holds them, as a simulated network can. It delays
// the sending of frames: a delayed frame counts as waiting in the conn.
type shaper struct {
	mu      sync.Mutex
	speed   int // bytes a second; 0: any
	held    bool
	changed chan struct{} // closed when it has
}

func newShaper() *shaper { return &shaper{changed: make(chan struct{})} }

func (s *shaper) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// pass waits until size bytes may pass, and reports whether they do before done
// is closed.
func (s *shaper) pass(size int, done <-chan struct{}) bool {
	for {
		s.mu.Lock()
		speed, held, changed := s.speed, s.held, s.changed
		s.mu.Unlock()
		if !held && speed == 0 {
			return true
		}
		var after <-chan time.Time
		if !held {
			after = time.After(time.Duration(size) * time.Second / time.Duration(speed))
		}
		select {
		case <-after:
			return true
		case <-changed:
		case <-done:
			return false
		}
	}
}

// shapedHost is a host whose conns are shaped.
type shapedHost struct {
	transport.Host
	shaper  *shaper
	handler transport.HostHandler

	mu    sync.Mutex
	conns map[transport.Conn]*shapedConn
	tasks sync.WaitGroup
}

func (s *shaper) host(h transport.Host) *shapedHost {
	return &shapedHost{Host: h, shaper: s, conns: map[transport.Conn]*shapedConn{}}
}

// Open implements transport.Host.
func (h *shapedHost) Open(to transport.Peer, class transport.Class, opened func(transport.Conn, error)) {
	h.Host.Open(to, class, func(c transport.Conn, err error) {
		if err != nil {
			opened(nil, err)
			return
		}
		opened(h.shaped(c), nil)
	})
}

// Handle implements transport.Host.
func (h *shapedHost) Handle(handler transport.HostHandler) {
	h.handler = handler
	h.Host.Handle(h)
}

// Close implements transport.Host.
func (h *shapedHost) Close() error {
	err := h.Host.Close()
	h.mu.Lock()
	for c, shaped := range h.conns {
		shaped.end()
		delete(h.conns, c)
	}
	h.mu.Unlock()
	h.tasks.Wait()
	return err
}

// Accepted implements transport.HostHandler.
func (h *shapedHost) Accepted(c transport.Conn) { h.handler.Accepted(h.shaped(c)) }

// Frame implements transport.HostHandler.
func (h *shapedHost) Frame(c transport.Conn, frame []byte) { h.handler.Frame(h.shaped(c), frame) }

// Closed implements transport.HostHandler.
func (h *shapedHost) Closed(c transport.Conn, err error) {
	shaped := h.shaped(c)
	shaped.end()
	h.mu.Lock()
	delete(h.conns, c)
	h.mu.Unlock()
	h.handler.Closed(shaped, err)
}

// shaped is the conn above c.
func (h *shapedHost) shaped(c transport.Conn) *shapedConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	shaped := h.conns[c]
	if shaped == nil {
		shaped = &shapedConn{Conn: c, shaper: h.shaper, ready: make(chan struct{}, 1), done: make(chan struct{})}
		h.conns[c] = shaped
		h.tasks.Go(shaped.run)
	}
	return shaped
}

// shapedConn passes frames on at the shaper's speed.
type shapedConn struct {
	transport.Conn
	shaper *shaper
	ready  chan struct{}
	done   chan struct{}

	mu    sync.Mutex
	queue [][]byte
	bytes int
	ended bool
}

// Send implements transport.Conn.
func (c *shapedConn) Send(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errors.New("the conn is closed")
	}
	if c.bytes > 0 && c.bytes+len(frame) > transport.ConnQueueBytesMax {
		return errors.New("the conn's queue is full")
	}
	c.queue = append(c.queue, frame)
	c.bytes += len(frame)
	select {
	case c.ready <- struct{}{}:
	default:
	}
	return nil
}

func (c *shapedConn) run() {
	for {
		c.mu.Lock()
		var frame []byte
		if len(c.queue) > 0 {
			frame, c.queue = c.queue[0], c.queue[1:]
		}
		c.mu.Unlock()
		if frame == nil {
			select {
			case <-c.ready:
				continue
			case <-c.done:
				return
			}
		}
		if !c.shaper.pass(len(frame), c.done) || c.Conn.Send(frame) != nil {
			return
		}
		c.mu.Lock()
		c.bytes -= len(frame)
		c.mu.Unlock()
	}
}

func (c *shapedConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.done)
	}
}

// Close implements transport.Conn.
func (c *shapedConn) Close() { c.Conn.Close() }

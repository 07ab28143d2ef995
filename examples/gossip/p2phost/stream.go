package p2phost

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// conn is that a peer is connected.
type conn struct {
	network.Conn
	host   *Host
	remote peer.ID
	peer   transport.Peer
}

func (c *conn) RemotePeer() peer.ID                  { return c.remote }
func (c *conn) LocalPeer() peer.ID                   { return c.host.ID() }
func (c *conn) Stat() network.ConnStats              { return network.ConnStats{} }
func (c *conn) RemoteMultiaddr() multiaddr.Multiaddr { return nil }
func (c *conn) GetStreams() (list []network.Stream) {
	for _, s := range c.host.streamsOf(c) {
		list = append(list, s)
	}
	return list
}

// stream is one of a library. Between it and the wire are two buffers.
type stream struct {
	network.Stream
	conn  *conn
	proto protocol.ID

	mu      sync.Mutex
	arrived sync.Cond // for readers
	in, out []byte
	eof     bool
	closed  bool // for writing
	err     error
	wake    func() // the task that sends
}

// outMax bounds what a library has written and the world has not sent, in bytes.
const outMax = 4 << 20

func (s *stream) Conn() network.Conn                           { return s.conn }
func (s *stream) Protocol() protocol.ID                        { return s.proto }
func (s *stream) SetDeadline(time.Time) error                  { return nil }
func (s *stream) SetReadDeadline(time.Time) error              { return nil }
func (s *stream) SetWriteDeadline(time.Time) error             { return nil }
func (s *stream) Close() error                                 { return s.CloseWrite() }
func (s *stream) ResetWithError(network.StreamErrorCode) error { return s.Reset() }
func (s *stream) Reset() error                                 { s.fail(network.ErrReset); return nil }

// Read waits for what the world brings.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.in) == 0 && s.err == nil && !s.eof {
		s.arrived.Wait()
	}
	if s.err != nil {
		return 0, s.err
	}
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

// Write leaves bytes for the task that sends.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && len(s.out)+len(p) > outMax {
		s.err = errors.New("p2phost: too much waits to be sent")
	}
	if s.err != nil {
		return 0, s.err
	}
	s.out = append(s.out, p...)
	s.stir()
	return len(p), nil
}

func (s *stream) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.stir()
	return nil
}

func (s *stream) stir() {
	if s.wake != nil {
		s.wake()
	}
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.arrived.Broadcast()
	s.stir()
	s.mu.Unlock()
	s.conn.host.mu.Lock()
	defer s.conn.host.mu.Unlock()
	delete(s.conn.host.streams, s)
}

// carry moves bytes between the library and the wire until one of them ends.
func (s *stream) carry(ctx context.Context, l clock.Loop, wire *transport.Stream) {
	defer s.fail(network.ErrReset) // also when the node crashes
	l.Go("p2p receives", func(ctx context.Context) {
		for {
			message, err := wire.Recv(ctx)
			if err != nil {
				s.mu.Lock()
				s.eof = s.eof || errors.Is(err, io.EOF)
				s.arrived.Broadcast()
				s.mu.Unlock()
				if !errors.Is(err, io.EOF) {
					s.fail(err)
				}
				return
			}
			s.mu.Lock()
			s.in = append(s.in, message...)
			s.arrived.Broadcast()
			s.mu.Unlock()
		}
	})
	for {
		out, over, err := s.take(ctx, l)
		for len(out) > 0 && err == nil {
			n := min(len(out), 16<<10)
			err = wire.Send(ctx, out[:n])
			out = out[n:]
		}
		if err != nil {
			wire.Reset()
			return
		}
		if over {
			_ = wire.CloseWrite()
			return
		}
	}
}

// take waits for what the library has written.
func (s *stream) take(ctx context.Context, l clock.Loop) (out []byte, over bool, err error) {
	err = l.Park(ctx, func(wake func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wake = wake
		if len(s.out) > 0 || s.err != nil || s.closed {
			wake()
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = s.err
	}
	out, s.out = s.out, nil
	return out, s.closed, err
}

// Each calls f, as a task, with what next returns, in that order, until it returns an
// error. next is called on a goroutine that is not the service's.
func Each[T any](h *Host, next func(context.Context) (T, error), f func(ctx context.Context, item T)) {
	var mu sync.Mutex
	var items []T
	var wake func()
	go func() {
		for {
			item, err := next(h.ctx)
			if err != nil {
				return
			}
			mu.Lock()
			items = append(items, item)
			if wake != nil {
				wake()
			}
			mu.Unlock()
		}
	}()
	h.env.Loop.Go("p2p takes", func(ctx context.Context) {
		for {
			err := h.env.Loop.Park(ctx, func(w func()) {
				mu.Lock()
				defer mu.Unlock()
				if wake = w; len(items) > 0 {
					w()
				}
			})
			if err != nil {
				return
			}
			mu.Lock()
			list := items
			items = nil
			mu.Unlock()
			for _, item := range list {
				f(ctx, item)
			}
		}
	})
}

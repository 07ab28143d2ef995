package transport

import (
	"context"
	"net"
	"time"
)

// ByteStream is a stream as bytes, without the boundaries of messages: a net.Conn for
// code that wants one. Read and Write park the task that calls them, although they take
// no context: they end with the one that the ByteStream was made with. One task may
// read while another one writes.
type ByteStream struct {
	stream *Stream
	ctx    context.Context
	rest   []byte // of the message that is being read
	whole  []byte // that message
}

var _ net.Conn = (*ByteStream)(nil)

// NewByteStream returns a stream as bytes. The stream must not be used otherwise meanwhile.
func NewByteStream(ctx context.Context, s *Stream) *ByteStream {
	return &ByteStream{stream: s, ctx: ctx}
}

// Read implements io.Reader: io.EOF is the peer's CloseWrite.
func (b *ByteStream) Read(p []byte) (int, error) {
	for len(b.rest) == 0 && len(p) > 0 {
		message, err := b.stream.Recv(b.ctx)
		if err != nil {
			return 0, err
		}
		b.rest, b.whole = message, message
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; len(b.rest) == 0 && n > 0 {
		b.stream.recycle(b.whole)
		b.rest, b.whole = nil, nil
	}
	return n, nil
}

// Ready reports whether Read would return something without waiting.
func (b *ByteStream) Ready() bool { return len(b.rest) > 0 || b.stream.ready() }

// Write implements io.Writer.
func (b *ByteStream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+b.stream.fitting())]
		if err := b.stream.Send(b.ctx, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// CloseWrite ends our direction, in order. Reading goes on.
func (b *ByteStream) CloseWrite() error { return b.stream.CloseWrite() }

// Close ends our direction, in order, and drops whatever arrives.
func (b *ByteStream) Close() error {
	err := b.stream.CloseWrite()
	b.stream.CloseRead()
	return err
}

// Reset ends both directions at once: the peer's Read and Write fail.
func (b *ByteStream) Reset() { b.stream.Reset() }

// SetDeadline implements net.Conn. Deadlines are instants of the loop's Now, converted when they
// are set: later jumps of Now do not move them.
func (b *ByteStream) SetDeadline(t time.Time) error {
	b.stream.SetReadDeadline(b.elapsed(t))
	b.stream.SetWriteDeadline(b.elapsed(t))
	return nil
}

// SetReadDeadline implements net.Conn.
func (b *ByteStream) SetReadDeadline(t time.Time) error {
	b.stream.SetReadDeadline(b.elapsed(t))
	return nil
}

// SetWriteDeadline implements net.Conn.
func (b *ByteStream) SetWriteDeadline(t time.Time) error {
	b.stream.SetWriteDeadline(b.elapsed(t))
	return nil
}

// elapsed converts an instant to the loop's Elapsed; the result is zero only for the zero time.
func (b *ByteStream) elapsed(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	loop := b.stream.ep.loop
	left := t.Sub(loop.Now())
	if left <= 0 {
		return -1
	}
	return min(left, farthest) + loop.Elapsed()
}

// LocalAddr implements net.Conn.
func (b *ByteStream) LocalAddr() net.Addr { return addr(b.stream.ep.Self()) }

// RemoteAddr implements net.Conn.
func (b *ByteStream) RemoteAddr() net.Addr { return addr(b.stream.remote) }

// addr is a node as a net.Addr.
type addr Peer

func (addr) Network() string  { return "tau" }
func (a addr) String() string { return Peer(a).String() }

package libp2p

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// Over QUIC and TCP, a peer is dialed by QUIC first, and over TCP a little later; otherwise all at once.
func TestTheOrderOfDials(t *testing.T) {
	const tcp, tcp6, quic, ws = "/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.1/tcp/80/ws"
	for name, c := range map[string]struct {
		addrs  []string
		delays []time.Duration
	}{
		"none":            {nil, nil},
		"TCP alone":       {[]string{tcp, tcp6}, []time.Duration{0, 0}},
		"QUIC alone":      {[]string{quic}, []time.Duration{0}},
		"TCP, then QUIC":  {[]string{tcp, quic, tcp6}, []time.Duration{tcpDelay, 0, tcpDelay}},
		"WebSocket alone": {[]string{ws}, []time.Duration{0}},
		"WebSocket last":  {[]string{ws, tcp, quic}, []time.Duration{wsDelay, tcpDelay, 0}},
		"no QUIC":         {[]string{ws, tcp}, []time.Duration{wsDelay, 0}},
		"QUIC, then TCP":  {[]string{quic, tcp}, []time.Duration{0, tcpDelay}},
	} {
		var addrs []multiaddr.Multiaddr
		for _, a := range c.addrs {
			addrs = append(addrs, multiaddr.StringCast(a))
		}
		var delays []time.Duration
		for i, d := range rank(addrs) {
			require.Equal(t, addrs[i], d.Addr, name)
			delays = append(delays, d.Delay)
		}
		require.Equal(t, c.delays, delays, name)
	}
}

// A dial is refused when all its TCP addresses have failed, and not by what happens to another one.
func TestWhenADialIsRefused(t *testing.T) {
	d := &dials{open: map[peer.ID]*dial{}}
	refused := func(x *dial) bool {
		select {
		case <-x.refused:
			return true
		default:
			return false
		}
	}
	d.failed("a") // of no dial
	a, b := d.begin("a", 2), d.begin("b", 1)
	d.failed("a")
	require.False(t, refused(a))
	d.failed("a")
	require.True(t, refused(a))
	require.False(t, refused(b))
	d.failed("a") // more than there are
	d.end("a", a)
	require.Len(t, d.open, 1)
	again := d.begin("b", 1)
	d.end("b", b)
	require.Len(t, d.open, 1, "that is a later one")
	d.failed("b")
	require.True(t, refused(again) && !refused(b))
	d.end("b", again)
	require.Empty(t, d.open)
	none := d.begin("c", 0)
	d.failed("c")
	require.False(t, refused(none), "QUIC may answer")
}

// wire is the stream of a conn: what is read from it, and what was done to it.
type wire struct {
	network.Stream
	in      io.Reader
	offered int // the most room that it was read into
	out     [][]byte
	fail    error
	wrote   chan struct{}
}

func (w *wire) Read(p []byte) (int, error) {
	w.offered = max(w.offered, len(p))
	return w.in.Read(p)
}

func (w *wire) Write(p []byte) (int, error) {
	w.out = append(w.out, bytes.Clone(p))
	w.wrote <- struct{}{}
	return len(p), w.fail
}

func (w *wire) SetReadDeadline(time.Time) error { return nil }
func (w *wire) Reset() error                    { return nil }

// heard is a handler that keeps frames.
type heard struct{ frames [][]byte }

func (h *heard) Accepted(transport.Conn)      {}
func (h *heard) Closed(transport.Conn, error) {}
func (h *heard) Frame(_ transport.Conn, f []byte) {
	h.frames = append(h.frames, f)
}

// A conn hands over all frames, in order, and believes more of a peer that has sent much.
func TestAConnReads(t *testing.T) {
	whole := bytes.Repeat([]byte("x"), transport.FrameLenMax)
	for _, n := range []int{1, trustedPart + 2} {
		h, w := &heard{}, &wire{}
		var frames [][]byte
		for range n {
			frames = append(frames, whole)
		}
		frames = append(frames, []byte("last"))
		w.in = bytes.NewReader(framed(frames...))
		c := newConn(&Host{handler: h, frameTimeout: time.Second}, w, transport.Peer{})
		require.ErrorIs(t, c.read(), io.EOF)
		require.Equal(t, frames, h.frames)
		if n == 1 {
			require.Less(t, w.offered, transport.FrameLenMax)
		} else {
			require.Greater(t, w.offered, transport.FrameLenMax-bufio.NewReader(nil).Size()-8, "a whole frame at once")
		}
	}
}

// A conn takes as much as its queue has room for, and at least one frame; what was written makes room.
func TestAConnWrites(t *testing.T) {
	w := &wire{wrote: make(chan struct{}), in: bytes.NewReader(nil)}
	c := newConn(&Host{}, w, transport.Peer{7})
	require.Equal(t, transport.Peer{7}, c.Remote())
	huge := make([]byte, transport.ConnQueueBytesMax+1)
	require.NoError(t, c.Send(huge), "the first one")
	require.ErrorIs(t, c.Send([]byte("x")), errQueueFull)
	c.written(len(huge))
	c.take()
	require.NoError(t, c.Send(huge[:transport.ConnQueueBytesMax-1]))
	require.NoError(t, c.Send([]byte("x")), "the last byte")
	require.ErrorIs(t, c.Send([]byte("x")), errQueueFull)
	c.written(transport.ConnQueueBytesMax)
	c.take()
	require.NoError(t, c.Send([]byte("a")))
	require.NoError(t, c.Send([]byte("bc")))
	go c.write()
	<-w.wrote
	<-w.wrote
	require.NoError(t, c.Send([]byte("d")), "after a pause")
	<-w.wrote
	require.Equal(t, [][]byte{{1, 'a'}, {2, 'b', 'c'}, {1, 'd'}}, w.out)
	c.Close()
	c.Close()
	require.ErrorIs(t, c.Send([]byte("x")), errClosed)
	require.Empty(t, c.take())
	<-c.done

	broken := &wire{wrote: make(chan struct{}, 1), fail: errors.New("broken")}
	c = newConn(&Host{}, broken, transport.Peer{})
	require.NoError(t, c.Send([]byte("a")))
	c.write()
	require.ErrorIs(t, c.Send([]byte("x")), errClosed, "a stream that takes nothing ends the conn")
}

// A frame that is here needs no deadline, and is complete only with its length.
func TestCompleteFrames(t *testing.T) {
	for _, c := range []struct {
		ahead []byte
		want  bool
	}{
		{nil, false}, {[]byte{2, 'a'}, false}, {[]byte{2, 'a', 'b'}, true}, {[]byte{2, 'a', 'b', 'c'}, true}, {[]byte{0}, true},
		{[]byte{0x80}, false}, {bytes.Repeat([]byte{0xff}, 11), false}, {[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'a'}, false},
	} {
		r := bufio.NewReader(bytes.NewReader(c.ahead))
		_, _ = r.Peek(1)
		require.Equal(t, c.want, complete(r), "%v", c.ahead)
	}
}

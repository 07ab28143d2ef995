package transport_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// scriptHost is a Host whose dials end when the test says so, and whose conns
// keep what is sent on them.
type scriptHost struct {
	handler transport.HostHandler
	dials   []func(transport.Conn, error)
	classes []transport.Class // that were dialed
}

func (h *scriptHost) ID() transport.Peer { return peerNamed("self") }
func (h *scriptHost) Open(_ transport.Peer, class transport.Class, opened func(transport.Conn, error)) {
	h.classes = append(h.classes, class)
	h.dials = append(h.dials, opened)
}
func (h *scriptHost) Handle(handler transport.HostHandler) { h.handler = handler }
func (h *scriptHost) Close() error                         { return nil }

// open reports a conn that was opened, and has the peer say hello on it. Our own
// hello is taken out of what was sent.
func (h *scriptHost) open(t require.TestingT, c *scriptConn, class transport.Class, report func()) {
	report()
	require.Len(t, c.sent, 1)
	require.EqualValues(t, helloType, c.sent[0][0])
	_ = transport.Decode(c.sent[0][1:], &c.hello) // a later release may say more
	c.sent = nil
	h.handler.Frame(c, helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Class: class}))
}

const (
	helloType = 18
	// firstUnknownType is the lowest one that no frame of this release has.
	firstUnknownType = 21
)

func helloFrame(h transport.Hello) []byte {
	return append([]byte{helloType}, transport.Encode(h)...)
}

type scriptConn struct {
	remote transport.Peer
	hello  transport.Hello // what was said first
	sent   [][]byte        // since then
	full   bool
	closed bool
	read   int // how many of those a stage has answered
}

func (c *scriptConn) Remote() transport.Peer { return c.remote }
func (c *scriptConn) Close()                 { c.closed = true }
func (c *scriptConn) Send(frame []byte) error {
	if c.full || c.closed {
		return errors.New("no room")
	}
	c.sent = append(c.sent, frame)
	return nil
}

// scriptLoop is a clock that the test moves, over a live loop.
type scriptLoop struct {
	*clock.Live
	now    time.Duration
	timers []scriptTimer
}

type scriptTimer struct {
	at time.Duration
	f  func()
}

func (l *scriptLoop) Elapsed() time.Duration { return l.now }

// AfterFunc waits for advance, and cannot be stopped: the engine does not.
func (l *scriptLoop) AfterFunc(d time.Duration, f func()) clock.Timer {
	l.timers = append(l.timers, scriptTimer{l.now + d, f})
	return nil
}

// advance moves the clock, and calls what is due.
func (l *scriptLoop) advance(d time.Duration) {
	for until := l.now + d; ; {
		next := -1
		for i, t := range l.timers {
			if t.at <= until && (next < 0 || t.at < l.timers[next].at) {
				next = i
			}
		}
		if next < 0 {
			l.now = until
			return
		}
		t := l.timers[next]
		l.timers = slices.Delete(l.timers, next, next+1)
		l.now = max(l.now, t.at)
		t.f()
	}
}

// notes counts the notes that were sent, and not what keeps the protocol going.
func (c *scriptConn) notes() (n int) {
	for _, f := range c.sent {
		if f[0] == 5 {
			n++
		}
	}
	return n
}

// script is an engine on a scriptHost. All runs in one task.
type script struct {
	*transport.Endpoint
	t      *testing.T
	host   *scriptHost
	engine *transport.Engine
	clock  *scriptLoop
	loop   *clock.Live
	peer   transport.Peer
}

func withScript(t *testing.T, f func(ctx context.Context, s *script)) { withScriptOf(t, f) }

func withScriptOf(t *testing.T, f func(ctx context.Context, s *script), options ...transport.Option) {
	loop := clock.NewLive()
	s := &script{t: t, host: &scriptHost{}, loop: loop, clock: &scriptLoop{Live: loop}, peer: peerNamed("peer")}
	s.engine = transport.NewEngine(s.host, s.clock, transport.NewStaticDirectory(), options...)
	s.Endpoint = s.engine.Endpoint(loop)
	require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) { f(ctx, s) }))
	require.NoError(t, s.engine.Close())
	require.True(t, loop.Stop(time.Second))
}

func (s *script) tell() error { return s.Tell(s.peer, "t/note", []byte("x")) }

// dial ends the last dial.
func (s *script) dial(err error) *scriptConn {
	opened := s.host.dials[len(s.host.dials)-1]
	if err != nil {
		opened(nil, err)
		return nil
	}
	c := &scriptConn{remote: s.peer}
	s.host.open(s.t, c, transport.Control, func() { opened(c, nil) })
	return c
}

func (s *script) accept() *scriptConn { return s.acceptFrom(s.peer) }

func (s *script) acceptFrom(p transport.Peer) *scriptConn {
	c := &scriptConn{remote: p}
	s.host.open(s.t, c, transport.Control, func() { s.host.handler.Accepted(c) })
	return c
}

func TestFailedDialsBackOff(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		for i, wait := range []time.Duration{200, 400, 800, 1600, 3200, 5000, 5000} {
			require.NoError(t, s.tell())
			require.Len(t, s.host.dials, i+1)
			s.dial(errors.New("no route"))
			s.clock.now += wait*time.Millisecond - 1
			require.Equal(t, transport.Unreachable, transport.KindOf(s.tell()))
			s.clock.now++
		}
		require.NoError(t, s.tell())
		s.dial(errors.New("no route"))
		c := s.accept()
		require.NoError(t, s.tell(), "an accepted conn ends the backoff")
		require.Len(t, c.sent, 1)
		s.host.handler.Closed(c, nil)
		require.NoError(t, s.tell(), "dials again at once")
		require.Len(t, s.host.dials, 9)
	})
}

func TestWhatWaitsForADial(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		for i := range 1024 {
			require.NoError(t, s.tell(), "note %d", i)
		}
		require.Equal(t, transport.Refused, transport.KindOf(s.tell()), "bounded")
		c := s.dial(nil)
		require.Len(t, s.host.dials, 1)
		require.Equal(t, 1024, c.notes())
		require.NoError(t, s.tell())
		require.Equal(t, 1025, c.notes())
	})
	withScript(t, func(_ context.Context, s *script) {
		require.NoError(t, s.Tell(s.peer, "t/note", make([]byte, transport.MessageLenMax)))
		require.NoError(t, s.Tell(s.peer, "t/note", make([]byte, transport.MessageLenMax)))
		require.Equal(t, transport.Refused, transport.KindOf(s.Tell(s.peer, "t/note", make([]byte, transport.MessageLenMax))))
	})
}

func TestFailedDialEndsItsCalls(t *testing.T) {
	withScript(t, func(ctx context.Context, s *script) {
		s.loop.AfterFunc(0, func() { s.dial(errors.New("no route")) })
		_, err := s.Call(ctx, s.peer, "t/call", nil)
		require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
		require.ErrorContains(t, err, "no route")
		s.clock.now += time.Second
		s.loop.AfterFunc(0, func() { s.dial(errors.New("no route")) })
		_, err = s.OpenStream(ctx, s.peer, "t/stream", nil)
		require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
	})
}

func TestLostConnEndsItsCalls(t *testing.T) {
	withScript(t, func(ctx context.Context, s *script) {
		s.loop.AfterFunc(0, func() { s.host.handler.Closed(s.dial(nil), errors.New("cable cut")) })
		_, err := s.Call(ctx, s.peer, "t/call", nil)
		require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
		require.ErrorContains(t, err, "cable cut")
	})
}

func TestFirstConnCarriesWhatWeOriginate(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		require.NoError(t, s.tell())
		accepted := s.accept()
		require.Len(t, accepted.sent, 1, "need not wait for the dial")
		dialed := s.dial(nil)
		require.NoError(t, s.tell())
		require.Len(t, accepted.sent, 2, "notes stay in order")
		s.host.handler.Closed(accepted, nil)
		require.NoError(t, s.tell())
		require.Len(t, dialed.sent, 1)
	})
}

func TestRestartedPeerReplacesItsConn(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		first, second := s.accept(), s.accept()
		require.True(t, first.closed)
		s.host.handler.Closed(first, nil)
		require.NoError(t, s.tell())
		require.Len(t, second.sent, 1)
	})
	withScript(t, func(_ context.Context, s *script) {
		require.NoError(t, s.tell())
		dialed := s.dial(nil)
		s.clock.now += time.Second
		s.accept()
		require.False(t, dialed.closed, "dials crossed")
		s.clock.now += time.Minute
		s.accept()
		require.True(t, dialed.closed, "the peer would have used it")
	})
}

func TestFullQueue(t *testing.T) {
	withScript(t, func(ctx context.Context, s *script) {
		c := s.accept()
		c.full = true
		_, err := s.Call(ctx, s.peer, "t/call", nil)
		require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
		require.True(t, c.closed, "a conn that takes nothing although the window is open is broken")
	})
}

func TestBreachesOfTheProtocol(t *testing.T) {
	const open, data, end = 7, 8, 10
	for name, frames := range map[string][][]byte{
		"request id twice":      {{1, 0, 0, 1, 0, 1, 4, 'h', 'o', 'l', 'd'}, {1, 0, 0, 1, 0, 1, 4, 'h', 'o', 'l', 'd'}},
		"stream of our parity":  {{open, 2, 4, 'r', 'e', 'a', 'd'}},
		"stream 0":              {{open, 0, 4, 'r', 'e', 'a', 'd'}},
		"stream twice":          {{open, 1, 4, 'r', 'e', 'a', 'd'}, {open, 1, 4, 'r', 'e', 'a', 'd'}},
		"stream never opened":   {{data, 1}},
		"our stream, not ours":  {{data, 2}},
		"end twice":             {{open, 1, 4, 'r', 'e', 'a', 'd'}, {end, 1}, {end, 1}},
		"data after end":        {{open, 1, 4, 'r', 'e', 'a', 'd'}, {end, 1}, {data, 1}},
		"more than a window":    {{open, 1, 4, 'r', 'e', 'a', 'd'}, creditFrame(1, transport.StreamWindowMax-transport.StreamWindowMin+1)},
		"more than a conn has":  {creditFrame(0, transport.ConnWindowMax-transport.ConnWindowMin+1)},
		"more than the window":  append([][]byte{{open, 1, 4, 'r', 'e', 'a', 'd'}}, repeat([]byte{data, 1}, transport.StreamWindowMin/64+1)...),
		"more bytes than given": append([][]byte{{open, 1, 4, 'r', 'e', 'a', 'd'}}, repeat(append([]byte{data, 1}, make([]byte, 10_000)...), 3)...),
		"too long a message":    {{open, 1, 4, 'r', 'e', 'a', 'd'}, append([]byte{data, 1}, make([]byte, transport.StreamMessageLenMax+1)...)},
	} {
		withScript(t, func(_ context.Context, s *script) {
			s.Handle("hold", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
				return nil, clock.Sleep(ctx, s.loop, time.Hour)
			})
			s.HandleStream("read", transport.Anyone, func(context.Context, transport.Peer, []byte, *transport.Stream) {})
			c := s.accept()
			for i, f := range frames {
				require.False(t, c.closed, "%s: at frame %d", name, i)
				s.host.handler.Frame(c, f)
			}
			require.True(t, c.closed, name)
		})
	}
}

func repeat(frame []byte, n int) (frames [][]byte) {
	for range n {
		frames = append(frames, frame)
	}
	return frames
}

func TestEndedStreamsAreForgiven(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		c := s.accept()
		s.host.handler.Frame(c, []byte{7, 1, 4, 'n', 'o', 'n', 'e'}) // is reset
		require.Len(t, c.sent, 1)
		for _, f := range [][]byte{{8, 1, 'x'}, {9, 1, 1, 1}, {10, 1}, {11, 1, 1, 0, 0}, {2, 77}, {4, 77}} {
			s.host.handler.Frame(c, f)
		}
		require.False(t, c.closed)
	})
}

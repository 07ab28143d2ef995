package transport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	dataType   = 8
	creditType = 9
	endType    = 10
	resetType  = 11
)

func openFrame(id uint64, method string, hello ...byte) []byte {
	f := append(binary.AppendUvarint([]byte{7}, id), byte(len(method)))
	return append(append(f, method...), hello...)
}

func creditFrame(id uint64, bytes int) []byte {
	f := binary.AppendUvarint([]byte{creditType}, id)
	return binary.AppendUvarint(append(f, 0), uint64(bytes))
}

func resetFrame(id uint64, kind transport.Kind, op, text string) []byte {
	f := append(binary.AppendUvarint([]byte{resetType}, id), byte(kind), byte(len(op)))
	return append(append(append(f, op...), byte(len(text))), text...)
}

// TestStreamsAreOpened with odd ids by who dialed the conn, and even ones by the
// other.
func TestStreamsAreOpened(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		for id := uint64(2); id <= 6; id += 2 {
			st, err := s.OpenStream(ctx, s.peer, "t/s", []byte("hello"))
			require.NoError(t, err)
			require.Equal(t, s.peer, st.Remote())
			require.Equal(t, openFrame(id, "t/s", []byte("hello")...), c.sent[id/2-1])
		}
		other := peerNamed("other")
		opened := 0
		for range 3 {
			s.loop.Go("open", func(ctx context.Context) {
				_, err := s.OpenStream(ctx, other, "t/s", nil)
				require.NoError(t, err)
				opened++
			})
		}
		s.sleep(ctx, time.Second)
		require.Zero(t, opened)
		require.Len(t, s.host.dials, 1)
		dialed := s.dialed(other, transport.Control)
		s.sleep(ctx, time.Second)
		require.Equal(t, 3, opened)
		require.Equal(t, [][]byte{openFrame(1, "t/s"), openFrame(3, "t/s"), openFrame(5, "t/s")}, dialed.sent)
	})
}

// sending sends messages of some sizes, and returns how many it has sent.
func sending(s *stage, st *transport.Stream, sizes ...int) (sent *int, failed *error) {
	sent, failed = new(int), new(error)
	s.loop.Go("send", func(ctx context.Context) {
		for _, size := range sizes {
			if *failed = st.Send(ctx, make([]byte, size)); *failed != nil {
				return
			}
			*sent++
		}
	})
	return sent, failed
}

// TestSendersWaitForCredit in bytes, of which a message takes 64 more than it has: of
// their stream, and of all streams of the conn.
func TestSendersWaitForCredit(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		open := func() *transport.Stream {
			st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
			require.NoError(t, err)
			return st
		}
		settled := func(n *int) int {
			for range 5 {
				s.answer(c)
				s.sleep(ctx, 10*time.Millisecond)
			}
			c.sent, c.read = nil, 0
			return *n
		}
		many, _ := sending(s, open(), make([]int, 1000)...)
		require.Equal(t, 256, settled(many))
		s.host.handler.Frame(c, creditFrame(2, 64*3))
		require.Equal(t, 259, settled(many))

		big, _ := sending(s, open(), 10_000, 10_000, 1, 1)
		require.Equal(t, 2, settled(big))
		s.host.handler.Frame(c, creditFrame(4, 2*10_064-16<<10))
		require.Equal(t, 2, settled(big))
		s.host.handler.Frame(c, creditFrame(4, 1))
		require.Equal(t, 3, settled(big))

		used := 259*64 + 2*10_064 + 65
		for used < 256<<10 {
			size := min(16<<10, 256<<10-used)
			used += size
			full, _ := sending(s, open(), size-64)
			require.Equal(t, 1, settled(full))
		}
		last, failed := sending(s, open(), 1, 1)
		require.Zero(t, settled(last))
		s.host.handler.Frame(c, creditFrame(0, 1))
		require.Equal(t, 1, settled(last))
		s.host.handler.Frame(c, creditFrame(0, 64))
		require.Equal(t, 1, settled(last))
		s.host.handler.Frame(c, creditFrame(0, 1))
		require.Equal(t, 2, settled(last))
		require.NoError(t, *failed)
		require.False(t, c.closed)
	})
}

// TestSendersWaitForRoom: 1 MiB of stream messages of a conn waits to be sent, and
// a message more.
func TestSendersWaitForRoom(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.acceptOn(s.peer, transport.Bulk)
		s.host.handler.Frame(c, creditFrame(0, 8<<20))
		var sent []*int
		total := func() (n int) {
			for _, more := range sent {
				n += *more
			}
			return n
		}
		for range 40 {
			st, err := s.OpenStreamOn(ctx, transport.Bulk, s.peer, "t/s", nil)
			require.NoError(t, err)
			n, _ := sending(s, st, 50_000)
			sent = append(sent, n)
		}
		s.sleep(ctx, time.Second)
		waits := (1<<20)/50_003 + 1
		require.InDelta(t, waits, total(), 1, "what waits and what is on the way")
		for range 10 {
			s.answer(c)
			s.sleep(ctx, time.Second)
		}
		require.Equal(t, 40, total())
	})
}

// served is the one stream that a handler is at.
type served struct {
	*transport.Stream
	ctx  context.Context
	over func() // ends the handler
}

func (s *stage) serveStream(ctx context.Context, c *scriptConn, id uint64) *served {
	sv := &served{}
	wakes := false
	s.HandleStream("t/s", transport.Anyone, func(ctx context.Context, from transport.Peer, hello []byte, st *transport.Stream) {
		require.Equal(s.t, "hi", string(hello))
		require.Equal(s.t, s.peer, from)
		sv.Stream, sv.ctx = st, ctx
		for err := error(nil); err == nil && !wakes; {
			err = s.loop.Park(context.WithoutCancel(ctx), func(wake func()) { sv.over = func() { wakes = true; wake() } })
		}
	})
	s.host.handler.Frame(c, openFrame(id, "t/s", 'h', 'i'))
	s.sleep(ctx, time.Millisecond)
	require.NotNil(s.t, sv.Stream)
	return sv
}

func (sv *served) recv(ctx context.Context) string {
	m, err := sv.Recv(ctx)
	switch {
	case err == io.EOF:
		return "EOF"
	case err != nil:
		return transport.KindOf(err).String()
	}
	return string(m)
}

// TestHowStreamsEnd: what is received, what the peer is told, and what the
// handler hears of it.
func TestHowStreamsEnd(t *testing.T) {
	type step func(ctx context.Context, s *stage, c *scriptConn, sv *served)
	frames := func(list ...[]byte) step {
		return func(_ context.Context, s *stage, c *scriptConn, _ *served) {
			for _, f := range list {
				s.host.handler.Frame(c, f)
			}
		}
	}
	data := func(text string) []byte { return withID(dataType, 1, []byte(text)...) }
	end := withID(endType, 1)
	toldReset := resetFrame(1, transport.Unreachable, "t/s", "the peer reset the stream")
	closes := func(_ context.Context, _ *stage, _ *scriptConn, sv *served) { _ = sv.CloseWrite() }
	returns := func(_ context.Context, _ *stage, _ *scriptConn, sv *served) { sv.over() }
	resets := func(_ context.Context, _ *stage, _ *scriptConn, sv *served) { sv.Reset() }
	lost := func(_ context.Context, s *stage, c *scriptConn, _ *served) {
		s.host.handler.Closed(c, errors.New("cut"))
	}
	leaves := func(_ context.Context, s *stage, _ *scriptConn, _ *served) { s.Close() }
	for name, row := range map[string]struct {
		steps     []step
		received  []string
		told      [][]byte
		cancelled bool
		send      transport.Kind
	}{
		"data and end":                    {[]step{frames(data("a"), data(""), data("b"), end)}, []string{"a", "", "b", "EOF", "EOF"}, nil, false, 0},
		"reset":                           {[]step{frames(data("a"), resetFrame(1, transport.Conflict, "op", "why"))}, []string{"a", "conflict"}, nil, true, transport.Conflict},
		"end and reset":                   {[]step{frames(data("a"), end, resetFrame(1, transport.Conflict, "op", "why"))}, []string{"a", "EOF"}, nil, true, transport.Conflict},
		"lost conn":                       {[]step{frames(data("a")), lost}, []string{"a", "unreachable"}, nil, true, transport.Unreachable},
		"reset here":                      {[]step{frames(data("a")), resets, resets}, []string{"stopped"}, [][]byte{toldReset}, true, transport.Stopped},
		"closed":                          {[]step{frames(data("a")), closes, closes, frames(data("b"))}, []string{"a", "b"}, [][]byte{end}, false, transport.Invalid},
		"closed by both":                  {[]step{frames(data("a"), end), closes, frames(data("late"), end, creditFrame(1, 1))}, []string{"a", "EOF"}, [][]byte{end}, false, transport.Invalid},
		"closed, then reset here":         {[]step{closes, frames(data("a")), resets}, []string{"stopped"}, [][]byte{end, toldReset}, true, transport.Stopped},
		"returned":                        {[]step{frames(data("a")), returns}, []string{"stopped"}, [][]byte{toldReset}, false, transport.Stopped},
		"closed by both, then reset here": {[]step{frames(end), closes, resets}, []string{"EOF"}, [][]byte{end}, true, transport.Stopped},
		"closed, returned":                {[]step{frames(data("a")), closes, returns, frames(data("b"), end)}, []string{"EOF"}, [][]byte{end}, false, transport.Invalid},
		"left":                            {[]step{frames(data("a")), leaves}, []string{"stopped"}, [][]byte{toldReset}, true, transport.Stopped},
	} {
		onStage(t, func(ctx context.Context, s *stage) {
			c := s.accept(s.peer)
			sv := s.serveStream(ctx, c, 1)
			for _, f := range row.steps {
				f(ctx, s, c, sv)
				s.sleep(ctx, time.Millisecond)
			}
			require.Equal(t, row.cancelled || sv.ctx.Err() != nil, sv.ctx.Err() != nil, name)
			for i, want := range row.received {
				require.Equal(t, want, sv.recv(ctx), "%s: %d", name, i)
			}
			require.Equal(t, row.told, c.sent, name)
			require.Equal(t, name == "lost conn", c.closed, name)
			require.Equal(t, row.send, transport.KindOf(sv.Send(ctx, nil)), name)
			sv.over()
			s.sleep(ctx, time.Millisecond)
			require.Error(t, sv.ctx.Err())
		})
	}
}

// TestReceiversGiveCredit for half a window at a time.
func TestReceiversGiveCredit(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		for range 16 { // 16 KiB
			s.host.handler.Frame(c, withID(dataType, 1, make([]byte, 1024-64)...))
		}
		take := func(n int) {
			for range n {
				_, err := sv.Recv(ctx)
				require.NoError(t, err)
			}
		}
		take(7)
		require.Empty(t, c.sent)
		take(1)
		require.Equal(t, [][]byte{creditFrame(1, 8<<10)}, c.sent)
		take(7)
		require.Len(t, c.sent, 1)
		take(1)
		require.Equal(t, creditFrame(1, 8<<10+16<<10), c.sent[1], "the reader waits for more: the window doubles")
		c.sent = nil
		for range 5 {
			s.host.handler.Frame(c, withID(dataType, 1, make([]byte, 4096-64)...))
		}
		s.host.handler.Frame(c, withID(endType, 1))
		take(5)
		require.Empty(t, c.sent, "there is no more to come")
		require.False(t, c.closed)
	})
}

// TestStreamsThatAreOverHoldUpNoOther: what was received and not taken counts as
// taken when a stream is over, however it ended.
func TestStreamsThatAreOverHoldUpNoOther(t *testing.T) {
	for name, end := range map[string]func(s *stage, c *scriptConn, id uint64, st *transport.Stream){
		"reset": func(s *stage, c *scriptConn, id uint64, _ *transport.Stream) {
			s.host.handler.Frame(c, resetFrame(id, 2, "", ""))
		},
		"reset here": func(_ *stage, _ *scriptConn, _ uint64, st *transport.Stream) { st.Reset() },
		"closed": func(s *stage, c *scriptConn, id uint64, st *transport.Stream) {
			_ = st.CloseWrite()
			s.host.handler.Frame(c, withID(endType, id))
		},
	} {
		onStage(t, func(ctx context.Context, s *stage) {
			c := s.accept(s.peer)
			message := bytes.Repeat([]byte{1}, 4000-64)
			var credit, sent int
			for range 200 {
				st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
				require.NoError(t, err)
				id, _ := binary.Uvarint(c.sent[len(c.sent)-1][1:])
				for range 5 {
					s.host.handler.Frame(c, withID(dataType, id, message...))
					sent += 4000
				}
				end(s, c, id, st)
				require.False(t, c.closed, "%s after %d bytes", name, sent)
				for _, f := range c.sent {
					if f[0] == creditType && f[1] == 0 {
						_, n := binary.Uvarint(f[3:])
						require.Positive(t, n)
						bytes, _ := binary.Uvarint(f[3:])
						credit += int(bytes)
					}
				}
				c.sent = nil
			}
			require.Greater(t, sent, 3<<20)
			require.LessOrEqual(t, sent-credit, transport.ConnWindowMin/2+20_000, name)
			require.LessOrEqual(t, credit, sent)
		})
	}
}

// TestWaitsOnStreamsEnd with what the caller's context says.
func TestWaitsOnStreamsEnd(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		short, cancel := clock.WithTimeout(ctx, s.loop, time.Second)
		defer cancel()
		start := s.loop.Elapsed()
		_, err := sv.Recv(short)
		require.Equal(t, transport.Timeout, transport.KindOf(err), "%v", err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "t/s: timeout")
		require.Equal(t, time.Second, s.loop.Elapsed()-start)
		own := errors.New("a cause of its own")
		given, end := context.WithCancelCause(ctx)
		s.loop.AfterFunc(time.Second, func() { end(own) })
		_, err = sv.Recv(given)
		require.Equal(t, transport.Stopped, transport.KindOf(err), "%v", err)
		for _, size := range []int{transport.StreamMessageLenMax + 1} {
			require.Equal(t, transport.Invalid, transport.KindOf(sv.Send(ctx, make([]byte, size))))
		}
		short, cancel = clock.WithTimeout(ctx, s.loop, time.Second)
		defer cancel()
		_, err = s.OpenStream(short, peerNamed("other"), "t/s", nil)
		require.Equal(t, transport.Timeout, transport.KindOf(err), "%v", err)
		late := s.dialed(peerNamed("other"), transport.Control)
		require.Empty(t, late.sent, "nobody wants it any more")
		s.host.handler.Frame(c, openFrame(3, "none"))
		require.Equal(t, resetFrame(3, transport.Refused, "none", "not served here"), c.sent[len(c.sent)-1])
		sv.over()
	})
}

// TestPeersThatNeverEndAStream cost a bounded number of streams: of those that we have
// closed, the oldest are reset.
func TestPeersThatNeverEndAStream(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		closedMax := 2 * transport.HandlersPerPeerMax
		var list []*transport.Stream
		for range closedMax + 300 {
			st, err := s.OpenStream(ctx, s.peer, "t/stream", nil)
			require.NoError(t, err)
			require.NoError(t, st.CloseWrite())
			if len(list)%2 == 0 {
				st.CloseRead()
			} else {
				st.CloseRead() // once more makes no difference
				st.CloseRead()
			}
			list = append(list, st)
		}
		kept, err := s.OpenStream(ctx, s.peer, "t/stream", nil)
		require.NoError(t, err)
		var reset []byte
		for _, f := range s.whole(c) {
			if f[0] == resetType {
				reset = append(reset, f[1])
			}
		}
		require.Len(t, reset, 300)
		require.Equal(t, []byte{2, 4, 6}, reset[:3], "the oldest")
		s.host.handler.Frame(c, withID(endType, 2))
		require.False(t, c.closed, "it may have ended meanwhile")
		require.NoError(t, kept.Send(ctx, []byte("others go on")))
	})
}

// TestStreamsThatThePeerEndsAreOver, however many they are: they displace no others.
func TestStreamsThatThePeerEndsAreOver(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		for i := range 5 * transport.HandlersPerPeerMax {
			st, err := s.OpenStream(ctx, s.peer, "t/stream", nil)
			require.NoError(t, err)
			require.NoError(t, st.CloseWrite())
			st.CloseRead()
			if i%3 > 0 { // 426 are not ended
				s.host.handler.Frame(c, withID(endType, st.ID()))
			}
		}
		for _, f := range s.whole(c) {
			require.NotEqual(t, byte(resetType), f[0])
		}
	})
}

// TestNoCreditForWhatIsOver: when the peer has ended its half, nobody needs credit.
func TestNoCreditForWhatIsOver(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		for range 3 {
			s.host.handler.Frame(c, withID(dataType, 1, make([]byte, 5000)...))
		}
		s.host.handler.Frame(c, withID(endType, 1))
		for range 3 {
			require.Len(t, sv.recv(ctx), 5000)
		}
		require.Equal(t, "EOF", sv.recv(ctx))
		require.Empty(t, c.sent)
		sv.over()
	})
}

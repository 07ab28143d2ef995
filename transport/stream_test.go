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

func creditFrame(id uint64, messages, bytes int) []byte {
	f := binary.AppendUvarint([]byte{creditType}, id)
	return binary.AppendUvarint(binary.AppendUvarint(f, uint64(messages)), uint64(bytes))
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

// TestSendersWaitForCredit for messages, for bytes, and for the bytes of all
// streams of the conn.
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
		many, _ := sending(s, open(), make([]int, 100)...)
		require.Equal(t, 64, settled(many))
		s.host.handler.Frame(c, creditFrame(2, 3, 0))
		require.Equal(t, 67, settled(many))

		big, _ := sending(s, open(), 600_000, 600_000, 1, 1)
		require.Equal(t, 2, settled(big))
		s.host.handler.Frame(c, creditFrame(4, 2, 1_200_000-1<<20))
		require.Equal(t, 2, settled(big))
		s.host.handler.Frame(c, creditFrame(4, 0, 1))
		require.Equal(t, 3, settled(big))

		used := 1_200_001
		for used < 16<<20 {
			size := min(1<<20, 16<<20-used)
			used += size
			full, _ := sending(s, open(), size)
			require.Equal(t, 1, settled(full))
		}
		last, failed := sending(s, open(), 1, 1)
		require.Zero(t, settled(last))
		s.host.handler.Frame(c, creditFrame(0, 0, 1))
		require.Equal(t, 1, settled(last))
		s.host.handler.Frame(c, creditFrame(0, 0, 1))
		require.Equal(t, 2, settled(last))
		require.NoError(t, *failed)
		require.False(t, c.closed)
		s.host.handler.Frame(c, creditFrame(0, 0, 16<<20))
		require.False(t, c.closed, "all that was used")
		s.host.handler.Frame(c, creditFrame(0, 0, 1))
		require.True(t, c.closed, "more than was used")
	})
}

// TestSendersWaitForRoom: 1 MiB of stream messages of a conn waits to be sent, and
// a message more.
func TestSendersWaitForRoom(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		var sent []*int
		for range 3 {
			st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
			require.NoError(t, err)
			n, _ := sending(s, st, 700_000)
			sent = append(sent, n)
		}
		s.sleep(ctx, time.Second)
		require.Equal(t, 2, *sent[0]+*sent[1]+*sent[2])
		require.Len(t, s.whole(c), 5, "three were opened, and two messages came")
		s.sleep(ctx, time.Second)
		require.Equal(t, 3, *sent[0]+*sent[1]+*sent[2])
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
	s.HandleStream("t/s", func(ctx context.Context, from transport.Peer, hello []byte, st *transport.Stream) {
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
	closes := func(_ context.Context, _ *stage, _ *scriptConn, sv *served) { _ = sv.Close() }
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
		"closed by both":                  {[]step{frames(data("a"), end), closes, frames(data("late"), end, creditFrame(1, 1, 1))}, []string{"a", "EOF"}, [][]byte{end}, false, transport.Invalid},
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

// TestReceiversGiveCredit for half a window of messages or bytes at a time, and
// for half of what all streams of the conn may have.
func TestReceiversGiveCredit(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		feed := func(n, size int) {
			for range n {
				s.host.handler.Frame(c, withID(dataType, 1, make([]byte, size)...))
			}
		}
		take := func(n int) {
			for range n {
				_, err := sv.Recv(ctx)
				require.NoError(t, err)
			}
		}
		feed(64, 10)
		take(31)
		require.Empty(t, c.sent)
		take(1)
		require.Equal(t, [][]byte{creditFrame(1, 32, 320)}, c.sent)
		take(32)
		require.Equal(t, creditFrame(1, 32, 320), c.sent[1])
		c.sent = nil
		const size = 1 << 15 // 16 of them are half a window
		total := 640
		for total < 8<<20 {
			n := min(16, (8<<20-total+size-1)/size)
			feed(n, size)
			take(n - 1)
			require.Empty(t, c.sent, "%d", total)
			take(1)
			total += n * size
			if n == 16 {
				require.Equal(t, creditFrame(1, 16, 16*size), c.sent[len(c.sent)-1])
			}
			if total < 8<<20 {
				require.Len(t, c.sent, 1)
				c.sent = nil
			}
		}
		require.Equal(t, creditFrame(0, 0, total), c.sent[0])
		c.sent = nil
		feed(5, size)
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
			_ = st.Close()
			s.host.handler.Frame(c, withID(endType, id))
		},
	} {
		onStage(t, func(ctx context.Context, s *stage) {
			c := s.accept(s.peer)
			message := bytes.Repeat([]byte{1}, 1<<16-100)
			var credit, sent int
			for range 40 {
				st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
				require.NoError(t, err)
				id := uint64(c.sent[len(c.sent)-1][1])
				for range 10 {
					s.frame(c, uint64(sent+1), withID(dataType, id, message...))
					sent += len(message)
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
			require.Greater(t, sent, 20<<20)
			require.Less(t, sent-credit, 8<<20+len(message), name)
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
		for _, size := range []int{transport.MessageLenMax + 1} {
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

package transport_test

import (
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// TestDeadlinesOfStreams end what waits, and what begins later, until they are moved.
func TestDeadlinesOfStreams(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		passed := func(err error) {
			require.Equal(t, transport.Timeout, transport.KindOf(err), "%v", err)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		began := s.loop.Elapsed()
		sv.SetReadDeadline(began + time.Second)
		_, err := sv.Recv(ctx)
		passed(err)
		require.Equal(t, began+time.Second, s.loop.Elapsed())
		s.host.handler.Frame(c, withID(dataType, 1, 'a'))
		_, err = sv.Recv(ctx)
		passed(err)
		sv.SetReadDeadline(0)
		require.Equal(t, "a", sv.recv(ctx))

		sv.SetReadDeadline(s.loop.Elapsed() + time.Second)
		s.loop.AfterFunc(time.Second/2, func() { sv.SetReadDeadline(s.loop.Elapsed() + time.Second) })
		began = s.loop.Elapsed()
		_, err = sv.Recv(ctx)
		passed(err)
		require.Equal(t, began+time.Second*3/2, s.loop.Elapsed(), "the last one that was set counts")

		sv.SetReadDeadline(s.loop.Elapsed() + time.Hour)
		s.loop.AfterFunc(time.Second, func() { sv.SetReadDeadline(1) })
		_, err = sv.Recv(ctx)
		passed(err)
		require.NoError(t, sv.Send(ctx, []byte("x")), "the other direction goes on")

		sv.SetWriteDeadline(s.loop.Elapsed() + time.Second)
		for err = nil; err == nil; err = sv.Send(ctx, make([]byte, 1000)) {
		}
		passed(err)
		sv.SetWriteDeadline(0)
		s.host.handler.Frame(c, creditFrame(1, 1000))
		s.answer(c)
		require.NoError(t, sv.Send(ctx, nil))
		sv.over()
	})
}

// TestByteStream is a stream without the boundaries of its messages.
func TestByteStream(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		conn := transport.NewByteStream(ctx, sv.Stream)
		require.Equal(t, s.Self().String(), conn.LocalAddr().String())
		require.Equal(t, s.peer.String(), conn.RemoteAddr().String())
		for _, text := range []string{"one", "", "two"} {
			s.host.handler.Frame(c, withID(dataType, 1, []byte(text)...))
		}
		two := make([]byte, 2)
		for _, want := range []string{"on", "e", "tw", "o"} {
			n, err := conn.Read(two)
			require.NoError(t, err)
			require.Equal(t, want, string(two[:n]))
		}
		require.NoError(t, conn.SetReadDeadline(s.loop.Now().Add(time.Second)))
		_, err := conn.Read(two)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, conn.SetDeadline(time.Time{}))
		s.host.handler.Frame(c, creditFrame(1, 1<<20))
		s.host.handler.Frame(c, creditFrame(0, 1<<20))
		n, err := conn.Write(make([]byte, 100_000))
		require.NoError(t, err)
		require.Equal(t, 100_000, n)
		require.NoError(t, conn.CloseWrite())
		s.host.handler.Frame(c, withID(dataType, 1, 'x'))
		s.host.handler.Frame(c, withID(endType, 1))
		n, err = conn.Read(two)
		require.NoError(t, err)
		require.Equal(t, 1, n, "half closed, it still reads")
		_, err = conn.Read(two)
		require.Equal(t, io.EOF, err)
		total := 0
		for range 20 {
			s.sleep(ctx, time.Millisecond)
			total = 0
			for _, f := range s.whole(c) {
				if f[0] == dataType {
					require.LessOrEqual(t, len(f)-2, transport.StreamMessageLenMax)
					total += len(f) - 2
				}
			}
		}
		require.Equal(t, 100_000, total)
		sv.over()
	})
}

// TestByteStreamsStayInTheWindow: one may write any length at once, but no message
// exceeds what the peer has granted.
func TestByteStreamsStayInTheWindow(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		conn := transport.NewByteStream(ctx, sv.Stream)
		written := -1
		s.loop.Go("write", func(context.Context) { written, _ = conn.Write(make([]byte, 100_000)) })
		onTheWay := func() (bytes int) {
			s.sleep(ctx, time.Millisecond)
			for _, f := range s.whole(c) {
				if f[0] == dataType {
					bytes += len(f) - 2 + 64
				}
			}
			return bytes
		}
		granted := transport.StreamWindowMin
		require.Equal(t, granted, onTheWay())
		for _, more := range []int{3000, 20_000} {
			s.host.handler.Frame(c, creditFrame(1, more))
			granted += more
			require.GreaterOrEqual(t, onTheWay(), granted)
			require.Less(t, onTheWay(), granted+transport.StreamWindowMin, "at most as much more as a new stream has")
		}
		require.Equal(t, -1, written)
		s.host.handler.Frame(c, creditFrame(1, 1<<20))
		onTheWay()
		s.sleep(ctx, time.Millisecond)
		require.Equal(t, 100_000, written)
		sv.over()
	})
}

// TestCloseRead drops what comes and lets the peer go on.
func TestCloseRead(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		s.host.handler.Frame(c, withID(dataType, 1, make([]byte, 10_000)...))
		sv.CloseRead()
		require.Equal(t, [][]byte{creditFrame(1, 10_064+16<<10)}, c.sent)
		s.host.handler.Frame(c, withID(dataType, 1, 'x'))
		short, cancel := clock.WithTimeout(ctx, s.loop, time.Second)
		defer cancel()
		_, err := sv.Recv(short)
		require.Equal(t, transport.Invalid, transport.KindOf(err), "%v", err)
		require.NoError(t, sv.Send(ctx, []byte("x")))
		sv.over()
	})
}

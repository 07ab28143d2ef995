package transport_test

import (
	"bytes"
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// within is a context that ends soon.
func (s *stage) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return clock.WithTimeout(ctx, s.loop, d)
}

// TestResetGivesTheConnItsCreditBack: what was queued and never left is nothing that
// the peer could give credit for.
func TestResetGivesTheConnItsCreditBack(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		var streams []*transport.Stream
		for used := 0; used < transport.ConnWindowMin; {
			st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
			require.NoError(t, err)
			streams = append(streams, st)
			for range 2 {
				if used < transport.ConnWindowMin {
					require.NoError(t, st.Send(ctx, make([]byte, 15_000)))
					used += 15_064
				}
			}
		}
		for _, st := range streams {
			require.NoError(t, st.CloseWrite())
		}
		last, err := s.OpenStream(ctx, s.peer, "t/s", nil)
		require.NoError(t, err)
		sent, failed := sending(s, last, 1000)
		s.sleep(ctx, time.Second)
		require.Zero(t, *sent, "the conn's credit is used up")
		for _, st := range streams {
			st.Reset()
		}
		s.sleep(ctx, time.Second)
		require.Equal(t, 1, *sent)
		require.NoError(t, *failed)
		got := 0
		for range 50 {
			s.sleep(ctx, 10*time.Millisecond)
			got = 0
			for _, f := range s.whole(c) {
				if f[0] == dataType {
					got += len(f) - 2 + 64
				}
			}
		}
		// All that the peer has not got, to the byte.
		more := 0
		for got+more < transport.ConnWindowMin {
			st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
			require.NoError(t, err)
			size := min(16_000, transport.ConnWindowMin-got-more-64)
			short, cancel := s.within(ctx, time.Minute)
			s.loop.AfterFunc(time.Millisecond, func() { s.answer(c) })
			require.NoError(t, st.Send(short, make([]byte, max(0, size))))
			cancel()
			more += max(0, size) + 64
		}
		st, err := s.OpenStream(ctx, s.peer, "t/s", nil)
		require.NoError(t, err)
		short, cancel := s.within(ctx, time.Second)
		defer cancel()
		require.Equal(t, transport.Timeout, transport.KindOf(st.Send(short, nil)), "and no more than that")
	})
}

// TestFarDeadlines are never, and those of long ago have passed.
func TestFarDeadlines(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		sv := s.serveStream(ctx, c, 1)
		conn := transport.NewByteStream(ctx, sv.Stream)
		one := make([]byte, 1)
		for _, far := range []time.Time{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(math.MaxInt32<<4, 0)} {
			require.NoError(t, conn.SetDeadline(far))
			_, err := conn.Write(one)
			require.NoError(t, err)
			s.host.handler.Frame(c, withID(dataType, 1, 'x'))
			_, err = conn.Read(one)
			require.NoError(t, err)
		}
		for _, past := range []time.Time{time.Unix(1, 0), time.Time{}.Add(1), s.loop.Now()} {
			require.NoError(t, conn.SetDeadline(past))
			_, err := conn.Write(one)
			require.Equal(t, transport.Timeout, transport.KindOf(err))
			_, err = conn.Read(one)
			require.Equal(t, transport.Timeout, transport.KindOf(err))
		}
		sv.SetReadDeadline(math.MinInt64)
		_, err := sv.Recv(ctx)
		require.Equal(t, transport.Timeout, transport.KindOf(err))
		sv.over()
	})
}

// TestAbandonedStreamsTakePlaces: a peer that opens streams and never ends them, after
// the handlers have, gets no more of them than places.
func TestAbandonedStreamsTakePlaces(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		served := 0
		s.HandleStream("t/s", transport.Anyone, func(_ context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
			served++
			require.NoError(t, st.CloseWrite())
		})
		c := s.accept(s.peer)
		const most = transport.HandlersPerPeerMax
		for i := range most + 10 {
			s.host.handler.Frame(c, openFrame(uint64(2*i+1), "t/s"))
			s.sleep(ctx, time.Millisecond)
			s.answer(c)
		}
		require.Equal(t, most, served)
		refused := bytes.Count(c.types(0), []byte{resetType})
		require.Equal(t, 10, refused)
		for i := range 3 {
			s.host.handler.Frame(c, withID(endType, uint64(2*i+1)))
			s.host.handler.Frame(c, resetFrame(uint64(2*i+101), transport.Stopped, "t/s", ""))
		}
		for i := range 10 {
			s.host.handler.Frame(c, openFrame(uint64(10_001+2*i), "t/s"))
			s.sleep(ctx, time.Millisecond)
		}
		require.Equal(t, most+6, served)
		s.host.handler.Closed(c, context.Canceled)
		c = s.accept(s.peer)
		s.host.handler.Frame(c, openFrame(1, "t/s"))
		s.sleep(ctx, time.Millisecond)
		require.Equal(t, most+7, served)
	})
}

// TestManyStreamsWaitForADial and are all opened by it.
func TestManyStreamsWaitForADial(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		opened := 0
		for range 1000 {
			s.loop.Go("open", func(ctx context.Context) {
				_, err := s.OpenStream(ctx, s.peer, "a/method/with/a/name/that/is/rather/long", make([]byte, transport.HelloLenMax))
				require.NoError(t, err)
				opened++
			})
		}
		s.sleep(ctx, time.Second)
		c := s.dialed(s.peer, transport.Control)
		s.sleep(ctx, time.Second)
		require.False(t, c.closed)
		require.Equal(t, 1000, opened)
	})
}

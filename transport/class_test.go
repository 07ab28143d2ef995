package transport_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const retireType = 19

// calling has a task call a method of a class, and returns how that ended.
func calling(s *stage, to transport.Peer, class transport.Class, size int) (err *error, over *bool) {
	err, over = new(error), new(bool)
	s.loop.Go("call", func(ctx context.Context) {
		_, *err = s.CallOn(transport.Patient(ctx, time.Hour), class, to, "t/call", make([]byte, size))
		*over = true
	})
	return err, over
}

// TestBulkTakesNothingFromControl: neither bulk conns on which nothing moves nor
// all the room there is for bulk hold up what is sent on a control conn.
func TestBulkTakesNothingFromControl(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		control := s.accept(s.peer)
		for i := range 6 {
			peer := peerNamed(fmt.Sprint("bulk ", i))
			s.acceptOn(peer, transport.Bulk)
			for range 4 {
				calling(s, peer, transport.Bulk, 3<<20)
			}
		}
		stalled := s.acceptOn(s.peer, transport.Bulk)
		calling(s, s.peer, transport.Bulk, 1<<20)
		s.sleep(ctx, time.Second)
		before := len(stalled.sent)
		require.NoError(t, s.Tell(s.peer, "t/note", make([]byte, 100)))
		calling(s, s.peer, transport.Control, 3<<20)
		s.sleep(ctx, time.Second)
		whole := s.whole(control)
		require.Len(t, whole[0], 100+2+len("t/note"))
		for range 300 {
			whole = s.whole(control)
			s.sleep(ctx, time.Millisecond)
		}
		require.Len(t, whole, 2, "the note and the request")
		require.Len(t, stalled.sent, before)
		require.Empty(t, s.host.dials)
	})
}

// TestEachClassHasPlaces for requests of its own.
func TestEachClassHasPlaces(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		s.Handle("t/hold", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
			return nil, clock.Sleep(ctx, s.loop, time.Hour)
		})
		s.Handle("t/echo", transport.Anyone, echo)
		bulk, control := s.acceptOn(s.peer, transport.Bulk), s.accept(s.peer)
		for i := range transport.HandlersPerPeerMax + 1 {
			s.host.handler.Frame(bulk, request(uint64(i+1), 1_000_000, "t/hold", nil))
		}
		require.Equal(t, []byte{3}, bulk.types(0), "one is refused")
		s.host.handler.Frame(control, request(1, 1000, "t/echo", []byte("x")))
		s.sleep(ctx, time.Millisecond)
		require.Equal(t, [][]byte{{2, 1, 'x'}}, control.sent)
	})
}

// TestUnusedBulkConnsAreRetired by who dialed them, and dialed again when there is
// need.
func TestUnusedBulkConnsAreRetired(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		s.Handle("t/echo", transport.Anyone, echo)
		control := s.accept(s.peer)
		failure, over := calling(s, s.peer, transport.Bulk, 10)
		s.sleep(ctx, time.Millisecond)
		require.Equal(t, []transport.Class{transport.Bulk}, s.host.classes)
		bulk := s.dialed(s.peer, transport.Control) // the class that it says is of no account
		s.sleep(ctx, 3*transport.BulkIdleTime)
		require.Equal(t, []byte{1}, bulk.types(0), "a call waits for its answer")
		s.host.handler.Frame(bulk, []byte{2, 1})
		s.sleep(ctx, transport.BulkIdleTime-time.Second)
		require.True(t, *over)
		require.NoError(t, *failure)
		require.Equal(t, []byte{1}, bulk.types(0))
		s.sleep(ctx, transport.BulkIdleTime+2*time.Second)
		require.Equal(t, []byte{1, retireType}, bulk.types(0))
		s.host.handler.Frame(bulk, request(7, 1000, "t/echo", []byte("sent before that was known")))
		s.sleep(ctx, time.Millisecond)
		require.Equal(t, []byte{1, retireType, 2}, bulk.types(0))
		calling(s, s.peer, transport.Bulk, 10)
		s.sleep(ctx, time.Millisecond)
		require.Len(t, s.host.dials, 2, "another conn for what is new")
		second := s.dialed(s.peer, transport.Control)
		s.sleep(ctx, time.Millisecond)
		require.Equal(t, []byte{1}, second.types(0))
		require.False(t, bulk.closed)
		s.sleep(ctx, 3*transport.BulkIdleTime)
		require.True(t, bulk.closed, "whatever the peer does")
		require.False(t, second.closed)
		require.False(t, control.closed)
		require.Empty(t, control.sent)
	})
}

// TestConnsThatThePeerRetires are closed when what goes on is done, and used for
// nothing new.
func TestConnsThatThePeerRetires(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		idle := s.acceptOn(s.peer, transport.Bulk)
		s.sleep(ctx, 10*transport.BulkIdleTime)
		require.False(t, idle.closed, "that is the dialer's business")
		s.host.handler.Frame(idle, []byte{retireType})
		require.True(t, idle.closed)

		busy := s.acceptOn(s.peer, transport.Bulk)
		failure, over := calling(s, s.peer, transport.Bulk, 10)
		s.sleep(ctx, time.Millisecond)
		s.host.handler.Frame(busy, []byte{retireType})
		calling(s, s.peer, transport.Bulk, 10)
		s.sleep(ctx, 5*transport.BulkIdleTime)
		require.False(t, busy.closed)
		require.Equal(t, []byte{1}, busy.types(0))
		require.Len(t, s.host.dials, 1)
		next := s.acceptOn(s.peer, transport.Bulk)
		require.False(t, busy.closed, "it is no predecessor that died")
		require.Equal(t, []byte{1}, next.types(0))
		s.host.handler.Frame(busy, []byte{2, 1})
		s.sleep(ctx, 2*transport.BulkIdleTime)
		require.True(t, *over)
		require.NoError(t, *failure)
		require.True(t, busy.closed)
		require.False(t, next.closed)
	})
}

// TestOpenStreamsAreNoIdleConn: a conn on which a stream is open is in use, whoever has
// opened it and however long nothing passes.
func TestOpenStreamsAreNoIdleConn(t *testing.T) {
	for _, ours := range []bool{true, false} {
		onStage(t, func(ctx context.Context, s *stage) {
			var st *transport.Stream
			s.loop.Go("open", func(ctx context.Context) {
				opened, err := s.OpenStreamOn(ctx, transport.Bulk, s.peer, "t/stream", nil)
				require.NoError(t, err)
				if st = opened; !ours {
					st.Reset()
				}
			})
			s.sleep(ctx, time.Millisecond)
			c := s.dialed(s.peer, transport.Bulk)
			s.sleep(ctx, time.Millisecond)
			var sv *served
			if !ours {
				sv = s.serveStream(ctx, c, 2)
			}
			before := len(c.sent)
			s.sleep(ctx, 5*transport.BulkIdleTime)
			require.Empty(t, c.types(before), "it is not retired (ours: %t)", ours)
			require.False(t, c.closed)
			if ours {
				st.Reset()
			} else {
				sv.over()
			}
			s.sleep(ctx, 5*transport.BulkIdleTime)
			require.Contains(t, c.types(before), byte(retireType))
			require.True(t, c.closed)
		})
	}
}

// TestRedialsOvertakeRetirements: a peer that has retired a conn, and dials another one
// whose hello comes first, says so: what we have on the old one goes on. A peer that
// does not say so has restarted.
func TestRedialsOvertakeRetirements(t *testing.T) {
	for _, retired := range []bool{true, false} {
		onStage(t, func(ctx context.Context, s *stage) {
			first := s.acceptOn(s.peer, transport.Bulk)
			failure, over := calling(s, s.peer, transport.Bulk, 10)
			st, err := s.OpenStreamOn(ctx, transport.Bulk, s.peer, "t/stream", nil)
			require.NoError(t, err)
			s.sleep(ctx, time.Millisecond)
			require.Len(t, first.sent, 2)
			second := &scriptConn{remote: s.peer}
			s.host.handler.Accepted(second)
			s.host.handler.Frame(second, helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Class: transport.Bulk, Retired: retired}))
			require.Equal(t, !retired, first.closed)
			s.sleep(ctx, time.Millisecond)
			require.Equal(t, !retired, *over)
			before := len(second.sent)
			calling(s, s.peer, transport.Bulk, 10)
			s.sleep(ctx, time.Millisecond)
			require.Equal(t, []byte{1}, second.types(before), "what is new goes over the new one")
			if !retired {
				return
			}
			s.host.handler.Frame(first, []byte{retireType})
			require.NoError(t, st.Send(ctx, []byte("goes on")))
			s.host.handler.Frame(first, withID(typeResponse, 1, 'x'))
			s.sleep(ctx, time.Millisecond)
			require.True(t, *over)
			require.NoError(t, *failure)
			require.False(t, first.closed)
			st.Reset()
			s.sleep(ctx, 3*transport.BulkIdleTime)
			require.True(t, first.closed)
			require.False(t, second.closed)
		})
	}
	onStage(t, func(ctx context.Context, s *stage) { // the other end of it
		for range 2 {
			_, over := calling(s, s.peer, transport.Bulk, 10)
			s.sleep(ctx, time.Millisecond)
			first := s.dialed(s.peer, transport.Bulk)
			require.False(t, first.hello.Retired)
			s.host.handler.Frame(first, withID(typeResponse, uint64(first.sent[0][5])))
			s.sleep(ctx, 2*transport.BulkIdleTime+time.Second)
			require.True(t, *over)
			require.Contains(t, first.types(0), byte(retireType))
			require.False(t, first.closed)
			_, over = calling(s, s.peer, transport.Bulk, 10)
			s.sleep(ctx, time.Millisecond)
			second := s.dialed(s.peer, transport.Bulk)
			require.True(t, second.hello.Retired)
			s.host.handler.Frame(second, withID(typeResponse, uint64(second.sent[0][5])))
			s.sleep(ctx, 5*transport.BulkIdleTime)
			require.True(t, *over)
			require.True(t, first.closed)
			require.True(t, second.closed)
		}
	})
}

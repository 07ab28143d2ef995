package transporttest

import (
	"context"
	"io"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

var lifeCases = []testCase{
	{"life/restart", 2, restartedPeerIsReached},
	{"life/restart-pending", 2, restartEndsWhatIsPending},
	{"life/endpoint-close", 2, closedEndpointEndsWhatItServes},
	{"life/caller-gone", 2, handlerEndsWithItsCaller},
}

func restartedPeerIsReached(s *suite) {
	s.Endpoint(1).Handle("t/echo", transport.Anyone, echo)
	s.Do(0, func(ctx context.Context) {
		_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", nil)
		assert.NoError(s, err)
	})
	s.Restart(1)
	s.Endpoint(1).Handle("t/echo", transport.Anyone, echo)
	s.Do(0, func(ctx context.Context) {
		var err error
		reached := eventually(ctx, s.loop(0), func() bool { return s.callShortly(ctx, 0, 1, &err) })
		assert.True(s, reached, "%v", err)
	})
	s.Endpoint(0).Handle("t/echo", transport.Anyone, echo)
	s.Do(1, func(ctx context.Context) {
		var err error
		reached := eventually(ctx, s.loop(1), func() bool { return s.callShortly(ctx, 1, 0, &err) })
		assert.True(s, reached, "%v", err)
	})
}

func (s *suite) callShortly(ctx context.Context, from, to int, err *error) bool {
	short, cancel := clock.WithTimeout(ctx, s.loop(from), time.Second)
	defer cancel()
	_, *err = s.Endpoint(from).Call(short, s.peer(to), "t/echo", nil)
	return *err == nil
}

// serveForever has node i hold every call and stream; held counts the calls that it has.
func (s *suite) serveForever(i int) {
	server := s.Endpoint(i)
	server.Handle("t/hold", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		s.held.Add(1)
		return nil, clock.Sleep(ctx, server.Loop(), time.Hour)
	})
	server.HandleStream("t/hold-stream", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		_ = st.Send(ctx, []byte("here"))
		_ = clock.Sleep(ctx, server.Loop(), time.Hour)
	})
}

// pending holds how a call and a stream end that node 0 has at node 1.
type pending struct {
	began            bool
	callErr, recvErr error
}

func (s *suite) startPending() *pending {
	p := &pending{}
	s.Do(0, func(ctx context.Context) {
		ep := s.Endpoint(0)
		ep.Loop().Go("pending call", func(ctx context.Context) {
			long, cancel := clock.WithTimeout(ctx, ep.Loop(), time.Hour)
			defer cancel()
			_, p.callErr = ep.Call(long, s.peer(1), "t/hold", nil)
		})
		ep.Loop().Go("pending stream", func(ctx context.Context) {
			st, err := ep.OpenStream(ctx, s.peer(1), "t/hold-stream", nil)
			if !assert.NoError(s, err) {
				return
			}
			_, err = st.Recv(ctx)
			assert.NoError(s, err)
			p.began = true
			_, p.recvErr = st.Recv(ctx)
		})
		assert.True(s, eventually(ctx, ep.Loop(), func() bool { return p.began && s.held.Load() > 0 }))
	})
	return p
}

func (s *suite) checkPendingEnded(p *pending) {
	s.Do(0, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(0), func() bool { return p.callErr != nil && p.recvErr != nil }), "still pending")
		assert.Equal(s, transport.Unreachable, transport.KindOf(p.callErr), "%v", p.callErr)
		assert.Equal(s, transport.Unreachable, transport.KindOf(p.recvErr), "%v", p.recvErr)
	})
}

func restartEndsWhatIsPending(s *suite) {
	s.serveForever(1)
	p := s.startPending()
	s.Restart(1)
	s.checkPendingEnded(p)
}

func closedEndpointEndsWhatItServes(s *suite) {
	s.serveForever(1)
	p := s.startPending()
	s.Do(1, func(context.Context) { s.Endpoint(1).Close() })
	s.checkPendingEnded(p)
	s.Do(0, func(ctx context.Context) {
		_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/hold", nil)
		assert.Equal(s, transport.Refused, transport.KindOf(err), "%v", err)
	})
	s.Do(1, func(ctx context.Context) {
		_, err := s.Endpoint(1).Call(ctx, s.peer(0), "t/echo", nil)
		assert.Equal(s, transport.Stopped, transport.KindOf(err), "%v", err)
		assert.ErrorIs(s, err, clock.ErrStopped)
		assert.Equal(s, transport.Stopped, transport.KindOf(s.Endpoint(1).Tell(s.peer(0), "t/note", nil)))
	})
}

func handlerEndsWithItsCaller(s *suite) {
	var callErr, streamErr error
	server := s.Endpoint(1)
	server.Handle("t/wait", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		callErr = clock.Sleep(ctx, server.Loop(), time.Hour)
		return nil, callErr
	})
	server.HandleStream("t/read", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		_ = st.Send(ctx, []byte("here"))
		_, streamErr = st.Recv(ctx)
	})
	s.Do(0, func(ctx context.Context) {
		ep := s.Endpoint(0)
		ep.Loop().Go("caller", func(ctx context.Context) {
			long, cancel := clock.WithTimeout(ctx, ep.Loop(), time.Hour)
			defer cancel()
			_, _ = ep.Call(long, s.peer(1), "t/wait", nil)
		})
		st, err := ep.OpenStream(ctx, s.peer(1), "t/read", nil)
		if !assert.NoError(s, err) {
			return
		}
		_, err = st.Recv(ctx)
		assert.NoError(s, err)
		assert.NoError(s, clock.Sleep(ctx, ep.Loop(), 200*time.Millisecond))
	})
	s.Restart(0)
	s.Do(1, func(ctx context.Context) {
		ended := eventually(ctx, s.loop(1), func() bool { return callErr != nil && streamErr != nil })
		assert.True(s, ended, "call %v, stream %v", callErr, streamErr)
		assert.NotEqual(s, io.EOF, streamErr)
	})
}

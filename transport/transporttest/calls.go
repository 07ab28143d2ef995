package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

var callCases = []testCase{
	{"call", 2, callReturnsTheResponse},
	{"call/big", 2, callCarriesMessagesUpToTheBound},
	{"call/kinds", 2, callErrorsKeepTheirKind},
	{"call/unknown-method", 2, unknownMethodIsRefused},
	{"call/deadline", 2, deadlineCrossesTheWire},
	{"call/default-deadline", 2, callHasADeadlineAnyway},
	{"call/cancel", 2, cancelCrossesTheWire},
	{"call/unreachable", 1, nobodyIsUnreachable},
	{"call/concurrent", 3, callsRunConcurrently},
	{"call/busy", 2, tooManyHandlersAreRefused},
	{"call/self", 1, selfIsServed},
}

func echo(_ context.Context, _ transport.Peer, request []byte) ([]byte, error) { return request, nil }

func callReturnsTheResponse(s *suite) {
	s.Endpoint(1).Handle("t/who", transport.Anyone, func(_ context.Context, from transport.Peer, request []byte) ([]byte, error) {
		return append(from[:], request...), nil
	})
	s.Do(0, func(ctx context.Context) {
		for _, request := range []string{"", "a", "hello"} {
			got, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/who", []byte(request))
			assert.NoError(s, err)
			self := s.peer(0)
			assert.Equal(s, string(self[:])+request, string(got))
		}
	})
}

func callCarriesMessagesUpToTheBound(s *suite) {
	s.Endpoint(1).Handle("t/echo", transport.Anyone, echo)
	s.Endpoint(1).Handle("t/huge", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) {
		return make([]byte, transport.MessageLenMax+1), nil
	})
	s.Do(0, func(ctx context.Context) {
		request := bytes.Repeat([]byte("0123456789abcdef"), transport.MessageLenMax/16)
		request = append(request, make([]byte, transport.MessageLenMax-len(request))...)
		got, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", request)
		assert.NoError(s, err)
		assert.True(s, bytes.Equal(request, got), "%d bytes came back as %d", len(request), len(got))
		_, err = s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", append(request, 0))
		assert.Equal(s, transport.Invalid, transport.KindOf(err), "%v", err)
		_, err = s.Endpoint(0).Call(ctx, s.peer(1), "t/huge", nil)
		assert.Equal(s, transport.Internal, transport.KindOf(err), "%v", err)
	})
}

func callErrorsKeepTheirKind(s *suite) {
	long := strings.Repeat("x", 2000)
	table := []struct{ returned, want error }{
		{transport.New(transport.Internal, "t/op", "a bug"), transport.New(transport.Internal, "t/op", "a bug")},
		{transport.New(transport.Unreachable, "t/op", "far"), transport.New(transport.Unreachable, "t/op", "far")},
		{transport.New(transport.Timeout, "t/op", "late"), transport.New(transport.Timeout, "t/op", "late")},
		{transport.New(transport.NotFound, "", ""), transport.New(transport.NotFound, "t/fail", "")},
		{transport.New(transport.Conflict, "t/op", "stale"), transport.New(transport.Conflict, "t/op", "stale")},
		{transport.New(transport.Refused, "t/op", "no"), transport.New(transport.Refused, "t/op", "no")},
		{transport.New(transport.Invalid, "t/op", "what"), transport.New(transport.Invalid, "t/op", "what")},
		{transport.New(transport.Stopped, "t/op", "bye"), transport.New(transport.Unreachable, "t/op", "bye")},
		{errors.New("plain"), transport.New(transport.Internal, "t/fail", "plain")},
		{fmt.Errorf("wrapped: %w", transport.New(transport.NotFound, "a", "b")), transport.New(transport.NotFound, "t/fail", "wrapped: a: not found: b")},
		{context.DeadlineExceeded, transport.New(transport.Timeout, "t/fail", "context deadline exceeded")},
		{transport.New(transport.Conflict, "t/op", long), transport.New(transport.Conflict, "t/op", long[:1024])},
	}
	s.Endpoint(1).Handle("t/fail", transport.Anyone, func(_ context.Context, _ transport.Peer, request []byte) ([]byte, error) {
		return []byte("not returned"), table[request[0]].returned
	})
	s.Do(0, func(ctx context.Context) {
		for i, row := range table {
			response, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/fail", []byte{byte(i)})
			assert.Nil(s, response)
			if e := (*transport.Error)(nil); assert.ErrorAs(s, err, &e) {
				assert.Equal(s, row.want.Error(), e.Error())
				assert.ErrorIs(s, err, &transport.Error{Kind: transport.KindOf(row.want)})
			}
		}
	})
}

func unknownMethodIsRefused(s *suite) {
	s.Do(0, func(ctx context.Context) {
		_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/unknown", nil)
		assert.Equal(s, transport.Refused, transport.KindOf(err), "%v", err)
	})
}

func deadlineCrossesTheWire(s *suite) {
	var left time.Duration
	var ended error
	server := s.Endpoint(1)
	server.Handle("t/wait", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		left, _ = clock.Remaining(ctx)
		ended = clock.Sleep(ctx, server.Loop(), time.Hour)
		return nil, ended
	})
	s.Do(0, func(ctx context.Context) {
		began := s.loop(0).Elapsed()
		short, cancel := clock.WithTimeout(ctx, s.loop(0), time.Second)
		defer cancel()
		_, err := s.Endpoint(0).Call(short, s.peer(1), "t/wait", nil)
		assert.Equal(s, transport.Timeout, transport.KindOf(err), "%v", err)
		assert.Less(s, s.loop(0).Elapsed()-began, 5*time.Second)
		_, err = s.Endpoint(0).Call(short, s.peer(1), "t/wait", nil)
		assert.Equal(s, transport.Timeout, transport.KindOf(err), "%v", err)
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return ended != nil }), "the handler still waits")
		assert.ErrorIs(s, ended, context.DeadlineExceeded)
		assert.LessOrEqual(s, left, time.Second)
		assert.Positive(s, left)
	})
}

func callHasADeadlineAnyway(s *suite) {
	s.Endpoint(1).Handle("t/left", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		left, bounded := clock.Remaining(ctx)
		return transport.Encode(left), map[bool]error{false: errors.New("no deadline")}[bounded]
	})
	s.Do(0, func(ctx context.Context) {
		var left time.Duration
		raw, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/left", nil)
		assert.NoError(s, err)
		assert.NoError(s, transport.Decode(raw, &left))
		assert.LessOrEqual(s, left, transport.CallTimeout)
		assert.Greater(s, left, transport.CallTimeout/2)
	})
}

func cancelCrossesTheWire(s *suite) {
	var ended error
	var began atomic.Bool
	server := s.Endpoint(1)
	server.Handle("t/wait", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		began.Store(true)
		ended = clock.Sleep(ctx, server.Loop(), time.Hour)
		return nil, ended
	})
	s.Do(0, func(ctx context.Context) {
		long, stop := clock.WithTimeout(ctx, s.loop(0), time.Hour)
		defer stop()
		cancelled, cancel := context.WithCancel(long)
		s.loop(0).Go("cancel", func(ctx context.Context) {
			assert.True(s, eventually(ctx, s.loop(0), began.Load), "the handler does not begin")
			cancel()
		})
		_, err := s.Endpoint(0).Call(cancelled, s.peer(1), "t/wait", nil)
		assert.Equal(s, transport.Stopped, transport.KindOf(err), "%v", err)
		assert.ErrorIs(s, err, context.Canceled)
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return ended != nil }), "the handler still waits")
		assert.ErrorIs(s, ended, context.Canceled)
	})
}

func nobodyIsUnreachable(s *suite) {
	nobody := transport.NewIdentity([]byte("nobody")).Peer()
	s.Do(0, func(ctx context.Context) {
		for range 3 {
			_, err := s.Endpoint(0).Call(ctx, nobody, "t/echo", nil)
			assert.Equal(s, transport.Unreachable, transport.KindOf(err), "%v", err)
			_, err = s.Endpoint(0).OpenStream(ctx, nobody, "t/stream", nil)
			assert.Equal(s, transport.Unreachable, transport.KindOf(err), "%v", err)
		}
	})
}

func callsRunConcurrently(s *suite) {
	const calls = 100
	for i := range 3 {
		server := s.Endpoint(i)
		server.Handle("t/slow", transport.Anyone, func(ctx context.Context, _ transport.Peer, request []byte) ([]byte, error) {
			err := clock.Sleep(ctx, server.Loop(), time.Duration(request[0])*time.Millisecond)
			return request, err
		})
	}
	s.Do(0, func(ctx context.Context) {
		err := clock.First(ctx, s.loop(0), calls, calls, func(ctx context.Context, i int) error {
			request := []byte{byte(i), byte(i % 3)}
			got, err := s.Endpoint(0).Call(ctx, s.peer(i%3), "t/slow", request)
			assert.Equal(s, request, got)
			return err
		})
		assert.NoError(s, err)
	})
}

func tooManyHandlersAreRefused(s *suite) {
	const more = 10
	server, released := s.Endpoint(1), false
	server.Handle("t/hold", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		eventually(ctx, server.Loop(), func() bool { return released })
		return nil, nil
	})
	server.HandleTell("t/release", transport.Anyone, func(context.Context, transport.Peer, []byte) { released = true })
	s.Do(0, func(ctx context.Context) {
		refused, served := 0, 0
		n := transport.HandlersPerPeerMax + more
		err := clock.First(ctx, s.loop(0), n, n, func(ctx context.Context, _ int) error {
			_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/hold", nil)
			if transport.KindOf(err) != transport.Refused {
				served++
				return err
			}
			if refused++; refused == more {
				err = s.Endpoint(0).Tell(s.peer(1), "t/release", nil)
				assert.NoError(s, err)
			}
			return nil
		})
		assert.NoError(s, err)
		assert.Equal(s, more, refused)
		assert.Equal(s, transport.HandlersPerPeerMax, served)
		_, err = s.Endpoint(0).Call(ctx, s.peer(1), "t/hold", nil)
		assert.NoError(s, err, "places are not given back")
	})
}

func selfIsServed(s *suite) {
	ep, notes := s.Endpoint(0), 0
	turn := false
	ep.Handle("t/echo", transport.Anyone, func(_ context.Context, from transport.Peer, request []byte) ([]byte, error) {
		assert.False(s, turn, "served in the caller's turn")
		assert.Equal(s, s.peer(0), from)
		return request, nil
	})
	ep.HandleTell("t/note", transport.Anyone, func(context.Context, transport.Peer, []byte) { notes++ })
	ep.HandleStream("t/stream", transport.Anyone, echoStream(s))
	s.Do(0, func(ctx context.Context) {
		request := []byte("me")
		got, err := ep.Call(ctx, ep.Self(), "t/echo", request)
		assert.NoError(s, err)
		assert.Equal(s, "me", string(got))
		turn = true
		assert.NoError(s, ep.Tell(ep.Self(), "t/note", nil))
		assert.Zero(s, notes, "handled in the sender's turn")
		turn = false
		assert.True(s, eventually(ctx, ep.Loop(), func() bool { return notes == 1 }))
		_, err = ep.Call(ctx, ep.Self(), "t/unknown", nil)
		assert.Equal(s, transport.Refused, transport.KindOf(err), "%v", err)
		checkEcho(ctx, s, ep, ep.Self(), 100)
	})
}

package transporttest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

var apartCases = []testCase{
	{"apart/streams", 2, streamsHaveLoops},
	{"apart/reset", 2, resetEndsTheLoop},
	{"apart/close", 2, closedEndpointEndsItsLoops},
	{"apart/http", 2, requestsShareWhatIsOwned},
	{"apart/mistakes", 1, handlersThatShareAreRefused},
}

// streamHandler serves the streams of a test, as handler does requests.
type streamHandler func(ctx context.Context, s *transport.Stream)

// SharedByLoops implements clock.Shared.
func (streamHandler) SharedByLoops() {}

// ServeStream implements transport.StreamHandler.
func (h streamHandler) ServeStream(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
	h(ctx, st)
}

// streamsHaveLoops: a handler sleeps, has deadlines, calls, opens streams and starts tasks
// on its own loop; what streams have in common is in turns.
func streamsHaveLoops(s *suite) {
	s.Endpoint(0).Handle("t/echo", transport.Anyone, echo)
	s.Endpoint(0).HandleStream("t/stream", transport.Anyone, echoStream(s))
	total := clock.Own(s.loop(1), 0)
	s.Endpoint(1).HandleStreamApart("t/apart", transport.Anyone, streamHandler(func(ctx context.Context, st *transport.Stream) {
		ep := st.Endpoint()
		assert.NotSame(s, s.Endpoint(1), ep)
		assert.Equal(s, s.peer(1), ep.Self())
		assert.NoError(s, clock.Sleep(ctx, ep.Loop(), time.Millisecond))
		st.SetReadDeadline(ep.Loop().Elapsed() + time.Minute)
		for {
			message, err := st.Recv(ctx)
			if err == io.EOF {
				break
			}
			if !assert.NoError(s, err) {
				return
			}
			assert.NoError(s, total.With(ctx, ep.Loop(), func(n *int) { *n += len(message) }))
			answer, err := ep.Call(ctx, s.peer(0), "t/echo", message)
			assert.NoError(s, err)
			ep.Loop().Go("answer", func(ctx context.Context) { assert.NoError(s, st.Send(ctx, answer)) })
		}
		checkEcho(ctx, s, ep, s.peer(0), 3)
		assert.NoError(s, st.CloseWrite())
	}))
	const streams, messages = 20, 10
	s.Do(0, func(ctx context.Context) {
		assert.NoError(s, clock.First(ctx, s.loop(0), streams, streams, func(ctx context.Context, i int) error {
			st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/apart", nil)
			if err != nil {
				return err
			}
			for range messages {
				assert.NoError(s, st.Send(ctx, number(i)))
				got, err := st.Recv(ctx)
				assert.NoError(s, err)
				assert.Equal(s, number(i), got)
			}
			assert.NoError(s, st.CloseWrite())
			drain(ctx, s, st)
			return nil
		}))
	})
	s.Do(1, func(context.Context) { assert.Equal(s, streams*messages*len(number(0)), *total.Here()) })
}

// resetEndsTheLoop: a handler on a loop of its own hears that its peer has gone.
func resetEndsTheLoop(s *suite) {
	ended := clock.Own(s.loop(1), error(nil))
	s.Endpoint(1).HandleStreamApart("t/apart", transport.Anyone, streamHandler(func(ctx context.Context, st *transport.Stream) {
		loop := st.Endpoint().Loop()
		err := clock.Sleep(ctx, loop, time.Hour)
		assert.NoError(s, ended.With(context.WithoutCancel(ctx), loop, func(e *error) { *e = err }))
	}))
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/apart", nil)
		assert.NoError(s, err)
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 200*time.Millisecond))
		st.Reset()
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return *ended.Here() != nil }))
		assert.ErrorIs(s, *ended.Here(), context.Canceled)
	})
}

// closedEndpointEndsItsLoops: when a service leaves the network, so do its streams on
// loops of their own, and what their handlers were asking.
func closedEndpointEndsItsLoops(s *suite) {
	type outcome struct{ recv, call error }
	ended := clock.Own(s.loop(1), outcome{})
	s.serveForever(0)
	s.Endpoint(1).HandleStreamApart("t/apart", transport.Anyone, streamHandler(func(ctx context.Context, st *transport.Stream) {
		ep := st.Endpoint()
		assert.NoError(s, st.Send(ctx, []byte("here")))
		_, call := ep.Call(context.WithoutCancel(ctx), s.peer(0), "t/hold", nil)
		_, recv := st.Recv(context.WithoutCancel(ctx))
		assert.NoError(s, ended.With(context.WithoutCancel(ctx), ep.Loop(), func(o *outcome) { o.call, o.recv = call, recv }))
	}))
	var st *transport.Stream
	s.Do(0, func(ctx context.Context) {
		var err error
		st, err = s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/apart", nil)
		assert.NoError(s, err)
		_, err = st.Recv(ctx)
		assert.NoError(s, err)
	})
	s.Do(1, func(ctx context.Context) {
		s.Endpoint(1).Close()
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return ended.Here().recv != nil }))
		assert.Equal(s, transport.Stopped, transport.KindOf(ended.Here().call), "%v", ended.Here().call)
		assert.Equal(s, transport.Stopped, transport.KindOf(ended.Here().recv), "%v", ended.Here().recv)
	})
	s.Do(0, func(ctx context.Context) {
		_, err := st.Recv(ctx)
		assert.Equal(s, transport.Unreachable, transport.KindOf(err), "%v", err)
	})
}

// visits counts requests by their path, and forwards those that are not for it.
type visits struct {
	counts *clock.Owned[map[string]int]
	next   transport.Peer
}

// ServeHTTP implements http.Handler.
func (v visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ep := httpstream.Endpoint(r)
	if path, forward := strings.CutPrefix(r.URL.Path, "/next"); forward {
		r.URL.Path = path
		response, err := httpstream.Do(r.Context(), ep, v.next, httpMethod, r)
		if err == nil {
			_, err = io.Copy(w, response.Body)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	_ = v.counts.With(r.Context(), ep.Loop(), func(counts *map[string]int) { (*counts)[r.URL.Path]++ })
	_, _ = io.Copy(w, r.Body)
}

// requestsShareWhatIsOwned: requests that are served at once count in one map, and are
// passed on over the endpoints of their own loops.
func requestsShareWhatIsOwned(s *suite) {
	const requests = 60
	counts := clock.Own(s.loop(0), map[string]int{})
	httpstream.Serve(s.Endpoint(0), httpMethod, transport.Anyone, visits{counts: counts})
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, visits{counts: clock.Own(s.loop(1), map[string]int{}), next: s.peer(0)})
	s.Do(0, func(ctx context.Context) {
		assert.NoError(s, clock.First(ctx, s.loop(0), requests, requests, func(ctx context.Context, i int) error {
			status, text, _ := s.text(ctx, "POST", "/next/"+string(rune('a'+i%3)), strings.NewReader("body"))
			assert.Equal(s, []any{200, "body"}, []any{status, text})
			return nil
		}))
		assert.Equal(s, map[string]int{"/a": requests / 3, "/b": requests / 3, "/c": requests / 3}, *counts.Here())
	})
}

// pointing is a handler through which its streams could reach the same.
type pointing struct{ count *int }

// ServeStream implements transport.StreamHandler.
func (p pointing) ServeStream(context.Context, transport.Peer, []byte, *transport.Stream) { *p.count++ }

// handlersThatShareAreRefused, at once and in both worlds.
func handlersThatShareAreRefused(s *suite) {
	ep := s.Endpoint(0)
	assert.PanicsWithValue(s, "transport: the handler of t/apart cannot have loops of its own: clock: "+
		"transporttest.pointing.count is a *int, through which loops that run at once could reach the same: keep it in a clock.Owned",
		func() { ep.HandleStreamApart("t/apart", transport.Anyone, pointing{count: new(int)}) })
	assert.Panics(s, func() {
		httpstream.Serve(ep, httpMethod, transport.Anyone, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	})
}

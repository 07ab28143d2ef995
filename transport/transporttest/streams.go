package transporttest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

var streamCases = []testCase{
	{"stream/echo", 2, streamEchoes},
	{"stream/half-close", 2, halfClosedStreamStillReceives},
	{"stream/back-pressure", 2, slowReceiverParksTheSender},
	{"stream/back-pressure-bytes", 2, bigMessagesParkTheSender},
	{"stream/reset-by-opener", 2, resetEndsTheHandler},
	{"stream/reset-by-return", 2, returningHandlerResets},
	{"stream/close-unread", 2, handlerMayCloseWithoutReading},
	{"stream/unknown-method", 2, unknownStreamIsRefused},
	{"stream/after-close", 2, sendAfterCloseIsInvalid},
	{"stream/recv-deadline", 2, recvEndsWithItsContext},
	{"stream/many", 2, streamsShareAConn},
}

// echoStream sends back what comes, and the hello first.
func echoStream(s *suite) func(context.Context, transport.Peer, []byte, *transport.Stream) {
	return func(ctx context.Context, _ transport.Peer, hello []byte, st *transport.Stream) {
		assert.NoError(s, st.Send(ctx, hello))
		for {
			message, err := st.Recv(ctx)
			if err == io.EOF {
				break
			}
			if !assert.NoError(s, err) || !assert.NoError(s, st.Send(ctx, message)) {
				return
			}
		}
		assert.NoError(s, st.CloseWrite())
	}
}

// checkEcho opens an echo stream and sends n messages one by one.
func checkEcho(ctx context.Context, s *suite, ep *transport.Endpoint, to transport.Peer, n int) {
	st, err := ep.OpenStream(ctx, to, "t/stream", []byte("hello"))
	if !assert.NoError(s, err) {
		return
	}
	got, err := st.Recv(ctx)
	assert.NoError(s, err)
	assert.Equal(s, "hello", string(got))
	for i := range n {
		if !assert.NoError(s, st.Send(ctx, number(i))) {
			return
		}
		got, err := st.Recv(ctx)
		if !assert.NoError(s, err) {
			return
		}
		assert.Equal(s, number(i), got)
	}
	assert.NoError(s, st.CloseWrite())
	_, err = st.Recv(ctx)
	assert.Equal(s, io.EOF, err)
}

// drain receives until the peer has closed.
func drain(ctx context.Context, s *suite, st *transport.Stream) {
	for {
		if _, err := st.Recv(ctx); err != nil {
			assert.Equal(s, io.EOF, err)
			return
		}
	}
}

func streamEchoes(s *suite) {
	s.Endpoint(1).HandleStream("t/stream", transport.Anyone, echoStream(s))
	s.Do(0, func(ctx context.Context) { checkEcho(ctx, s, s.Endpoint(0), s.peer(1), 200) })
}

func halfClosedStreamStillReceives(s *suite) {
	s.Endpoint(1).HandleStream("t/sum", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		sum := 0
		for {
			message, err := st.Recv(ctx)
			if err != nil {
				assert.Equal(s, io.EOF, err)
				break
			}
			sum += int(binary.BigEndian.Uint32(message))
		}
		assert.NoError(s, st.Send(ctx, number(sum)))
		assert.NoError(s, st.CloseWrite())
	})
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/sum", nil)
		if !assert.NoError(s, err) {
			return
		}
		for i := range 300 {
			assert.NoError(s, st.Send(ctx, number(i)))
		}
		assert.NoError(s, st.CloseWrite())
		got, err := st.Recv(ctx)
		assert.NoError(s, err)
		assert.Equal(s, number(300*299/2), got)
		_, err = st.Recv(ctx)
		assert.Equal(s, io.EOF, err)
	})
}

func slowReceiverParksTheSender(s *suite) {
	checkBackPressure(s, 4, 1000, inWindow(transport.StreamWindowMin, 4))
}

func bigMessagesParkTheSender(s *suite) {
	checkBackPressure(s, 7000, 40, inWindow(transport.StreamWindowMin, 7000))
}

// inWindow is how many messages of a size may be in flight: each counts 64 bytes
// more, and the last one may exceed the window.
func inWindow(window, size int) int { return (window + size + 63) / (size + 64) }

// checkBackPressure sends messages of a size to a receiver that does not read at
// first, and expects that inFlight of them are sent meanwhile.
func checkBackPressure(s *suite, size, messages, inFlight int) {
	server, reading, read := s.Endpoint(1), false, 0
	server.HandleTell("t/read", transport.Anyone, func(context.Context, transport.Peer, []byte) { reading = true })
	server.HandleStream("t/slow", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		eventually(ctx, server.Loop(), func() bool { return reading })
		for {
			message, err := st.Recv(ctx)
			if err != nil {
				assert.Equal(s, io.EOF, err)
				break
			}
			assert.Equal(s, number(read), message[:4])
			assert.Len(s, message, size)
			read++
		}
		assert.NoError(s, st.CloseWrite())
	})
	sent := 0
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/slow", nil)
		if !assert.NoError(s, err) {
			return
		}
		s.loop(0).Go("sender", func(ctx context.Context) {
			for i := range messages {
				assert.NoError(s, st.Send(ctx, append(number(i), make([]byte, size-4)...)))
				sent++
			}
			assert.NoError(s, st.CloseWrite())
		})
		assert.True(s, eventually(ctx, s.loop(0), func() bool { return sent == inFlight }), "sent %d", sent)
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 300*time.Millisecond))
		assert.Equal(s, inFlight, sent, "the sender was not held back")
		assert.NoError(s, s.Endpoint(0).Tell(s.peer(1), "t/read", nil))
		_, err = st.Recv(ctx)
		assert.Equal(s, io.EOF, err)
		assert.Equal(s, messages, sent)
	})
	s.Do(1, func(context.Context) { assert.Equal(s, messages, read) })
}

func resetEndsTheHandler(s *suite) {
	var recvErr, ctxErr error
	server := s.Endpoint(1)
	server.HandleStream("t/wait", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		_, recvErr = st.Recv(ctx)
		ctxErr = clock.Sleep(ctx, server.Loop(), time.Hour)
	})
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/wait", nil)
		if !assert.NoError(s, err) {
			return
		}
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 300*time.Millisecond))
		st.Reset()
		_, err = st.Recv(ctx)
		assert.Equal(s, transport.Stopped, transport.KindOf(err), "%v", err)
		assert.Equal(s, transport.Stopped, transport.KindOf(st.Send(ctx, nil)))
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return ctxErr != nil }), "the handler still waits")
		assert.ErrorIs(s, ctxErr, context.Canceled)
		// The context ends a turn later than the stream, or before Recv looks.
		kind := transport.KindOf(recvErr)
		assert.True(s, kind == transport.Unreachable || errors.Is(recvErr, context.Canceled), "%v", recvErr)
	})
}

func returningHandlerResets(s *suite) {
	s.Endpoint(1).HandleStream("t/one", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		assert.NoError(s, st.Send(ctx, []byte("only")))
	})
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/one", nil)
		if !assert.NoError(s, err) {
			return
		}
		got, err := st.Recv(ctx)
		assert.NoError(s, err)
		assert.Equal(s, "only", string(got))
		_, err = st.Recv(ctx)
		assert.Equal(s, transport.Unreachable, transport.KindOf(err), "%v", err)
		assert.Equal(s, transport.Unreachable, transport.KindOf(st.Send(ctx, nil)))
	})
}

func handlerMayCloseWithoutReading(s *suite) {
	s.Endpoint(1).HandleStream("t/deaf", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		assert.NoError(s, st.Send(ctx, []byte("enough")))
		assert.NoError(s, st.CloseWrite())
	})
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/deaf", nil)
		if !assert.NoError(s, err) {
			return
		}
		for i := range 5 * transport.StreamWindowMin / 64 {
			if !assert.NoError(s, st.Send(ctx, number(i))) {
				return
			}
		}
		assert.NoError(s, st.CloseWrite())
		got, err := st.Recv(ctx)
		assert.NoError(s, err)
		assert.Equal(s, "enough", string(got))
		_, err = st.Recv(ctx)
		assert.Equal(s, io.EOF, err)
	})
}

func unknownStreamIsRefused(s *suite) {
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/unknown", nil)
		if !assert.NoError(s, err) {
			return
		}
		_, err = st.Recv(ctx)
		assert.Equal(s, transport.Refused, transport.KindOf(err), "%v", err)
	})
}

func sendAfterCloseIsInvalid(s *suite) {
	s.Endpoint(1).HandleStream("t/stream", transport.Anyone, echoStream(s))
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/stream", nil)
		if !assert.NoError(s, err) {
			return
		}
		assert.Equal(s, transport.Invalid, transport.KindOf(st.Send(ctx, make([]byte, transport.StreamMessageLenMax+1))))
		assert.NoError(s, st.CloseWrite())
		assert.NoError(s, st.CloseWrite())
		assert.Equal(s, transport.Invalid, transport.KindOf(st.Send(ctx, nil)))
		drain(ctx, s, st)
	})
}

func recvEndsWithItsContext(s *suite) {
	s.Endpoint(1).HandleStream("t/stream", transport.Anyone, echoStream(s))
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/stream", nil)
		if !assert.NoError(s, err) {
			return
		}
		_, err = st.Recv(ctx)
		assert.NoError(s, err)
		short, cancel := clock.WithTimeout(ctx, s.loop(0), 100*time.Millisecond)
		defer cancel()
		_, err = st.Recv(short)
		assert.Equal(s, transport.Timeout, transport.KindOf(err), "%v", err)
		assert.NoError(s, st.Send(ctx, []byte("still works")))
		got, err := st.Recv(ctx)
		assert.NoError(s, err)
		assert.Equal(s, "still works", string(got))
		assert.NoError(s, st.CloseWrite())
		drain(ctx, s, st)
	})
}

func streamsShareAConn(s *suite) {
	for i := range 2 {
		s.Endpoint(i).HandleStream("t/stream", transport.Anyone, echoStream(s))
	}
	done := false
	s.Do(1, func(context.Context) {
		s.loop(1).Go("other way", func(ctx context.Context) {
			checkEcho(ctx, s, s.Endpoint(1), s.peer(0), 50)
			done = true
		})
	})
	s.Do(0, func(ctx context.Context) {
		err := clock.First(ctx, s.loop(0), 20, 20, func(ctx context.Context, _ int) error {
			checkEcho(ctx, s, s.Endpoint(0), s.peer(1), 20)
			return nil
		})
		assert.NoError(s, err)
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return done }))
	})
}

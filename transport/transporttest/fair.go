package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

var fairCases = []testCase{
	{"fair/backlog", 2, backlogLeavesRoomForBeacons},
	{"fair/patience", 2, bigAnswerMayTakeItsTime},
	{"fair/abandoned", 2, abandonedAnswersDoNotClogTheLink},
	{"fair/stalled-peer", 2, stalledPeerCostsNobodyHisCalls},
	{"fair/idle-readers", 2, readersThatDoNotReadHoldUpNoCalls},
}

// serveBig makes node i answer with as many KiB as the request says.
func (s *suite) serveBig(i int) {
	s.Endpoint(i).Handle("t/big", transport.Anyone, func(_ context.Context, _ transport.Peer, request []byte) ([]byte, error) {
		var kib int
		_, err := fmt.Sscan(string(request), &kib)
		return make([]byte, kib<<10), err
	})
}

// backlogLeavesRoomForBeacons: while one big answer is on its way over a slow
// link, notes and small answers of the same node pass it.
func backlogLeavesRoomForBeacons(s *suite) {
	s.serveBig(1)
	s.Endpoint(1).Handle("t/echo", transport.Anyone, echo)
	beacons, echoes, over := 0, 0, false
	s.Endpoint(0).HandleTell("t/beacon", transport.Anyone, func(context.Context, transport.Peer, []byte) { beacons++ })
	s.Do(0, func(ctx context.Context) {
		_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", nil)
		assert.NoError(s, err)
	})
	s.Shape(1 << 20)
	s.Do(1, func(context.Context) {
		s.loop(1).Go("beacons", func(ctx context.Context) {
			for !over && s.Endpoint(1).Tell(s.peer(0), "t/beacon", nil) == nil {
				_ = clock.Sleep(ctx, s.loop(1), 50*time.Millisecond)
			}
		})
	})
	s.Do(0, func(ctx context.Context) {
		s.loop(0).Go("echoes", func(ctx context.Context) {
			for {
				if _, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", []byte("x")); err != nil {
					return
				}
				echoes++
			}
		})
		beacons, echoes = 0, 0
		answer, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/big", []byte("3072"))
		assert.NoError(s, err)
		assert.Len(s, answer, 3<<20)
		assert.Greater(s, beacons, 8, "beacons that passed the answer")
		assert.Greater(s, echoes, 5, "calls that passed the answer")
	})
	s.Do(1, func(context.Context) { over = true })
}

// bigAnswerMayTakeItsTime: a call whose answer comes slowly lives as long as it
// comes; one of which nothing comes does not.
func bigAnswerMayTakeItsTime(s *suite) {
	s.serveBig(1)
	s.serveForever(1)
	s.Shape(1 << 20)
	s.Do(0, func(ctx context.Context) {
		ctx = transport.Patient(ctx, time.Second)
		answer, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/big", []byte("2560"))
		assert.NoError(s, err)
		assert.Len(s, answer, 2560<<10)
		began := s.loop(0).Elapsed()
		_, err = s.Endpoint(0).Call(ctx, s.peer(1), "t/hold", nil)
		assert.Equal(s, transport.Timeout, transport.KindOf(err), "%v", err)
		assert.GreaterOrEqual(s, s.loop(0).Elapsed()-began, 900*time.Millisecond)
	})
}

// abandonedAnswersDoNotClogTheLink: answers that nobody waits for are not sent.
func abandonedAnswersDoNotClogTheLink(s *suite) {
	s.serveBig(1)
	s.Shape(1 << 20)
	s.Do(0, func(ctx context.Context) {
		for range 8 { // 32 seconds of the link
			short, cancel := clock.WithTimeout(ctx, s.loop(0), 200*time.Millisecond)
			_, err := s.Endpoint(0).Call(short, s.peer(1), "t/big", []byte("4000"))
			cancel()
			assert.Equal(s, transport.Timeout, transport.KindOf(err), "%v", err)
		}
		whole, cancel := clock.WithTimeout(ctx, s.loop(0), 12*time.Second)
		defer cancel()
		_, err := s.Endpoint(0).Call(whole, s.peer(1), "t/big", []byte("1024"))
		assert.NoError(s, err)
	})
}

// stalledPeerCostsNobodyHisCalls: many streams to a peer that does not read are
// held back; when it reads again, they and all calls go on.
func stalledPeerCostsNobodyHisCalls(s *suite) {
	const streams, messages, size = 48, 32, 32 << 10
	read := 0
	s.Endpoint(1).Handle("t/echo", transport.Anyone, echo)
	s.Endpoint(1).HandleStream("t/sink", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
		for {
			if _, err := st.Recv(ctx); err != nil {
				assert.Equal(s, io.EOF, err)
				break
			}
			read++
		}
		assert.NoError(s, st.CloseWrite())
	})
	sent, called := 0, 0
	s.Do(0, func(ctx context.Context) {
		_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", nil)
		assert.NoError(s, err)
	})
	s.Hold(true)
	s.Do(0, func(ctx context.Context) {
		for range streams {
			s.loop(0).Go("sender", func(ctx context.Context) {
				st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/sink", nil)
				if !assert.NoError(s, err) {
					return
				}
				for range messages {
					if !assert.NoError(s, st.Send(ctx, make([]byte, size))) {
						return
					}
					sent++
				}
				assert.NoError(s, st.CloseWrite())
			})
		}
		for range 20 {
			s.loop(0).Go("caller", func(ctx context.Context) {
				_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", make([]byte, 10_000))
				assert.NoError(s, err)
				called++
			})
		}
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), time.Second))
		// The conn's window leaves room for the calls.
		assert.LessOrEqual(s, sent, transport.ConnWindowMin/size+2, "the senders were not held back")
		assert.Zero(s, called)
	})
	s.Hold(false)
	s.Do(0, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(0), func() bool { return sent == streams*messages && called == 20 }), "sent %d, called %d", sent, called)
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return read == streams*messages }), "read %d", read)
	})
}

// readersThatDoNotReadHoldUpNoCalls: what streams may have in flight together is
// bounded, and it comes back when they end.
func readersThatDoNotReadHoldUpNoCalls(s *suite) {
	const streams, size = 40, 48 << 10
	s.Endpoint(1).Handle("t/echo", transport.Anyone, echo)
	server := s.Endpoint(1)
	server.HandleStream("t/deaf", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, _ *transport.Stream) {
		_ = clock.Sleep(ctx, server.Loop(), time.Hour)
	})
	var open []*transport.Stream
	sent := 0
	s.Do(0, func(ctx context.Context) {
		for range streams {
			st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/deaf", nil)
			if !assert.NoError(s, err) {
				return
			}
			open = append(open, st)
			s.loop(0).Go("sender", func(ctx context.Context) {
				for st.Send(ctx, make([]byte, size)) == nil {
					sent++
				}
			})
		}
		full := inWindow(streams*(2*transport.StreamWindowMin+64), size) // of the conn, not of the streams
		eventually(ctx, s.loop(0), func() bool { return sent >= full-1 })
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 300*time.Millisecond))
		assert.LessOrEqual(s, sent, full, "sent")
		assert.GreaterOrEqual(s, sent, full-1, "sent")
		_, err := s.Endpoint(0).Call(ctx, s.peer(1), "t/echo", make([]byte, 1<<20))
		assert.NoError(s, err)
		for _, st := range open {
			st.Reset()
		}
	})
	if !s.failed() {
		s.Endpoint(1).HandleStream("t/stream", transport.Anyone, echoStream(s))
		s.Do(0, func(ctx context.Context) {
			err := clock.First(ctx, s.loop(0), 30, 30, func(ctx context.Context, _ int) error {
				st, err := s.Endpoint(0).OpenStream(ctx, s.peer(1), "t/stream", nil)
				if err != nil {
					return err
				}
				for range 2 {
					if err := st.Send(ctx, make([]byte, transport.StreamWindowMin-64)); err != nil {
						return err
					}
				}
				if err := st.CloseWrite(); err != nil {
					return err
				}
				drain(ctx, s, st)
				return nil
			})
			assert.NoError(s, err)
			assert.False(s, errors.Is(err, io.EOF))
		})
	}
}

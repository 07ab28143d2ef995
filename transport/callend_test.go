package transport_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	typeResponse = 2
	typeFailure  = 3
	typeCancel   = 4
	declineType  = 17
)

// TestHowCallsEnd: when, with what, and what the peer is told of it.
func TestHowCallsEnd(t *testing.T) {
	const ms = time.Millisecond
	type event struct {
		at time.Duration
		f  func(s *stage, c *scriptConn)
	}
	frame := func(at time.Duration, f []byte) event {
		return event{at, func(s *stage, c *scriptConn) { s.host.handler.Frame(c, f) }}
	}
	answerInParts := func(every, until time.Duration) (list []event) {
		list = append(list, frame(every, begin(1, 4<<20, withID(typeResponse, 1, 'x')...)))
		for at := 2 * every; at <= until; at += every {
			list = append(list, frame(at, part(1, 'y')))
		}
		return list
	}
	failure := append(append(withID(typeFailure, 1, byte(transport.Conflict), 2), "op"...), append([]byte{4}, "text"...)...)
	for name, row := range map[string]struct {
		deadline, patience time.Duration // 0: none
		events             []event
		kind               transport.Kind
		took               time.Duration
		left               uint32
		told               []byte
	}{
		"silence":            {0, 0, nil, transport.Timeout, 10 * time.Second, 10_000, []byte{declineType}},
		"deadline":           {1500 * ms, 0, nil, transport.Timeout, 1500 * ms, 1500, []byte{declineType}},
		"long deadline":      {time.Minute, 0, nil, transport.Timeout, time.Minute, 60_000, []byte{declineType}},
		"patience":           {0, 2 * time.Second, nil, transport.Timeout, 2 * time.Second, 2000, []byte{declineType}},
		"less patience":      {3 * time.Second, 2 * time.Second, nil, transport.Timeout, 2 * time.Second, 2000, []byte{declineType}},
		"more patience":      {time.Second, 2 * time.Second, nil, transport.Timeout, time.Second, 1000, []byte{declineType}},
		"as much":            {2 * time.Second, 2 * time.Second, nil, transport.Timeout, 2 * time.Second, 2000, []byte{declineType}},
		"it moves":           {0, 0, answerInParts(9*time.Second, 9*time.Second), transport.Timeout, 19 * time.Second, 10_000, []byte{declineType}},
		"it moves on":        {0, 2 * time.Second, answerInParts(time.Second, 30*time.Second), transport.Timeout, 32 * time.Second, 2000, []byte{declineType}},
		"until the deadline": {5 * time.Second, 2 * time.Second, answerInParts(time.Second, 30*time.Second), transport.Timeout, 5 * time.Second, 2000, []byte{declineType}},
		"for ever":           {0, 0, answerInParts(7*time.Second, 20*time.Minute), transport.Timeout, 10 * time.Minute, 10_000, []byte{declineType}},
		"another's parts":    {0, 0, []event{frame(time.Second, begin(1, 100, withID(typeResponse, 2, 'x')...)), frame(9*time.Second, part(1, 'y'))}, transport.Timeout, 10 * time.Second, 10_000, []byte{declineType}},
		"answer":             {0, 0, []event{frame(4*time.Second, withID(typeResponse, 1, 'o', 'k'))}, 0, 4 * time.Second, 10_000, nil},
		"failure":            {0, 0, []event{frame(4*time.Second, failure)}, transport.Conflict, 4 * time.Second, 10_000, nil},
		"another's answer":   {0, 0, []event{frame(4*time.Second, withID(typeResponse, 2, 'o', 'k'))}, transport.Timeout, 10 * time.Second, 10_000, []byte{declineType}},
		"of another peer": {0, 0, []event{{time.Second, func(s *stage, _ *scriptConn) {
			s.host.handler.Frame(s.accept(peerNamed("other")), withID(typeResponse, 1, 'o', 'k'))
		}}}, transport.Timeout, 10 * time.Second, 10_000, []byte{declineType}},
		"lost conn":       {0, 0, []event{{time.Second, func(s *stage, c *scriptConn) { s.host.handler.Closed(c, errors.New("cut")) }}}, transport.Unreachable, time.Second, 10_000, nil},
		"closed endpoint": {0, 0, []event{{time.Second, func(s *stage, _ *scriptConn) { s.Close() }}}, transport.Stopped, time.Second, 10_000, []byte{typeCancel}},
		"closed engine":   {0, 0, []event{{time.Second, func(s *stage, _ *scriptConn) { require.NoError(s.t, s.engine.Close()) }}}, transport.Stopped, time.Second, 10_000, nil},
	} {
		onStage(t, func(ctx context.Context, s *stage) {
			if row.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = clock.WithTimeout(ctx, s.loop, row.deadline)
				defer cancel()
			}
			if row.patience > 0 {
				ctx = transport.Patient(ctx, row.patience)
			}
			c := s.accept(s.peer)
			for _, e := range row.events {
				s.loop.AfterFunc(e.at, func() { e.f(s, c) })
			}
			start := s.loop.Elapsed()
			got, err := s.Call(ctx, s.peer, "t/call", []byte("hi"))
			require.Equal(t, row.took, s.loop.Elapsed()-start, name)
			require.Equal(t, row.kind, transport.KindOf(err), "%s: %v", name, err)
			require.Equal(t, name == "failure", transport.Answered(err), name)
			require.Equal(t, err != nil && name != "failure", transport.MayHaveRun(err), name)
			require.Equal(t, request(1, row.left, "t/call", []byte("hi")), c.sent[0], name)
			require.Equal(t, row.told, c.types(1), name)
			for _, f := range c.sent[1:] {
				require.Equal(t, byte(1), f[1], "%s: which call", name)
			}
			if err == nil {
				require.Equal(t, "ok", string(got))
			} else {
				require.Nil(t, got)
				var e *transport.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, map[bool]string{true: "op", false: "t/call"}[name == "failure"], e.Op, name)
			}
			if row.kind == transport.Timeout {
				require.ErrorIs(t, err, context.DeadlineExceeded, name)
			}
		})
	}
}

func TestCallsThatAreNotMade(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		c := s.accept(s.peer)
		over, cancel := clock.WithTimeout(ctx, s.loop, 0)
		defer cancel()
		calls := func(ctx context.Context, method string, n int, kind transport.Kind) {
			t.Helper()
			_, err := s.Call(ctx, s.peer, method, make([]byte, n))
			require.Equal(t, kind, transport.KindOf(err), "%v", err)
			require.Empty(t, c.sent)
		}
		calls(over, "m", 0, transport.Timeout)
		calls(ctx, "", 0, transport.Invalid)
		calls(ctx, string(make([]byte, 256)), 0, transport.Invalid)
		calls(ctx, "m", transport.MessageLenMax+1, transport.Invalid)
		for _, err := range []error{s.Tell(s.peer, "", nil), s.Tell(s.peer, "m", make([]byte, transport.MessageLenMax+1))} {
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		}
		for _, hello := range []int{transport.HelloLenMax + 1, transport.MessageLenMax + 1} {
			_, err := s.OpenStream(ctx, s.peer, "m", make([]byte, hello))
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		}
		require.Empty(t, c.sent)
		_, err := s.OpenStream(ctx, s.peer, string(make([]byte, 255)), make([]byte, transport.HelloLenMax))
		require.NoError(t, err)
		require.NoError(t, s.Tell(s.peer, "m", make([]byte, transport.MessageLenMax)))
		s.Close()
		require.Equal(t, transport.Stopped, transport.KindOf(s.Tell(s.peer, "m", nil)))
		calls2 := len(c.sent)
		_, err = s.Call(ctx, s.peer, "m", nil)
		require.Equal(t, transport.Stopped, transport.KindOf(err))
		_, err = s.OpenStream(ctx, s.peer, "m", nil)
		require.Equal(t, transport.Stopped, transport.KindOf(err))
		require.Len(t, c.sent, calls2)
	})
}

// TestServingIsBounded: 256 handlers for each peer, and for all that is not small
// 16 MiB of requests, 64 MiB for all peers. What is more is refused, until the
// others are done.
func TestServingIsBounded(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		s.Handle("hold", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
			return nil, clock.Sleep(ctx, s.loop, time.Minute)
		})
		count := uint64(0)
		served := func(c *scriptConn, size int) bool {
			count++
			before := len(c.sent)
			s.frame(c, count, request(count, 3_600_000, "hold", make([]byte, size)))
			require.False(t, c.closed)
			return len(c.sent) == before
		}
		crowd := s.accept(peerNamed("crowd"))
		for i := range 256 {
			require.True(t, served(crowd, 0), "%d", i)
		}
		require.False(t, served(crowd, 0))
		failure := crowd.sent[0]
		require.Equal(t, byte(typeFailure), failure[0])
		id, n := binary.Uvarint(failure[1:])
		require.Equal(t, count, id)
		require.Equal(t, byte(transport.Refused), failure[1+n])
		var conns []*scriptConn
		for i := range 4 {
			c := s.accept(peerNamed(fmt.Sprint(i)))
			conns = append(conns, c)
			for range 4 {
				require.True(t, served(c, 4_000_000))
			}
			require.False(t, served(c, 16<<20-16_000_000+1))
			require.True(t, served(c, 16<<20-16_000_000))
			require.False(t, served(c, 2<<10+1))
		}
		require.True(t, served(conns[0], 2<<10), "small ones are served")
		last := s.accept(peerNamed("last"))
		require.False(t, served(last, 2<<10+1), "that is too much for all")
		require.True(t, served(last, 2<<10))
		s.sleep(ctx, time.Minute+time.Second)
		for _, c := range append(conns, crowd, last) {
			require.True(t, served(c, 4_000_000))
		}
	})
}

// TestNotesAreBounded: what one peer has waiting, in number and in bytes.
func TestNotesAreBounded(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		var got []int
		s.HandleTell("n", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { got = append(got, len(m)) })
		many, big := s.accept(peerNamed("many")), s.accept(peerNamed("big"))
		for range 4100 {
			s.frame(many, 0, noteFrame(1))
		}
		s.sleep(ctx, time.Second)
		require.Len(t, got, transport.NotesPerPeerMax)
		got = nil
		sizes := []int{4_000_000, 4_000_000, 4_000_000, 4_000_000, 16<<20 - 16_000_000 + 1, 16<<20 - 16_000_000, 1, 0}
		for i, size := range sizes {
			s.frame(big, uint64(i+1), noteFrame(size))
		}
		s.sleep(ctx, time.Second)
		require.Equal(t, []int{4_000_000, 4_000_000, 4_000_000, 4_000_000, 16<<20 - 16_000_000, 0}, got)
		s.frame(big, 100, noteFrame(4_000_000))
		s.frame(many, 100, noteFrame(7))
		s.sleep(ctx, time.Second)
		require.Len(t, got, 8, "there is room again")
	})
}

// TestWhatWaitsIsBounded: for one peer 16 MiB, for all 64 MiB, and 64 KiB for
// each in any case; notes are refused, calls wait, the first ones first.
func TestWhatWaitsIsBounded(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		told := func(p transport.Peer, frameLen int) bool {
			err := s.Tell(p, "n", make([]byte, frameLen-3))
			require.True(t, err == nil || transport.KindOf(err) == transport.Refused)
			return err == nil
		}
		var conns []*scriptConn
		for i := range 4 {
			p := peerNamed(fmt.Sprint(i))
			conns = append(conns, s.accept(p))
			for range 16 {
				require.True(t, told(p, 1<<20))
			}
			require.False(t, told(p, 3), "%d", i)
		}
		last := s.accept(peerNamed("last"))
		require.False(t, told(last.remote, 64<<10+1))
		require.True(t, told(last.remote, 64<<10))
		require.False(t, told(last.remote, 3))

		var ended []string
		call := func(name string, size int) {
			s.loop.Go("call", func(ctx context.Context) {
				_, err := s.Call(transport.Patient(ctx, time.Hour), conns[0].remote, name, make([]byte, size))
				ended = append(ended, fmt.Sprint(name, " ", transport.KindOf(err)))
			})
		}
		call("first", 3_000_000)
		call("second", 10)
		s.sleep(ctx, time.Second)
		s.answer(conns[0])
		s.sleep(ctx, time.Second)
		frames := s.whole(conns[0])
		require.Len(t, frames, 18)
		var names []string
		for _, f := range frames[16:] {
			require.Equal(t, byte(1), f[0])
			names = append(names, string(f[7:7+f[6]]))
		}
		require.ElementsMatch(t, []string{"first", "second"}, names)
		require.True(t, told(last.remote, 1<<20), "what has arrived is not counted")
		s.host.handler.Closed(conns[0], nil)
		require.Equal(t, []string(nil), ended)
		s.sleep(ctx, time.Second)
		require.ElementsMatch(t, []string{"first unreachable", "second unreachable"}, ended)
		require.NoError(t, s.engine.Close())
	})
}

// TestCallsThatWaitForRoom end while they wait, whatever it is that ends them.
func TestCallsThatWaitForRoom(t *testing.T) {
	for name, row := range map[string]struct {
		end  func(s *stage, c *scriptConn, cancel func())
		kind transport.Kind
	}{
		"cancelled":       {func(_ *stage, _ *scriptConn, cancel func()) { cancel() }, transport.Stopped},
		"closed endpoint": {func(s *stage, _ *scriptConn, _ func()) { s.Close() }, transport.Stopped},
		"lost conn": {func(s *stage, c *scriptConn, _ func()) {
			s.host.handler.Closed(c, nil)
			s.loop.AfterFunc(time.Second, func() { s.host.dials[0](nil, errors.New("no route")) })
		}, transport.Unreachable},
		"silence": {func(*stage, *scriptConn, func()) {}, transport.Timeout},
	} {
		onStage(t, func(ctx context.Context, s *stage) {
			c := s.accept(s.peer)
			for range 16 {
				require.NoError(t, s.Tell(s.peer, "n", make([]byte, 1<<20-3)))
			}
			before := len(c.sent)
			ctx, cancel := context.WithCancel(ctx)
			s.loop.AfterFunc(time.Second, func() { row.end(s, c, cancel) })
			_, err := s.Call(ctx, s.peer, "t/call", nil)
			require.Equal(t, row.kind, transport.KindOf(err), "%s: %v", name, err)
			require.Equal(t, name == "failure", transport.Answered(err), name)
			require.False(t, transport.MayHaveRun(err), name)
			require.Len(t, c.sent, before, "%s: nothing was sent, and there is nothing to cancel", name)
			cancel()
		})
	}
}

// TestDialsAreBounded at the very byte, and a conn that is replaced at the very
// moment.
func TestDialsAreBounded(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		require.NoError(t, s.tell())
		s.host.handler.Closed(s.dial(nil), errors.New("cut")) // what waited for an earlier dial is not counted
		sizes := []int{3_000_000, 3_000_000, 8<<20 - 6_000_000}
		for _, size := range sizes {
			require.NoError(t, s.Tell(s.peer, "n", make([]byte, size-3)))
		}
		require.Equal(t, transport.Refused, transport.KindOf(s.Tell(s.peer, "n", nil)))
		s.dial(errors.New("no route"))
		s.clock.advance(time.Second)
		require.NoError(t, s.Tell(s.peer, "n", make([]byte, 4_000_000)), "nothing waits any more")
		dialed := s.dial(nil)
		require.NotEmpty(t, dialed.sent)
		s.clock.now += 10 * time.Second
		s.accept()
		require.False(t, dialed.closed)
		s.clock.now++
		s.accept()
		require.True(t, dialed.closed)
	})
}

// TestWhatIsTakenBack: a big request that was given up before it was sent, a big answer that nobody waits
// for any more; and never the other one, though it has the same number.
func TestWhatIsTakenBack(t *testing.T) {
	const typeRequest = 1
	for name, row := range map[string]struct {
		cancels, declines bool
		arrive            []byte
	}{
		"nothing":     {false, false, []byte{typeRequest, typeResponse}},
		"the request": {true, false, []byte{typeResponse}},
		"the answer":  {false, true, []byte{typeRequest}},
		"both":        {true, true, []byte{}},
	} {
		onStage(t, func(ctx context.Context, s *stage) {
			s.Handle("t/big", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) {
				return make([]byte, 500_000), nil
			})
			c := s.accept(s.peer)
			require.NoError(t, s.Tell(s.peer, "n", make([]byte, 1<<20)), "which fills the link")
			calling, cancel := context.WithCancel(transport.Patient(ctx, time.Hour))
			s.loop.Go("call", func(context.Context) { _, _ = s.Call(calling, s.peer, "t/call", make([]byte, 500_000)) })
			s.host.handler.Frame(c, request(1, 60_000, "t/big", nil))
			s.sleep(ctx, time.Second)
			if row.cancels {
				cancel()
			}
			if row.declines {
				s.host.handler.Frame(c, withID(declineType, 1))
			}
			for range 100 {
				s.sleep(ctx, time.Second/10)
				s.answer(c)
			}
			arrive := []byte{}
			for _, f := range s.whole(c) {
				if len(f) == 1<<20+3 {
					continue
				}
				require.True(t, len(f) < 10 || len(f) > 500_000, name)
				if len(f) > 500_000 {
					require.Equal(t, byte(1), f[map[byte]int{typeRequest: 5, typeResponse: 1}[f[0]]], "%s: its number", name)
					arrive = append(arrive, f[0])
				}
			}
			require.ElementsMatch(t, row.arrive, arrive, name)
			cancel()
		})
	}
}

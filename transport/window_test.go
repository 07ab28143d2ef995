package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
)

// TestWindowByHand follows a window through answers: what its size, and the least
// round trip, are after each.
func TestWindowByHand(t *testing.T) {
	const ms = time.Millisecond
	const first = windowFirst
	type answer struct {
		sent    int // before the question
		rtt     time.Duration
		limited bool
		size    int
		least   time.Duration
	}
	for name, row := range map[string]struct {
		least   time.Duration // known before, since the beginning
		settled bool
		size    int
		answers []answer
	}{
		"it doubles":           {0, false, first, []answer{{first, 100 * ms, true, 2 * first, 100 * ms}, {2 * first, 100 * ms, true, 4 * first, 100 * ms}}},
		"by what arrived":      {0, false, first, []answer{{1000, 100 * ms, true, first + 1000, 100 * ms}}},
		"only if it limits":    {0, false, first, []answer{{first, 100 * ms, false, first, 100 * ms}}},
		"no room":              {100 * ms, false, first, []answer{{first, 350 * ms, true, first, 100 * ms}}},
		"a little room":        {100 * ms, false, first, []answer{{first, 349 * ms, true, 2 * first, 100 * ms}}},
		"too late":             {100 * ms, false, first, []answer{{first, 700 * ms, true, first / 2, 100 * ms}}},
		"too late, idle":       {100 * ms, false, first, []answer{{first, 700 * ms, false, first / 2, 100 * ms}}},
		"settled, much room":   {100 * ms, true, first, []answer{{first, 100 * ms, true, 2 * first, 100 * ms}}},
		"settled, half a room": {100 * ms, true, first, []answer{{first, 233333333, true, first + first/2, 100 * ms}}},
		"it shrinks and grows": {100 * ms, false, first, []answer{{first, 700 * ms, true, first / 2, 100 * ms}, {first, 175 * ms, true, first/2 + first, 100 * ms}}},
		"not below":            {100 * ms, true, windowMin + 1, []answer{{first, 9 * time.Second, true, windowMin, 100 * ms}}},
		"not above":            {100 * ms, false, windowMax - 1, []answer{{first, 100 * ms, true, windowMax, 100 * ms}}},
		"a shorter way":        {100 * ms, false, first, []answer{{first, 90 * ms, true, 2 * first, 90 * ms}}},
		"no time at all":       {0, false, first, []answer{{first, 0, true, 2 * first, 1}}},
	} {
		w := newWindow()
		w.least, w.settled, w.size = row.least, row.settled, row.size
		now := time.Duration(0)
		for i, a := range row.answers {
			w.sent += uint64(a.sent)
			w.limited = a.limited
			at := w.ask(now)
			now += a.rtt
			require.NoError(t, w.answer(at, now))
			require.InDelta(t, a.size, w.size, 1, "%s: answer %d", name, i)
			require.Equal(t, a.least, w.least, "%s: answer %d", name, i)
			require.False(t, w.limited)
			require.Zero(t, w.probing)
		}
	}
}

// TestWindowShrinksOnceForOneQueue: what was asked before it shrank says nothing
// new.
func TestWindowShrinksOnceForOneQueue(t *testing.T) {
	w := newWindow()
	w.least = 100 * time.Millisecond
	w.sent = 8000
	one := w.ask(0)
	w.sent = 16000
	two := w.ask(0)
	require.NoError(t, w.answer(one, 700*time.Millisecond))
	require.Equal(t, windowFirst/2, w.size)
	require.NoError(t, w.answer(two, 800*time.Millisecond))
	require.Equal(t, windowFirst/2, w.size)
	w.sent++
	three := w.ask(time.Second)
	require.NoError(t, w.answer(three, 1700*time.Millisecond))
	require.Equal(t, windowFirst/4, w.size)
}

// TestWindowMeasuresAnew: after 10 s, or 20 round trips, of a window that limits,
// it lets the queue run empty and takes the round trip that it finds then.
func TestWindowMeasuresAnew(t *testing.T) {
	for _, row := range []struct {
		least, memory time.Duration
	}{{100 * time.Millisecond, rttMemory}, {time.Second, rttMemoryTrips * time.Second}} {
		for _, c := range []struct {
			after   time.Duration
			limited bool
			probes  bool
		}{{row.memory, true, false}, {row.memory + 1, false, false}, {row.memory + 1, true, true}} {
			w := newWindow()
			w.least = row.least
			w.sent, w.limited = 1000, c.limited
			rtt := row.least + queueTarget // no room, and not too late
			at := w.ask(c.after - rtt)
			require.NoError(t, w.answer(at, c.after))
			require.Equal(t, c.probes, w.probing > 0)
			if !c.probes {
				require.Equal(t, windowFirst, w.size)
				continue
			}
			require.Equal(t, 1, w.size)
			old := w.ask(c.after) // nothing was sent since
			require.NoError(t, w.answer(old, c.after+time.Second))
			require.Equal(t, 1, w.size)
			w.sent++
			probe := w.ask(c.after + time.Second)
			require.NoError(t, w.answer(probe, c.after+4*time.Second))
			require.Equal(t, windowFirst, w.size)
			require.Equal(t, 3*time.Second, w.least)
			require.Equal(t, c.after+4*time.Second, w.leastSince)
			require.Zero(t, w.probing)
			require.Equal(t, w.sent, w.shrinkFrom)
		}
	}
}

// TestWhenToAsk whether what was sent has arrived.
func TestWhenToAsk(t *testing.T) {
	for _, row := range []struct {
		sent, asked uint64 // asked: 0 for nothing
		size        int
		waits, idle bool
		want        bool
	}{
		{0, 0, windowFirst, true, false, false}, {1, 0, windowFirst, true, false, true},
		{2000, 1, windowFirst, true, false, false}, {4097, 1, windowFirst, true, false, true},
		{windowMin - 1, 0, windowFirst, false, true, false}, {windowMin, 0, windowFirst, false, true, true},
		{windowFirst/4 - 1, 0, windowFirst, false, false, false}, {windowFirst / 4, 0, windowFirst, false, false, true},
		{windowMin/4 - 1, 0, 1, false, false, false}, {windowMin / 4, 0, 1, false, false, true},
		{100 + windowFirst/4 - 1, 100, windowFirst, false, false, false}, {100 + windowFirst/4, 100, windowFirst, false, false, true},
	} {
		w := newWindow()
		w.size = row.size
		if row.asked > 0 {
			w.sent = row.asked
			w.ask(0)
		}
		w.sent = row.sent
		require.Equal(t, row.want, w.due(row.waits, row.idle), "%+v", row)
	}
}

// TestKindsOfErrors: what a caller can decide on, from anything.
func TestKindsOfErrors(t *testing.T) {
	conflict := New(Conflict, "op", "text")
	for _, row := range []struct {
		err  error
		want Kind
	}{
		{nil, 0}, {conflict, Conflict}, {fmt.Errorf("around: %w", conflict), Conflict}, {context.DeadlineExceeded, Timeout},
		{context.Canceled, Stopped}, {clock.ErrStopped, Stopped}, {errors.New("other"), Internal},
		{fmt.Errorf("around: %w", clock.ErrStopped), Stopped},
	} {
		require.Equal(t, row.want, KindOf(row.err), "%v", row.err)
		for k := Internal; k <= Stopped; k++ {
			_, own := row.err.(*Error)
			require.Equal(t, own && k == row.want, own && errors.Is(row.err, &Error{Kind: k}))
		}
		if row.err != nil {
			wait := waitError(row.err)
			require.Equal(t, map[bool]Kind{true: Stopped, false: row.want}[row.want == Internal], wait.Kind)
			require.ErrorIs(t, wait, row.err)
			wire := wireError("t/call", row.err)
			require.Equal(t, row.want, wire.Kind)
			if _, own := row.err.(*Error); !own {
				require.Equal(t, Error{Kind: row.want, Op: "t/call", Text: row.err.Error()}, *wire)
			}
		}
	}
	require.False(t, errors.Is(conflict, errors.New("op: conflict: text")))
	require.Equal(t, "op: conflict: text", conflict.Error())
	require.Equal(t, "timeout", (&Error{Kind: Timeout}).Error())
	require.Equal(t, "unknown", Kind(200).String())
	require.Equal(t, "unknown", (NotAllowed + 1).String())
	require.Equal(t, "stopped", Stopped.String())
}

// TestAnswersAreBounded: what a handler returns may be as long as a message.
func TestAnswersAreBounded(t *testing.T) {
	sv := &serving{method: &method{name: "t/call"}, id: 7}
	f, err := decodeFrame(encodeAnswer(sv, make([]byte, MessageLenMax), nil))
	require.NoError(t, err)
	require.Equal(t, frameResponse, f.typ)
	require.Len(t, f.message, MessageLenMax)
	f, err = decodeFrame(encodeAnswer(sv, make([]byte, MessageLenMax+1), nil))
	require.NoError(t, err)
	require.Equal(t, frameFailure, f.typ)
	require.Equal(t, Internal, f.kind)
	require.EqualValues(t, 7, f.id)
	require.Equal(t, "t/call", string(f.name))
}

// TestWindowOnALinkThatJitters: answers that come late now and then are no queue, and
// a queue delays all of them.
func TestWindowOnALinkThatJitters(t *testing.T) {
	w := newWindow()
	now, draw := time.Duration(0), rand.New(rand.NewPCG(1, 1))
	answer := func(rtt time.Duration) {
		w.sent += uint64(w.size / 4)
		w.limited = true
		at := w.ask(now)
		now += rtt
		require.NoError(t, w.answer(at, now))
		if w.probing > 0 { // that is another matter
			w.size, w.probing = w.probing, 0
		}
	}
	for range 400 {
		answer(100*time.Millisecond + time.Duration(draw.Int64N(int64(400*time.Millisecond))))
	}
	require.Greater(t, w.size, 128<<10, "of up to 400 ms of jitter")
	for range 30 {
		answer(3 * time.Second)
	}
	require.Equal(t, windowMin, w.size)
}

package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stillClock is a clock that stands.
type stillClock struct{}

func (stillClock) Elapsed() time.Duration { return time.Second }

// loaded is an outbox that has so much on the way, of which it has asked, and something of each kind to send.
func loaded(onTheWay, debt int, small, bulk bool) *outbox {
	b := newOutbox()
	if bulk {
		b.push(outbound{frame: encodeMessage(frameResponse, 1, make([]byte, 100_000)), flow: flowKey{lane: laneResponse, id: 1}})
	}
	if small {
		b.push(named("n", encodeNamed(frameNote, "n", make([]byte, 10))))
	}
	b.window.sent = uint64(onTheWay)
	b.window.ask(0)
	b.debt = debt
	return &b
}

// What leaves when so much is on the way: small frames up to two windows, bulk up to one, or two if small ones
// have overtaken it by its share.
func TestWhatMayLeave(t *testing.T) {
	const w = windowFirst
	owed := smallShare * (w / 4)
	for _, c := range []struct {
		onTheWay, debt int
		small, bulk    bool
		want           string
	}{
		{0, 0, false, false, ""},
		{2*w - 1, 0, true, false, "small"},
		{2 * w, 0, true, false, "wait"},
		{w - 1, 0, false, true, "bulk"},
		{w, 0, false, true, "wait"},
		{w, owed - 1, false, true, "wait"},
		{w, owed, false, true, "bulk"},
		{2*w - 1, owed, false, true, "bulk"},
		{2 * w, owed, false, true, "wait"},
		{0, owed - 1, true, true, "small"},
		{0, owed, true, true, "bulk"},
		{w, owed - 1, true, true, "small and wait"},
		{w, owed, true, true, "bulk"},
		{2*w - 1, owed, true, true, "bulk"},
		{2*w - 1, 0, true, true, "small and wait"},
		{2 * w, owed, true, true, "wait"},
	} {
		b := loaded(c.onTheWay, c.debt, c.small, c.bulk)
		frame, _ := b.next(stillClock{})
		got := ""
		switch {
		case frame != nil && frame[0] == byte(frameNote):
			got = "small"
		case frame != nil:
			require.EqualValues(t, frameBegin, frame[0])
			got = "bulk"
		}
		if b.window.limited && got != "" {
			got += " and "
		}
		if b.window.limited {
			got += "wait"
		}
		require.Equal(t, c.want, got, "%+v", c)
	}
	b := loaded(0, 0, false, false)
	b.window.limited = true
	b.next(stillClock{})
	require.True(t, b.window.limited, "until the next answer")
}

// What was sent is counted where it belongs, and what bulk is owed.
func TestWhatIsCounted(t *testing.T) {
	b := loaded(0, 0, true, true)
	whole := b.bytes
	note, o := b.next(stillClock{})
	require.Equal(t, laneNamed, o.flow.lane)
	require.Equal(t, len(note), b.debt, "it has overtaken bulk")
	require.Equal(t, whole-len(note), b.bytes)
	require.EqualValues(t, len(note), b.window.sent)
	_, o = b.next(stillClock{})
	require.Equal(t, laneResponse, o.flow.lane)
	require.Zero(t, b.debt, "it is paid")
	require.Equal(t, whole-len(note)-b.chunkLen(), b.bytes)
	require.EqualValues(t, len(note)+b.chunkLen(), b.window.sent)

	alone := loaded(0, 0, true, false)
	alone.next(stillClock{})
	require.Zero(t, alone.debt, "there was no bulk to overtake")
	require.Zero(t, alone.bytes)
	b = loaded(0, 3*b.chunkLen()*smallShare, false, true)
	b.next(stillClock{})
	require.Equal(t, 2*b.chunkLen()*smallShare, b.debt, "a chunk pays for its share")
}

// How large the pieces of a frame are, and which frames are cut.
func TestPieces(t *testing.T) {
	for size, want := range map[int]int{0: chunkLenMin, 4*chunkLenMin - 1: chunkLenMin, 4*chunkLenMin + 4: chunkLenMin + 1, 4*chunkLenMax + 3: chunkLenMax, windowMax: chunkLenMax} {
		b := newOutbox()
		b.window.size = size
		require.Equal(t, want, b.chunkLen(), "window %d", size)
	}
	for _, more := range []int{0, 1} {
		b := newOutbox()
		frame := encodeMessage(frameResponse, 1, nil)
		frame = append(frame, make([]byte, b.chunkLen()+more-len(frame))...)
		b.push(outbound{frame: frame, flow: flowKey{lane: laneResponse, id: 1}})
		got, _ := b.next(stillClock{})
		require.Equal(t, more, b.parts)
		require.Equal(t, more*len(frame), b.partsBytes)
		if more == 0 {
			require.Equal(t, frame, got)
			require.Empty(t, b.flows)
			continue
		}
		b.window.ask(0)
		got, _ = b.next(stillClock{})
		require.Equal(t, encodeMessage(framePart, 1, frame[len(frame)-1:]), got)
		require.Zero(t, b.parts+b.partsBytes+b.bytes+len(b.flows))
	}
}

// A frame is begun while the peer may hold it; those that are begun, and small enough, go on.
func TestWhoseTurnItIs(t *testing.T) {
	const len0 = 100_000
	for name, c := range map[string]struct {
		parts, bytes int
		cut          int // of the second frame
		small        bool
		want         int
	}{
		"room":                       {0, 0, 0, false, 0},
		"the last part":              {partsMax - 1, 0, 0, false, 0},
		"too many":                   {partsMax, 0, 0, false, 0}, // none may: the first one is named, and waits for none
		"too many, but one is begun": {partsMax, 0, 5, false, 1},
		"too many, but one is small": {partsMax, 0, 0, true, 1},
		"the last byte":              {1, partsBytesMax - len0, 5, false, 0},
		"a byte too many":            {1, partsBytesMax - len0 + 1, 5, false, 1},
	} {
		b := newOutbox()
		second := make([]byte, len0)
		if c.small {
			second = make([]byte, b.chunkLen())
		}
		b.bulk = []*flow{{queue: []outbound{{frame: make([]byte, len0)}}}, {queue: []outbound{{frame: second}}, cut: c.cut}}
		b.parts, b.partsBytes = c.parts, c.bytes
		require.Equal(t, c.want, b.turn(), name)
	}
}

// Who waits for room does not need it any more when its session, its stream or its call is over.
func TestWhoIsGone(t *testing.T) {
	over, here := &session{over: true}, &session{}
	for name, c := range map[string]struct {
		waiting waiting
		gone    bool
	}{
		"a call":                     {waiting{session: here, call: &call{}}, false},
		"a call that is done":        {waiting{session: here, call: &call{done: true}}, true},
		"a call of a lost session":   {waiting{session: over, call: &call{}}, true},
		"a stream":                   {waiting{session: here, stream: &Stream{}}, false},
		"a stream that has failed":   {waiting{session: here, stream: &Stream{err: &Error{}}}, true},
		"a stream of a lost session": {waiting{session: over, stream: &Stream{}}, true},
	} {
		require.Equal(t, c.gone, c.waiting.gone(), name)
		if c.gone {
			require.True(t, c.waiting.may(nil, 1<<40), "it is let go at once")
		}
	}
}

// A stream may send while its own window and that of all streams are open, and its session has room.
func TestWhenAStreamMaySend(t *testing.T) {
	for name, c := range map[string]struct {
		own, all int
		waits    int // bytes of streams
		size     int
		want     bool
	}{
		"it may":              {1, 1, 0, 1, true},
		"its window is full":  {0, 1, 0, 1, false},
		"all windows are":     {1, 0, 0, 1, false},
		"others wait":         {1, 1, streamBytesMax - 1, 1, true},
		"too many others":     {1, 1, streamBytesMax, 1, false},
		"the session is full": {1, 1, 0, sessionBytesMax + 1, false},
	} {
		s := &session{}
		s.out = newOutbox()
		s.out.streamBytes = c.waits
		s.streamWindow = c.all
		stream := &Stream{session: s, ep: &Endpoint{member: &member{engine: &Engine{}}}}
		stream.window = c.own
		require.Equal(t, c.want, stream.maySend(c.size), name)
	}
}

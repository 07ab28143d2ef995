package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestInflow: a sender that sends only what it has credit for is never refused and
// never stuck, whatever the receiver takes and however its window changes; and what it
// may have sent is never more than the largest window and a message.
func TestInflow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const longest = 100
		f := newInflow(rapid.IntRange(1, 500).Draw(t, "size"))
		credit, largest := f.size, f.size
		var held []int
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				n := rapid.IntRange(1, longest).Draw(t, "message")
				require.Equal(t, credit > 0, f.open > 0)
				if credit > 0 {
					require.True(t, f.receive(n))
					credit -= n
					held = append(held, n)
				} else {
					require.False(t, f.receive(n))
				}
			case 1:
				if len(held) > 0 {
					credit += f.take(held[0])
					held = held[1:]
				}
			case 2:
				by := rapid.IntRange(1, 500).Draw(t, "grow")
				credit += f.grow(by)
				largest = max(largest, f.size)
			case 3:
				least := rapid.IntRange(1, 500).Draw(t, "shrink")
				before := f.size
				by := f.shrink(least)
				require.Equal(t, before-by, f.size)
				require.GreaterOrEqual(t, f.size, min(before, least))
			}
			require.Equal(t, credit, f.open)
			sum := 0
			for _, n := range held {
				sum += n
			}
			require.Equal(t, sum, f.held)
			require.LessOrEqual(t, f.open+f.held, f.size)
			require.LessOrEqual(t, sum, largest+longest)
			if len(held) == 0 {
				require.Less(t, f.due(), max(2, (f.size+1)/2+1), "half a window is not withheld")
			}
		}
	})
}

// flows is an engine with sessions whose streams a test opens.
func flows(n int, class Class) (*Engine, []*session) {
	e := &Engine{}
	var list []*session
	for range n {
		s := &session{greeted: true, link: &link{class: class}, inflow: newInflow(ConnWindowMin), streams: map[uint64]*Stream{}}
		s.out = newOutbox()
		s.flushing = true // nobody sends
		list = append(list, s)
	}
	return e, list
}

func (s *session) stream(e *Engine) *Stream {
	st := newStream(e.Endpoint(nil), Peer{}, "m")
	st.session = s
	st.opened(&actions{})
	return st
}

// pass has a stream receive and take a message.
func (st *Stream) pass(t *testing.T, n int) {
	require.True(t, st.session.inflow.receive(cost(n)), "the conn has credit")
	require.True(t, st.inflow.receive(cost(n)), "the stream has credit")
	st.consume(n, &actions{})
}

// TestWindowsGrow to what a stream may have, when its reader keeps up, and the conn's
// with them; when the streams are over, it shrinks again.
func TestWindowsGrow(t *testing.T) {
	e, sessions := flows(1, Bulk)
	s := sessions[0]
	var streams []*Stream
	for range 3 {
		st := s.stream(e)
		for range 300 {
			st.pass(t, StreamMessageLenMax)
		}
		streams = append(streams, st)
	}
	require.Equal(t, StreamWindowMax, streams[0].inflow.size)
	require.Less(t, streams[2].inflow.size, StreamWindowMax, "most of the conn's is left to others")
	require.LessOrEqual(t, s.windows, ConnWindowMax/3+3*streams[2].share())
	require.LessOrEqual(t, s.inflow.size, ConnWindowMax/3+3*streams[2].share())
	require.Equal(t, s.inflow.size-ConnWindowMin, e.windows)
	for range 2*HandlersPerPeerMax - 3 {
		st := s.stream(e)
		require.True(t, st.session.inflow.receive(cost(StreamWindowMin-messageCost)), "each new stream has its window")
		streams = append(streams, st)
	}
	require.LessOrEqual(t, s.inflow.size, ConnWindowMax)
	s.inflow.held = 0
	for _, st := range streams {
		st.inflow.held = 0
		st.settle(&actions{})
	}
	require.Zero(t, s.windows)
	require.LessOrEqual(t, s.inflow.size, ConnWindowMax)
	require.Equal(t, s.inflow.size-ConnWindowMin, e.windows)
}

// TestWindowsOfControlStay small: nothing long belongs there.
func TestWindowsOfControlStay(t *testing.T) {
	e, sessions := flows(1, Control)
	st := sessions[0].stream(e)
	for range 1000 {
		st.pass(t, 10_000)
	}
	require.LessOrEqual(t, st.inflow.size, ConnWindowMin)
	require.Equal(t, ConnWindowMin, sessions[0].inflow.size)
	require.Zero(t, e.windows)
}

// TestWindowsOfAllConnsAreBounded: what one node may be sent over all its conns.
func TestWindowsOfAllConnsAreBounded(t *testing.T) {
	e, sessions := flows(100, Bulk)
	for range 3 {
		for _, s := range sessions {
			st := s.stream(e)
			for range 200 {
				st.pass(t, StreamMessageLenMax)
			}
		}
	}
	require.LessOrEqual(t, e.windows, windowBytesMax)
	require.Greater(t, e.windows, windowBytesMax/2)
	total := 0
	for _, s := range sessions {
		total += s.inflow.open + s.inflow.held - ConnWindowMin
	}
	require.LessOrEqual(t, total, windowBytesMax)
	for _, s := range sessions {
		s.conn, s.remote = &loopConn{}, &remote{}
		e.drop(s, stoppedError, &actions{})
	}
	require.Zero(t, e.windows, "conns that are over have none")
}

// TestWindowsShrink when the streams for which they grew are over: what a conn may be
// sent returns to what it was at first, as soon as that much was sent.
func TestWindowsShrink(t *testing.T) {
	e, sessions := flows(1, Bulk)
	s := sessions[0]
	st := s.stream(e)
	for range 300 {
		st.pass(t, StreamMessageLenMax)
	}
	require.Greater(t, s.inflow.size, 4<<20)
	st.settle(&actions{})
	for n := 0; s.inflow.size > ConnWindowMin; n++ {
		require.Less(t, n, 1000, "it stays at %d", s.inflow.size)
		next := s.stream(e)
		next.pass(t, 10_000)
		next.settle(&actions{})
	}
	require.Equal(t, ConnWindowMin, s.inflow.size)
	require.Zero(t, e.windows)
	require.Zero(t, s.windows)
}

package transport_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

const (
	typeNote = 5
	typeOpen = iota + 6
	typeData
	_
	typeEnd
	_
	typeBegin
	typePart
	typeDrop
	typeAsk
	typeAck
	typeDecline
)

func begin(number uint64, length int, part ...byte) []byte {
	b := binary.AppendUvarint([]byte{typeBegin}, number)
	return append(binary.AppendUvarint(b, uint64(length)), part...)
}

func part(number uint64, data ...byte) []byte {
	return append(binary.AppendUvarint([]byte{typePart}, number), data...)
}

// noteFrame is a note "n" with a message of n bytes.
func noteFrame(n int) []byte { return append([]byte{typeNote, 1, 'n'}, make([]byte, n)...) }

// listen counts the bytes of the notes that arrive, and returns how many came.
func (s *script) listen(ctx context.Context, t *testing.T, want int) func() {
	got := []int{}
	s.HandleTell("n", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { got = append(got, len(m)) })
	return func() {
		for len(got) < want {
			require.NoError(t, s.loop.Park(ctx, func(wake func()) { s.loop.AfterFunc(time.Millisecond, wake) }))
		}
		require.Len(t, got, want)
	}
}

func TestFramesInParts(t *testing.T) {
	withScript(t, func(ctx context.Context, s *script) {
		arrived := s.listen(ctx, t, 3)
		c := s.accept()
		a, b := noteFrame(100), noteFrame(50)
		s.host.handler.Frame(c, begin(1, len(a), a[:10]...))
		s.host.handler.Frame(c, begin(2, len(b), b[:1]...))
		s.host.handler.Frame(c, noteFrame(5))
		s.host.handler.Frame(c, part(2, b[1:]...))
		s.host.handler.Frame(c, part(1, a[10:99]...))
		s.host.handler.Frame(c, part(1, a[99:]...))
		arrived()
		s.host.handler.Frame(c, begin(3, len(a), a[:10]...))
		s.host.handler.Frame(c, []byte{typeDrop, 3})
		s.host.handler.Frame(c, []byte{typeDrop, 3})
		s.host.handler.Frame(c, begin(4, 3, firstUnknownType))
		s.host.handler.Frame(c, part(4, 1, 2))
		require.False(t, c.closed)
	})
}

func TestBreachesWithParts(t *testing.T) {
	many := func() (frames [][]byte) {
		for i := range uint64(17) {
			frames = append(frames, begin(i+1, 100, 1))
		}
		return frames
	}
	for name, frames := range map[string][][]byte{
		"number 0":             {begin(0, 10, 1)},
		"number twice":         {begin(1, 10, 1), begin(1, 10, 1)},
		"an old number":        {begin(2, 10, 1), begin(1, 10, 1)},
		"nothing of it":        {begin(1, 10)},
		"all of it":            {begin(1, 1, 1)},
		"more than all":        {begin(1, 10, 1), part(1, make([]byte, 10)...)},
		"an empty part":        {begin(1, 10, 1), part(1)},
		"a part of nothing":    {part(1, 1)},
		"after it was dropped": {begin(1, 10, 1), {typeDrop, 1}, part(1, 1)},
		"no frame":             {begin(1, 3, 199), part(1, 1, 2)},
		"a credit":             {begin(1, 4, 9), part(1, 0, 0, 0)},
		"a part of a part":     {begin(1, 4, typePart), part(1, 1, 0, 0)},
		"a begin in a begin":   {begin(1, 6, typeBegin), part(1, 7, 100, 1, 1, 1)},
		"too many":             many(),
		"too long together":    {begin(1, 4<<20, 1), begin(2, 4<<20, 1), begin(3, 100, 1)},
		"longer than allowed":  {begin(1, 4<<20+1, 1)},
		"an answer to nothing": {{typeAck, 7}},
		"a frame too long":     {append([]byte{typeNote, 1, 'n'}, make([]byte, transport.FrameLenMax)...)},
	} {
		withScript(t, func(_ context.Context, s *script) {
			c := s.accept()
			for i, f := range frames {
				require.False(t, c.closed, "%s: at frame %d", name, i)
				s.host.handler.Frame(c, f)
			}
			require.True(t, c.closed, name)
		})
	}
}

// TestStalledMessageCostsTheConn: a message has to go on within FrameTimeout.
func TestStalledMessageCostsTheConn(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		stalled, slow, idle := s.acceptFrom(peerNamed("a")), s.acceptFrom(peerNamed("b")), s.acceptFrom(peerNamed("c"))
		s.host.handler.Frame(stalled, begin(1, 1000, 1))
		s.host.handler.Frame(slow, begin(1, 1000, 1))
		for range 5 {
			s.clock.advance(transport.FrameTimeout / 2)
			s.host.handler.Frame(slow, part(1, 1))
		}
		require.True(t, stalled.closed)
		require.False(t, slow.closed)
		s.clock.advance(transport.FrameTimeout - 1)
		require.False(t, slow.closed)
		s.clock.advance(1)
		require.True(t, slow.closed)
		s.clock.advance(10 * transport.FrameTimeout)
		require.False(t, idle.closed)
		require.Empty(t, s.clock.timers, "nothing is left to look after")
	})
}

// TestUnfinishedMessagesAreBounded: over all peers, 64 MiB; who has been silent
// for longest goes first.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		const length, chunk = 4<<20 - 1000, 60 << 10
		var conns []*scriptConn
		open := func() (n int) {
			for _, c := range conns {
				if !c.closed {
					n++
				}
			}
			return n
		}
		for i := range 40 {
			c := s.acceptFrom(peerNamed(fmt.Sprint(i)))
			conns = append(conns, c)
			for number := range uint64(2) {
				s.host.handler.Frame(c, begin(number+1, length, make([]byte, chunk)...))
				for sent := chunk; sent < length/2 && !c.closed; sent += chunk {
					s.clock.now += time.Microsecond
					s.host.handler.Frame(c, part(number+1, make([]byte, chunk)...))
				}
			}
			require.False(t, c.closed, "%d: who is sending stays", i)
		}
		require.True(t, conns[0].closed, "who has been silent for longest goes")
		require.LessOrEqual(t, open(), 17)
		require.GreaterOrEqual(t, open(), 8)
	})
}

// TestWhatNobodyWaitsForIsNotKept: the answer to a call that was given up is
// not held while it comes.
func TestWhatNobodyWaitsForIsNotKept(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		for i := range 40 {
			c := s.acceptFrom(peerNamed(fmt.Sprint(i)))
			answer := append([]byte{2, 77}, make([]byte, 60<<10)...)
			s.host.handler.Frame(c, begin(1, 4<<20, answer...))
			for range 60 {
				s.host.handler.Frame(c, part(1, make([]byte, 60<<10)...))
			}
			require.False(t, c.closed)
		}
	})
}

// TestStalledMessagesAreLookedAfterInTime: whichever of several would be late
// first.
func TestStalledMessagesAreLookedAfterInTime(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		withScript(t, func(_ context.Context, s *script) {
			conns := make([]*scriptConn, 3)
			for i := range conns {
				conns[i] = s.acceptFrom(peerNamed(fmt.Sprint(i)))
			}
			for _, i := range order {
				s.host.handler.Frame(conns[i], begin(1, 1000, 1))
				s.clock.advance(time.Second)
			}
			for _, i := range order { // in the same order once more, all a while later
				s.clock.advance(5 * time.Second)
				s.host.handler.Frame(conns[i], part(1, 1))
			}
			s.clock.advance(transport.FrameTimeout - 10*time.Second - 1)
			require.Equal(t, []bool{false, false, false}, []bool{conns[0].closed, conns[1].closed, conns[2].closed})
			for n, i := range order {
				s.clock.advance(1)
				require.True(t, conns[i].closed, "%d of %v", n, order)
				s.clock.advance(5*time.Second - 1)
			}
			require.Empty(t, s.clock.timers)
		})
	}
}

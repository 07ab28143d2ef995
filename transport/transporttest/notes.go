package transporttest

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

var noteCases = []testCase{
	{"note/order", 2, notesStayInOrder},
	{"note/parked", 2, parkedNoteHoldsNobodyUp},
	{"note/bounds", 1, oversizedNoteIsInvalid},
	{"pubsub/audience", 4, publicationReachesTheAudience},
	{"pubsub/order", 2, publicationsStayInOrder},
	{"pubsub/subscribers", 2, allSubscribersOfANodeReceive},
}

func number(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

func notesStayInOrder(s *suite) {
	const notes = 500
	var got []int
	s.Endpoint(1).HandleTell("t/note", transport.Anyone, func(_ context.Context, from transport.Peer, message []byte) {
		assert.Equal(s, s.peer(0), from)
		got = append(got, int(binary.BigEndian.Uint32(message)))
	})
	s.Do(0, func(context.Context) {
		for i := range notes {
			assert.NoError(s, s.Endpoint(0).Tell(s.peer(1), "t/note", number(i)))
		}
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return len(got) == notes }), "%d arrived", len(got))
		assert.IsIncreasing(s, got)
	})
}

func parkedNoteHoldsNobodyUp(s *suite) {
	server, second, first := s.Endpoint(1), false, false
	server.HandleTell("t/first", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) {
		first = eventually(ctx, server.Loop(), func() bool { return second })
	})
	server.HandleTell("t/second", transport.Anyone, func(context.Context, transport.Peer, []byte) { second = true })
	s.Do(0, func(context.Context) {
		assert.NoError(s, s.Endpoint(0).Tell(s.peer(1), "t/first", nil))
		assert.NoError(s, s.Endpoint(0).Tell(s.peer(1), "t/second", nil))
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, server.Loop(), func() bool { return first }))
	})
}

func oversizedNoteIsInvalid(s *suite) {
	s.Do(0, func(context.Context) {
		err := s.Endpoint(0).Tell(s.peer(0), "t/note", make([]byte, transport.MessageLenMax+1))
		assert.Equal(s, transport.Invalid, transport.KindOf(err))
		err = s.Endpoint(0).Tell(s.peer(0), "", nil)
		assert.Equal(s, transport.Invalid, transport.KindOf(err))
	})
}

func publicationReachesTheAudience(s *suite) {
	var got [4][]string
	for i := range got {
		for _, topic := range []string{"all/t", "some/t"} {
			s.Endpoint(i).Subscribe(topic, transport.Anyone, func(_ context.Context, from transport.Peer, message []byte) {
				assert.Equal(s, s.peer(3), from)
				got[i] = append(got[i], topic+" "+string(message))
			})
		}
	}
	s.Do(3, func(ctx context.Context) {
		s.Endpoint(3).Publish("some/t", []byte("x"))
		s.Endpoint(3).Publish("all/t", []byte("y"))
		s.Endpoint(3).Publish("none/t", []byte("z"))
		s.Endpoint(3).Publish("all/other", []byte("z"))
		assert.NoError(s, clock.Sleep(ctx, s.loop(3), 500*time.Millisecond))
	})
	for i, want := range [][]string{{"some/t x", "all/t y"}, {"some/t x", "all/t y"}, {"all/t y"}, nil} {
		s.Do(i, func(ctx context.Context) {
			eventually(ctx, s.loop(i), func() bool { return len(got[i]) >= len(want) })
			assert.Equal(s, want, got[i], "node %d", i)
		})
	}
}

func publicationsStayInOrder(s *suite) {
	const messages = 200
	var got []int
	s.Endpoint(1).Subscribe("all/t", transport.Anyone, func(_ context.Context, _ transport.Peer, message []byte) {
		got = append(got, int(binary.BigEndian.Uint32(message)))
	})
	s.Do(0, func(context.Context) {
		for i := range messages {
			s.Endpoint(0).Publish("all/t", number(i))
		}
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return len(got) == messages }), "%d arrived", len(got))
		assert.IsIncreasing(s, got)
	})
}

func allSubscribersOfANodeReceive(s *suite) {
	first, second := "", ""
	s.Endpoint(1).Subscribe("all/t", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { first = string(m) })
	s.Endpoint(1).Subscribe("all/t", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { second = string(m) })
	s.Do(0, func(context.Context) { s.Endpoint(0).Publish("all/t", []byte("x")) })
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return first == "x" && second == "x" }))
	})
}

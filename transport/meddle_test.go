package transport_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// doubler has everything of one peer come twice, a second apart, and changes what
// is answered and written.
type doubler struct{ victim transport.Peer }

func (d doubler) Again(from transport.Peer) (time.Duration, bool) {
	return time.Second, from == d.victim
}

func (d doubler) Answer(to transport.Peer, method string, response []byte) []byte {
	if to != d.victim {
		return response
	}
	return append([]byte(method+":"), response...)
}

func (d doubler) Written(data []byte) []byte { return append([]byte("later "), data...) }

// TestMeddlersHaveMessagesComeTwice: requests, notes and publications, and
// nothing else; one answer is sent, which may be another.
func TestMeddlersHaveMessagesComeTwice(t *testing.T) {
	victim, other := peerNamed("victim"), peerNamed("other")
	onStageWith(t, doubler{victim}, func(ctx context.Context, s *stage) {
		var got []string
		start := s.loop.Elapsed()
		seen := func(kind string, m []byte) {
			got = append(got, fmt.Sprintf("%s %s %s", kind, m, (s.loop.Elapsed()-start).Round(100*time.Millisecond)))
			clear(m)
		}
		fails := false
		s.Handle("t/call", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) ([]byte, error) {
			seen("call", m)
			if fails {
				return nil, transport.New(transport.Conflict, "t/call", "no")
			}
			return []byte("ok"), nil
		})
		s.HandleTell("t/note", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { seen("note", m) })
		s.Subscribe("t/topic", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { seen("topic", m) })
		s.HandleStream("t/stream", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte, _ *transport.Stream) { seen("stream", m) })
		named := func(typ byte, name, text string) []byte {
			return append(append([]byte{typ, byte(len(name))}, name...), text...)
		}
		c := s.accept(victim)
		require.Equal(t, "later x", string(s.Written([]byte("x"))))
		all := []string{"call a", "note b", "topic c", "stream d"}
		frames := [][]byte{request(1, 5000, "t/call", []byte("a")), named(typeNote, "t/note", "b"), named(6, "t/topic", "c"), openFrame(1, "t/stream", 'd')}
		times := func(at string, kinds ...string) (list []string) {
			for _, k := range kinds {
				list = append(list, k+" "+at)
			}
			return list
		}
		for _, f := range frames {
			s.host.handler.Frame(c, f)
		}
		s.sleep(ctx, 500*time.Millisecond)
		require.ElementsMatch(t, times("0s", all...), got)
		got = nil
		s.sleep(ctx, time.Second)
		require.ElementsMatch(t, times("1s", all[:3]...), got, "what came is not what the receiver made of it")
		answer := withID(typeResponse, 1, []byte("t/call:ok")...)
		n := 0
		for _, f := range c.sent {
			if f[0] == typeResponse {
				require.Equal(t, answer, f)
				n++
			}
		}
		require.Equal(t, 1, n)

		got, fails = nil, true
		from := len(c.sent)
		s.host.handler.Frame(c, request(2, 5000, "t/call", nil))
		s.host.handler.Frame(c, request(3, 5000, "t/none", nil))
		s.host.handler.Frame(c, named(typeNote, "t/none", ""))
		s.sleep(ctx, 2*time.Second)
		require.Len(t, got, 2)
		require.Equal(t, []byte{typeFailure, typeFailure}, c.types(from))

		got, fails = nil, false
		honest := s.accept(other)
		s.host.handler.Frame(honest, request(1, 5000, "t/call", nil))
		s.sleep(ctx, 2*time.Second)
		require.Len(t, got, 1)
		require.Equal(t, [][]byte{withID(typeResponse, 1, 'o', 'k')}, honest.sent)

		got = nil
		s.host.handler.Frame(c, request(9, 5000, "t/call", nil))
		s.host.handler.Frame(c, named(typeNote, "t/note", ""))
		s.sleep(ctx, 500*time.Millisecond)
		got = nil
		require.NoError(t, s.engine.Close())
		s.sleep(ctx, 2*time.Second)
		require.Empty(t, got, "nothing comes to what is closed")
	})
}

// TestSecondDeliveriesKeepTheRule: what is refused the first time is not served the second, and who
// is a witness hears of what is served only.
func TestSecondDeliveriesKeepTheRule(t *testing.T) {
	stranger := peerNamed("stranger")
	w := &witness{doubler: doubler{stranger}}
	onStageWith(t, w, func(ctx context.Context, s *stage) {
		served := 0
		s.Handle("t/call", transport.Member, func(context.Context, transport.Peer, []byte) ([]byte, error) {
			served++
			return nil, nil
		})
		s.HandleTell("t/note", transport.Member, func(context.Context, transport.Peer, []byte) { served++ })
		s.Subscribe("t/topic", transport.Member, func(context.Context, transport.Peer, []byte) { served++ })
		named := func(typ byte, name string) []byte { return append([]byte{typ, byte(len(name))}, name...) }
		send := func(p transport.Peer) {
			c := s.accept(p)
			for _, f := range [][]byte{request(1, 5000, "t/call", nil), named(typeNote, "t/note"), named(6, "t/topic")} {
				s.host.handler.Frame(c, f)
			}
			s.sleep(ctx, 3*time.Second)
		}
		send(stranger)
		require.Zero(t, served)
		require.Empty(t, w.heard)
		w.victim = s.peer // a member, twice of each
		send(s.peer)
		require.Equal(t, 6, served)
		require.Len(t, w.heard, 6)
	})
}

// witness is a doubler that is told of what is served.
type witness struct {
	doubler
	heard []string
}

func (w *witness) Handled(_ transport.Peer, name string) { w.heard = append(w.heard, name) }

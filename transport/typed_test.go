package transport_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

type addRequest struct{ A, B int }

var (
	add   = transport.Method[addRequest, int]{Name: "sum/add", Rule: transport.Member}
	note  = transport.Note[string]{Name: "sum/note", Rule: transport.Member}
	topic = transport.Topic[string]{Name: "sum/topic", Rule: transport.Member}
)

func TestTypedValues(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	a, b := newNode(t, net, "a", dir), newNode(t, net, "b", dir)
	dir.Add(a.Self(), "sum")
	dir.Add(b.Self(), "sum", "other")
	add.Serve(b.Endpoint, func(_ context.Context, _ transport.Peer, r addRequest) (int, error) {
		if r.A < 0 {
			return 7, transport.New(transport.Conflict, "sum/add", "negative")
		}
		return r.A + r.B, nil
	})
	var notes, published []string
	note.Serve(b.Endpoint, func(_ context.Context, _ transport.Peer, m string) { notes = append(notes, m) })
	topic.Subscribe(b.Endpoint, func(_ context.Context, _ transport.Peer, m string) { published = append(published, m) })
	var sum, none int
	var err, conflict, invalid error
	a.do(t, func(ctx context.Context) {
		sum, err = add.Call(ctx, a.Endpoint, b.Self(), addRequest{2, 3})
		none, conflict = add.Call(ctx, a.Endpoint, b.Self(), addRequest{A: -1})
		_, invalid = a.Call(ctx, b.Self(), add.Name, []byte("not cbor"))
		require.NoError(t, a.Tell(b.Self(), note.Name, []byte{0xff}))
		require.NoError(t, note.Tell(a.Endpoint, b.Self(), "hello"))
		a.Publish(topic.Name, []byte{0xff})
		topic.Publish(a.Endpoint, "news")
	})
	require.NoError(t, err)
	require.Equal(t, 5, sum)
	require.EqualError(t, conflict, transport.New(transport.Conflict, "sum/add", "negative").Error())
	require.Equal(t, transport.Conflict, transport.KindOf(conflict))
	require.Zero(t, none)
	require.Equal(t, transport.Invalid, transport.KindOf(invalid))
	b.do(t, func(ctx context.Context) {
		for len(notes)+len(published) < 2 && clock.Sleep(ctx, b.loop, time.Millisecond) == nil {
		}
		require.Equal(t, []string{"hello"}, notes)
		require.Equal(t, []string{"news"}, published)
	})
}

// TestWhoMayNotServeIsNotBelieved what it answers; that it fails tells why it has.
func TestWhoMayNotServeIsNotBelieved(t *testing.T) {
	everywhere := add
	everywhere.Everywhere = true
	for name, c := range map[string]struct {
		method transport.Method[addRequest, int]
		answer []byte // what follows the number of the call
		typ    byte
		kind   transport.Kind
		sum    int
	}{
		"an answer":               {add, []byte{5}, 2, transport.NotAllowed, 0},
		"one that anybody gives":  {everywhere, []byte{5}, 2, 0, 5},
		"one that makes no sense": {everywhere, []byte{0xff}, 2, transport.Invalid, 0},
		"a failure":               {add, []byte{byte(transport.Conflict), 0, 0}, 3, transport.Conflict, 0},
	} {
		withClub(t, func(ctx context.Context, s *script, _ *club) {
			conn := s.comes("peer", "member")
			var sum int
			err, over := error(nil), false
			s.loop.Go("call", func(ctx context.Context) {
				sum, err = c.method.Call(ctx, s.Endpoint, s.peer, addRequest{2, 3})
				over = true
			})
			for len(conn.sent) < 2 && clock.Sleep(ctx, s.loop, time.Millisecond) == nil {
			}
			s.host.handler.Frame(conn, withID(c.typ, uint64(conn.sent[1][5]), c.answer...))
			for !over && clock.Sleep(ctx, s.loop, time.Millisecond) == nil {
			}
			assert.Equal(t, c.kind, transport.KindOf(err), "%s: %v", name, err)
			assert.Equal(t, c.sum, sum, name)
		})
	}
}

// TestPublicationsAreControl: they go to the others of the audience, over conns of that class.
func TestPublicationsAreControl(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		dir := s.Directory().(*transport.StaticDirectory)
		dir.Add(s.peer, "t")
		dir.Add(s.Self(), "t")
		dir.Add(peerNamed("other"), "u")
		s.Publish("t/news", []byte("x"))
		assert.Equal(t, []transport.Class{transport.Control}, s.host.classes)
		assert.Equal(t, [][]byte{append([]byte{6, 6}, "t/newsx"...)}, s.dialed(s.peer, transport.Control).sent)
		s.Publish("t/news", make([]byte, transport.MessageLenMax+1))
		assert.Len(t, s.host.classes, 1)
	})
}

func TestEncodingIsCanonical(t *testing.T) {
	m := map[string]int{}
	for _, k := range []string{"b", "aa", "a", "c"} {
		m[k] = len(k)
	}
	first := transport.Encode(m)
	for range 20 {
		require.Equal(t, first, transport.Encode(m))
	}
	var back map[string]int
	require.NoError(t, transport.Decode(first, &back))
	require.Equal(t, m, back)
	require.Equal(t, transport.Invalid, transport.KindOf(transport.Decode([]byte{0xff}, &back)))
}

func TestPeerText(t *testing.T) {
	p := peerNamed("x")
	require.Equal(t, "12D3KooW", p.String()[:8])
	for _, text := range []string{p.String()} {
		back, err := transport.ParsePeer(text)
		require.NoError(t, err)
		require.Equal(t, p, back)
	}
	for _, bad := range []string{"", "x", "0OIl", p.String()[1:], p.String() + "1", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"} {
		_, err := transport.ParsePeer(bad)
		require.Error(t, err, bad)
	}
	var back transport.Peer
	require.NoError(t, transport.Decode(transport.Encode(p), &back))
	require.Equal(t, p, back)
	require.Len(t, transport.Encode(p), 34)
	require.Equal(t, 0, p.Compare(back))
	require.False(t, p.IsZero())
}

func TestIdentity(t *testing.T) {
	id := transport.NewIdentity([]byte("seed"))
	require.Equal(t, id.Peer(), transport.NewIdentity([]byte("seed")).Peer())
	require.NotEqual(t, id.Peer(), transport.NewIdentity([]byte("Seed")).Peer())
	sig := id.Sign([]byte("m"))
	require.True(t, id.Peer().Verify([]byte("m"), sig))
	require.False(t, id.Peer().Verify([]byte("n"), sig))
	require.False(t, peerNamed("x").Verify([]byte("m"), sig))
}

func TestStaticDirectory(t *testing.T) {
	dir := transport.NewStaticDirectory()
	a, b, c := peerNamed("a"), peerNamed("b"), peerNamed("c")
	for _, p := range []transport.Peer{c, a, b, a} {
		dir.Add(p, "s")
	}
	before := dir.Peers("s")
	require.Len(t, before, 3)
	require.True(t, before[0].Compare(before[1]) < 0 && before[1].Compare(before[2]) < 0)
	dir.Add(peerNamed("d"), "s")
	require.Len(t, before, 3, "a list that was given out does not change")
	require.Empty(t, dir.Peers("t"))
}

func TestPublishWithAndAdmit(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	dir.Add(peerNamed("self"), "s")
	p := &scriptPublisher{deliver: map[string]func(transport.Peer, []byte){}}
	loop := clock.NewLive()
	engine := transport.NewEngine(net.Host(peerNamed("self")), loop, dir, transport.PublishWith(p),
		transport.Admit(func(p transport.Peer) bool { return p != peerNamed("bad") }))
	defer loop.Stop(time.Second)
	ep := engine.Endpoint(loop)
	var got []string
	for _, name := range []string{"s/t", "other/t"} {
		ep.Subscribe(name, transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) { got = append(got, string(m)) })
	}
	require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) {
		ep.Publish("s/t", []byte("out"))
		p.deliver["s/t"](peerNamed("a"), []byte("in"))
		p.deliver["s/t"](peerNamed("self"), []byte("own"))
		p.deliver["other/t"](peerNamed("a"), []byte("not our audience"))
		for len(got) == 0 && clock.Sleep(ctx, loop, time.Millisecond) == nil {
		}
		require.Equal(t, []string{"in"}, got)
		_, err := ep.Call(ctx, peerNamed("bad"), "m", nil)
		require.Equal(t, transport.Unreachable, transport.KindOf(err))
	}))
	require.Equal(t, []string{"s/t out"}, p.sent)
	bad, err := net.Host(peerNamed("bad")).Dial(peerNamed("self"))
	require.NoError(t, err)
	require.Error(t, bad.Send([]byte{4, 1}))
	ep.Close()
	require.Equal(t, 2, p.cancelled)
	require.NoError(t, engine.Close())
}

type scriptPublisher struct {
	sent      []string
	deliver   map[string]func(transport.Peer, []byte)
	cancelled int
}

func (p *scriptPublisher) Publish(topic string, m []byte) {
	p.sent = append(p.sent, topic+" "+string(m))
}

func (p *scriptPublisher) Subscribe(topic string, deliver func(transport.Peer, []byte)) func() {
	p.deliver[topic] = deliver
	return func() { p.cancelled++ }
}

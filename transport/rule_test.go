package transport_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

func TestRulesAllow(t *testing.T) {
	none, both := transport.Grants{}, transport.Grants{Services: []string{"monkey", "tns"}}
	for _, row := range []struct {
		rule                               transport.Rule
		text                               string
		stranger, plain, monkey, pretender bool
	}{
		{transport.Rule{}, "nobody", false, false, false, false},
		{transport.Anyone, "anyone", true, true, true, true},
		{transport.Member, "members", false, true, true, false},
		{transport.Offers("monkey"), "members that offer monkey", false, false, true, false},
		{transport.Offers("patrick", "tns"), "members that offer patrick or tns", false, false, true, false},
		{transport.Offers("patrick"), "members that offer patrick", false, false, false, false},
		{transport.Offers("monk", "monkeys", "onkey"), "members that offer monk or monkeys or onkey", false, false, false, false},
	} {
		require.Equal(t, row.text, row.rule.String())
		require.Equal(t, row.text != "nobody", row.rule.IsRule())
		require.Equal(t, row.stranger, row.rule.Allows(none, false), row.text)
		require.Equal(t, row.plain, row.rule.Allows(none, true), row.text)
		require.Equal(t, row.monkey, row.rule.Allows(both, true), row.text)
		require.Equal(t, row.pretender, row.rule.Allows(both, false), "grants of one who is not known: "+row.text)
	}
	for _, services := range [][]string{nil, {""}, {"tns", ""}} {
		require.Panics(t, func() { transport.Offers(services...) })
	}
}

func TestStaticDirectoryIsAnAuthority(t *testing.T) {
	dir, p := transport.NewStaticDirectory(), peerNamed("p")
	_, known := dir.Grants(p)
	require.False(t, known)
	dir.Add(p, "tns", "monkey", "tns")
	dir.Grant(p, "hoarder")
	g, known := dir.Grants(p)
	require.True(t, known)
	require.Equal(t, []string{"hoarder", "monkey", "tns"}, g.Services)
	require.Equal(t, []transport.Peer{p}, dir.Peers("monkey"))
	require.Empty(t, dir.Peers("hoarder"), "it may, but does not")
	dir.Add(peerNamed("q"))
	g, known = dir.Grants(peerNamed("q"))
	require.True(t, known)
	require.Empty(t, g.Services)
}

func TestNothingIsServedWithoutARule(t *testing.T) {
	a := newNode(t, transporttest.NewPipeNet(), "a", transport.NewStaticDirectory())
	const remedy = `transport: "t/x" has no rule that says who may call it: Anyone, Member or Offers`
	require.PanicsWithValue(t, remedy, func() { a.Handle("t/x", transport.Rule{}, echo) })
	require.PanicsWithValue(t, remedy, func() { a.HandleTell("t/x", transport.Rule{}, nil) })
	require.PanicsWithValue(t, remedy, func() { a.HandleStream("t/x", transport.Rule{}, nil) })
	require.PanicsWithValue(t, remedy, func() { a.Subscribe("t/x", transport.Rule{}, nil) })
	require.PanicsWithValue(t, remedy, func() { transport.Method[int, int]{Name: "t/x"}.Serve(a.Endpoint, nil) })
}

// callers are a node that serves one of everything to members that offer monkey, a
// stranger, a plain member and a monkey, and what has reached the handlers.
type callers struct {
	server, stranger, plain, monkey *node
	heard                           []string
}

func newCallers(t *testing.T) *callers {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	c := &callers{
		server: newNode(t, net, "server", dir), stranger: newNode(t, net, "stranger", dir),
		plain: newNode(t, net, "plain", dir), monkey: newNode(t, net, "monkey", dir),
	}
	dir.Add(c.server.Self(), "t")
	dir.Add(c.plain.Self(), "t")
	dir.Add(c.monkey.Self(), "monkey")
	rule := transport.Offers("monkey")
	hear := func(what string) func(context.Context, transport.Peer, []byte) {
		return func(_ context.Context, _ transport.Peer, message []byte) {
			c.heard = append(c.heard, what+" "+string(message))
		}
	}
	c.server.Handle("t/call", rule, func(ctx context.Context, p transport.Peer, m []byte) ([]byte, error) {
		hear("call")(ctx, p, m)
		return m, nil
	})
	c.server.HandleTell("t/note", rule, hear("note"))
	c.server.Subscribe("t/topic", rule, hear("topic"))
	c.server.HandleStream("t/stream", rule, func(ctx context.Context, p transport.Peer, m []byte, s *transport.Stream) {
		hear("stream")(ctx, p, m)
		_ = s.Send(ctx, m)
	})
	c.server.Handle("t/open", transport.Anyone, echo)
	return c
}

// try does one of everything as a node and returns what came of the call and the stream.
func (c *callers) try(t *testing.T, n *node, as string) (call, stream error) {
	to := c.server.Self()
	n.do(t, func(ctx context.Context) {
		require.NoError(t, n.Tell(to, "t/note", []byte(as)))
		n.Publish("t/topic", []byte(as))
		st, err := n.OpenStream(ctx, to, "t/stream", []byte(as))
		require.NoError(t, err)
		_, stream = st.Recv(ctx)
		_, call = n.Call(ctx, to, "t/call", []byte(as))
		_, err = n.Call(ctx, to, "t/open", nil)
		require.NoError(t, err, "what is for anyone is for %s", as)
	})
	return call, stream
}

func TestTheEngineEnforcesRules(t *testing.T) {
	c := newCallers(t)
	for _, row := range []struct {
		n        *node
		as, text string
	}{{c.stranger, "stranger", "it is for members"}, {c.plain, "plain", "it is for members that offer monkey"}} {
		call, stream := c.try(t, row.n, row.as)
		require.EqualError(t, call, "t/call: not allowed: "+row.text)
		require.EqualError(t, stream, "t/stream: not allowed: "+row.text)
	}
	call, stream := c.try(t, c.monkey, "monkey")
	require.NoError(t, call)
	require.NoError(t, stream)
	c.server.do(t, func(ctx context.Context) {
		for len(c.heard) < 4 && clock.Sleep(ctx, c.server.loop, time.Millisecond) == nil {
		}
		require.ElementsMatch(t, []string{"note monkey", "topic monkey", "stream monkey", "call monkey"}, c.heard)
	})
}

// TestStrangersLearnNothing: what is not there looks like what is for members.
func TestStrangersLearnNothing(t *testing.T) {
	c := newCallers(t)
	kind := func(n *node, method string) (err error) {
		n.do(t, func(ctx context.Context) { _, err = n.Call(ctx, c.server.Self(), method, nil) })
		return err
	}
	for _, method := range []string{"t/call", "t/note", "t/stream", "t/topic", "no/such"} {
		require.EqualError(t, kind(c.stranger, method), method+": not allowed: it is for members")
	}
	require.EqualError(t, kind(c.plain, "no/such"), "no/such: refused: not served here")
}

// members is an Authority of its own.
type members map[transport.Peer]transport.Grants

func (m members) Grants(p transport.Peer) (transport.Grants, bool) {
	g, known := m[p]
	return g, known
}

func TestTheAuthorityIsAPort(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	a := newNode(t, net, "a", dir)
	known := members{a.Self(): {Services: []string{"monkey"}}}
	b := newNode(t, net, "b", dir, transport.AuthorizeBy(known))
	nobody := newNode(t, net, "nobody", struct{ transport.Directory }{dir})
	for _, n := range []*node{b, nobody} {
		n.Handle("t/call", transport.Offers("monkey"), echo)
	}
	dir.Add(a.Self(), "monkey")
	a.do(t, func(ctx context.Context) {
		_, err := a.Call(ctx, b.Self(), "t/call", nil)
		require.NoError(t, err)
		_, err = a.Call(ctx, nobody.Self(), "t/call", nil)
		require.Equal(t, transport.NotAllowed, transport.KindOf(err), "who has no authority lets nobody in")
	})
	g, ok := b.Grants(a.Self())
	require.True(t, ok && g.Offers("monkey"))
	_, ok = b.Grants(b.Self())
	require.False(t, ok)
}

// TestEachSubscriberHasItsRule: of several subscribers of one topic on a node, those whose rule allows
// the publisher hear it.
func TestEachSubscriberHasItsRule(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	server, plain, monkey := newNode(t, net, "server", dir), newNode(t, net, "plain", dir), newNode(t, net, "monkey", dir)
	dir.Add(server.Self(), "t")
	dir.Add(plain.Self())
	dir.Add(monkey.Self(), "monkey")
	var heard []string
	for _, rule := range []transport.Rule{transport.Offers("monkey"), transport.Member, transport.Offers("tns"), transport.Anyone} {
		server.Subscribe("t/topic", rule, func(_ context.Context, _ transport.Peer, message []byte) {
			heard = append(heard, rule.String()+": "+string(message))
			clear(message)
		})
	}
	for _, row := range []struct {
		of    *node
		as    string
		heard []string
	}{
		{plain, "plain", []string{"members: plain", "anyone: plain"}},
		{monkey, "monkey", []string{"members that offer monkey: monkey", "members: monkey", "anyone: monkey"}},
	} {
		row.of.do(t, func(context.Context) { row.of.Publish("t/topic", []byte(row.as)) })
		server.do(t, func(ctx context.Context) {
			for len(heard) < len(row.heard) && clock.Sleep(ctx, server.loop, time.Millisecond) == nil {
			}
			require.NoError(t, clock.Sleep(ctx, server.loop, 20*time.Millisecond))
			require.Equal(t, row.heard, heard)
			heard = nil
		})
	}
}

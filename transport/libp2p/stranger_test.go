package libp2p_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// realNode is an engine on a host of its own on loopback.
type realNode struct {
	*transport.Endpoint
	loop clock.Loop
	host *libp2p.Host
}

func newRealNode(t *testing.T, name string, dir transport.Directory, known ...string) *realNode {
	h, err := libp2p.New(transport.NewIdentity([]byte(name)), nil, known)
	require.NoError(t, err)
	loop := clock.NewLive()
	e := transport.NewEngine(h, loop, dir)
	t.Cleanup(func() {
		loop.Stop(time.Second)
		require.NoError(t, e.Close())
		require.NoError(t, h.Close())
	})
	return &realNode{e.Endpoint(loop), loop, h}
}

// do runs f as a task and waits for it.
func (n *realNode) do(t *testing.T, f func(ctx context.Context)) {
	done := make(chan struct{})
	n.loop.Go("test", func(ctx context.Context) {
		defer close(done)
		ctx, cancel := clock.WithTimeout(ctx, n.loop, 20*time.Second)
		defer cancel()
		f(ctx)
	})
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it takes more than a minute")
	}
}

// TestRealStrangersAreRefused: over real libp2p, who is no member calls nothing, sends
// no note, opens no stream and publishes nothing, and a member with the wrong services
// does no more.
func TestRealStrangersAreRefused(t *testing.T) {
	t.Parallel()
	dir := transport.NewStaticDirectory()
	server := newRealNode(t, "server", dir)
	monkey := newRealNode(t, "monkey", dir, server.host.Addrs()...)
	seer := newRealNode(t, "seer", dir, server.host.Addrs()...)
	stranger := newRealNode(t, "stranger", dir, server.host.Addrs()...)
	dir.Add(server.Self(), "patrick")
	dir.Add(monkey.Self(), "monkey")
	dir.Add(seer.Self(), "seer")

	rule := transport.Offers("monkey")
	heard := make(chan string, 100)
	server.Handle("t/call", rule, func(_ context.Context, from transport.Peer, req []byte) ([]byte, error) {
		heard <- "call of " + from.Short()
		return req, nil
	})
	server.HandleTell("t/note", rule, func(_ context.Context, from transport.Peer, _ []byte) { heard <- "note of " + from.Short() })
	server.HandleStream("t/stream", rule, func(_ context.Context, from transport.Peer, _ []byte, _ *transport.Stream) {
		heard <- "stream of " + from.Short()
	})
	server.Subscribe("patrick/topic", rule, func(_ context.Context, from transport.Peer, _ []byte) { heard <- "publication of " + from.Short() })

	// try does all of it, one after the other on one conn, and returns the errors.
	try := func(ctx context.Context, n *realNode) (call, stream error) {
		_, _ = n.Call(ctx, server.Self(), "t/none", nil) // now there is a conn, which carries what follows in order
		require.NoError(t, n.Tell(server.Self(), "t/note", []byte("x")))
		n.Publish("patrick/topic", []byte("x"))
		s, err := n.OpenStream(ctx, server.Self(), "t/stream", nil)
		if err == nil {
			_, err = s.Recv(ctx)
		}
		_, call = n.Call(ctx, server.Self(), "t/call", []byte("x"))
		return call, err
	}
	for name, n := range map[string]*realNode{"stranger": stranger, "seer": seer} {
		n.do(t, func(ctx context.Context) {
			call, stream := try(ctx, n)
			require.Equal(t, transport.NotAllowed, transport.KindOf(call), name)
			require.Equal(t, transport.NotAllowed, transport.KindOf(stream), name)
		})
	}
	monkey.do(t, func(ctx context.Context) {
		call, _ := try(ctx, monkey)
		require.NoError(t, call)
	})
	var got, want []string
	for _, what := range []string{"note", "publication", "stream", "call"} {
		got, want = append(got, <-heard), append(want, what+" of "+monkey.Self().Short())
	}
	require.ElementsMatch(t, want, got, "nobody else is heard")
	require.Empty(t, heard)
}

package transport_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

func peerNamed(name string) transport.Peer { return transport.NewIdentity([]byte(name)).Peer() }

// node is one end of a test.
type node struct {
	*transport.Endpoint
	engine *transport.Engine
	loop   *clock.Live
}

func newNode(t testing.TB, net *transporttest.PipeNet, name string, dir transport.Directory, options ...transport.Option) *node {
	loop := clock.NewLive()
	engine := transport.NewEngine(net.Host(peerNamed(name)), loop, dir, options...)
	t.Cleanup(func() {
		require.NoError(t, engine.Close())
		require.True(t, loop.Stop(time.Second))
	})
	return &node{Endpoint: engine.Endpoint(loop), engine: engine, loop: loop}
}

// do runs f as a task and waits for it.
func (n *node) do(t testing.TB, f func(ctx context.Context)) {
	require.NoError(t, clock.Do(context.Background(), n.loop, f))
}

func echo(_ context.Context, _ transport.Peer, request []byte) ([]byte, error) { return request, nil }

func TestCall(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	a, b := newNode(t, net, "a", dir), newNode(t, net, "b", dir)
	dir.Add(a.Self())
	b.Handle("test/echo", transport.Anyone, echo)
	b.Handle("test/fail", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) {
		return nil, transport.New(transport.Conflict, "test/fail", "stale token")
	})
	a.Handle("test/echo", transport.Anyone, echo)
	var got, self []byte
	var err, failed, unknown, nobody error
	a.do(t, func(ctx context.Context) {
		got, err = a.Call(ctx, b.Self(), "test/echo", []byte("hi"))
		self, _ = a.Call(ctx, a.Self(), "test/echo", []byte("me"))
		_, failed = a.Call(ctx, b.Self(), "test/fail", nil)
		_, unknown = a.Call(ctx, b.Self(), "test/unknown", nil)
		_, nobody = a.Call(ctx, peerNamed("nobody"), "test/echo", nil)
	})
	require.NoError(t, err)
	require.Equal(t, "hi", string(got))
	require.Equal(t, "me", string(self))
	require.EqualError(t, failed, transport.New(transport.Conflict, "test/fail", "stale token").Error())
	require.Equal(t, transport.Conflict, transport.KindOf(failed))
	require.True(t, transport.Answered(failed))
	require.Equal(t, transport.Refused, transport.KindOf(unknown))
	require.Equal(t, transport.Unreachable, transport.KindOf(nobody))
}

func TestPanicOnSecondHandler(t *testing.T) {
	a := newNode(t, transporttest.NewPipeNet(), "a", transport.NewStaticDirectory())
	a.Handle("test/echo", transport.Anyone, echo)
	require.Panics(t, func() { a.Handle("test/echo", transport.Anyone, echo) })
	a.Close()
	other := a.engine.Endpoint(a.loop)
	require.NotPanics(t, func() { other.Handle("test/echo", transport.Anyone, echo) })
}

func TestMalformedFrameCostsTheConn(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	a := newNode(t, net, "a", dir)
	for _, data := range [][]byte{nil, {0}, {199}, {1}, {2}, {8, 1, 'x'}, {9, 2, 1, 1}, {7, 2, 1, 'm'}, make([]byte, transport.FrameLenMax+1)} {
		raw := net.Host(peerNamed("raw"))
		conn, err := raw.Dial(a.Self())
		require.NoError(t, err)
		require.NoError(t, conn.Send(helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1})))
		require.NoError(t, conn.Send(data))
		require.Error(t, conn.Send([]byte{4, 1}), "still open after %v", data[:min(len(data), 10)])
	}
}

// TestUnknownFramesAreSkipped: a later release sends them, whole or in parts.
func TestUnknownFramesAreSkipped(t *testing.T) {
	withScript(t, func(ctx context.Context, s *script) {
		arrived := s.listen(ctx, t, 1)
		c := s.accept()
		whole := append([]byte{99}, make([]byte, 100)...)
		s.host.handler.Frame(c, whole)
		s.host.handler.Frame(c, begin(1, len(whole), whole[:40]...))
		s.host.handler.Frame(c, part(1, whole[40:]...))
		s.host.handler.Frame(c, noteFrame(5))
		arrived()
		require.False(t, c.closed)
	})
}

func TestStoppedIsUnwrapped(t *testing.T) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	a, b := newNode(t, net, "a", dir), newNode(t, net, "b", dir)
	b.Handle("test/wait", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		return nil, clock.Sleep(ctx, b.loop, time.Hour)
	})
	var err error
	a.do(t, func(ctx context.Context) {
		a.loop.AfterFunc(time.Millisecond, func() { a.Close() })
		_, err = a.Call(ctx, b.Self(), "test/wait", nil)
	})
	require.True(t, errors.Is(err, clock.ErrStopped), "%v", err)
	require.Equal(t, transport.Stopped, transport.KindOf(err))
}

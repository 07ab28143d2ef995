package httpstream_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
	"github.com/taucloud/tau/transport/transporttest"
)

// bubble is a client and a server on a network in memory, in virtual time.
type bubble struct {
	t              *testing.T
	client, server *transport.Endpoint
}

// bubbleLoop is a live loop whose clock begins with the bubble.
type bubbleLoop struct {
	*clock.Live
	began time.Time
}

// Elapsed implements clock.Clock.
func (l *bubbleLoop) Elapsed() time.Duration { return time.Since(l.began) + time.Hour }

// Branch implements clock.Loop.
func (l *bubbleLoop) Branch() clock.Loop {
	return &bubbleLoop{l.Live.Branch().(*clock.Live), l.began}
}

// inBubble runs a test, whose tasks use assert: they must not end it.
func inBubble(t *testing.T, f func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		net, began := transporttest.NewPipeNet(), time.Now()
		var ends []*transport.Endpoint
		for _, id := range transporttest.Identities(2) {
			loop := &bubbleLoop{clock.NewLive(), began}
			engine := transport.NewEngine(net.Host(id.Peer()), loop, transport.NewStaticDirectory())
			defer func() {
				require.NoError(t, engine.Close())
				require.True(t, loop.Stop(time.Second))
			}()
			ends = append(ends, engine.Endpoint(loop))
		}
		f(&bubble{t, ends[0], ends[1]})
	})
}

// serves is a handler of a test that sees to it that its requests share nothing.
type serves func(w http.ResponseWriter, r *http.Request)

// SharedByLoops implements clock.Shared.
func (serves) SharedByLoops() {}

// ServeHTTP implements http.Handler.
func (h serves) ServeHTTP(w http.ResponseWriter, r *http.Request) { h(w, r) }

// handle has the server answer requests.
func (b *bubble) handle(h serves) { httpstream.Serve(b.server, "http", transport.Anyone, h) }

// script has the server do what a test says on each stream.
func (b *bubble) script(f func(ctx context.Context, conn *transport.ByteStream)) {
	b.server.HandleStream("http", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, s *transport.Stream) {
		f(ctx, transport.NewByteStream(ctx, s))
	})
}

// do runs a task of the client.
func (b *bubble) do(f func(ctx context.Context)) {
	require.NoError(b.t, clock.Do(context.Background(), b.client.Loop(), f))
	synctest.Wait() // what the test reads now the other end has written before
}

// ask sends the parts of a request, each a minute after the one before, and returns all that the
// server answers; whole tells that the answer has ended in order.
func (b *bubble) ask(parts ...string) (answer string, whole bool) {
	b.do(func(ctx context.Context) {
		st, err := b.client.OpenStreamOn(ctx, transport.Bulk, b.server.Self(), "http", nil)
		if !assert.NoError(b.t, err) {
			return
		}
		conn := transport.NewByteStream(ctx, st)
		for i, part := range parts {
			if i > 0 {
				assert.NoError(b.t, clock.Sleep(ctx, b.client.Loop(), time.Minute))
			}
			_, err := io.WriteString(conn, part)
			assert.NoError(b.t, err)
		}
		assert.NoError(b.t, conn.CloseWrite())
		raw, err := io.ReadAll(conn)
		answer, whole = string(raw), err == nil
	})
	return answer, whole
}

package httpstream_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// FuzzServer: whatever comes as a request, the server answers or resets the stream, and serves the next one.
func FuzzServer(f *testing.F) {
	f.Add([]byte("POST /x?y=z HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) > 64<<10 {
			return
		}
		inBubble(t, func(b *bubble) {
			b.handle(func(w http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(w, r.Body)
				assert.LessOrEqual(t, n, int64(len(sent)))
			})
			b.do(func(ctx context.Context) {
				ctx, cancel := clock.WithTimeout(ctx, b.client.Loop(), 10*time.Minute)
				defer cancel()
				st, err := b.client.OpenStreamOn(ctx, transport.Bulk, b.server.Self(), "http", nil)
				if !assert.NoError(t, err) {
					return
				}
				conn := transport.NewByteStream(ctx, st)
				_, _ = conn.Write(sent)
				_ = conn.CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				assert.NoError(t, ctx.Err(), "it does not end")
			})
			answer, whole := b.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			assert.True(t, whole && len(answer) > 0)
		})
	})
}

// FuzzClient: whatever comes as a response, the client has one or an error, and the exchange ends.
func FuzzClient(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) > 64<<10 {
			return
		}
		inBubble(t, func(b *bubble) {
			b.script(func(_ context.Context, conn *transport.ByteStream) { _, _ = conn.Write(sent) })
			b.do(func(ctx context.Context) {
				ctx, cancel := clock.WithTimeout(ctx, b.client.Loop(), 10*time.Minute)
				defer cancel()
				r, err := http.NewRequest("GET", "http://node/", nil)
				assert.NoError(t, err)
				response, err := httpstream.Do(ctx, b.client, b.server.Self(), "http", r)
				if err != nil {
					return
				}
				n, _ := io.Copy(io.Discard, response.Body)
				assert.LessOrEqual(t, n, int64(len(sent)))
				_ = response.Body.Close()
				assert.NoError(t, ctx.Err(), "it does not end")
			})
		})
	})
}

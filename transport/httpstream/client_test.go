package httpstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// errBody is what a body fails with.
var errBody = errors.New("the body is gone")

// source is a body that tells when it was closed.
type source struct {
	io.Reader
	closed int
}

// Close implements io.Closer.
func (s *source) Close() error { s.closed++; return nil }

// failing is a reader that fails.
type failing struct{}

// Read implements io.Reader.
func (failing) Read([]byte) (int, error) { return 0, errBody }

// send does a request and reads what it is answered with.
func (b *bubble) send(ctx context.Context, body io.Reader) (status int, text string, err error) {
	r, err := http.NewRequest("POST", "http://node/", body)
	if err != nil {
		return 0, "", err
	}
	response, err := httpstream.Do(ctx, b.client, b.server.Self(), "http", r)
	if err != nil {
		return 0, "", err
	}
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), err
}

// TestRequests are what they are byte by byte, and end in order.
func TestRequests(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: node\r\nUser-Agent: Go-http-client/1.1\r\n"
	for name, c := range map[string]struct {
		body io.Reader
		want string
	}{
		"no body":             {nil, "Content-Length: 0\r\n\r\n"},
		"declared none":       {http.NoBody, "Content-Length: 0\r\n\r\n"},
		"of a known length":   {strings.NewReader("abc"), "Content-Length: 3\r\n\r\nabc"},
		"one byte":            {strings.NewReader("a"), "Content-Length: 1\r\n\r\na"},
		"of no known length":  {io.MultiReader(strings.NewReader("abc")), "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		"with nothing at all": {io.MultiReader(), "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				var got string
				b.script(func(_ context.Context, conn *transport.ByteStream) {
					raw, err := io.ReadAll(conn)
					assert.NoError(t, err)
					got = string(raw)
					_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
				})
				b.do(func(ctx context.Context) {
					status, text, err := b.send(ctx, c.body)
					assert.NoError(t, err)
					assert.Equal(t, 201, status)
					assert.Equal(t, "ok", text)
				})
				require.Equal(t, head+c.want, got)
			})
		})
	}
}

// TestRequestsThatCannotBeSent say why, and the body is closed whatever happens.
func TestRequestsThatCannotBeSent(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var cut error
		b.script(func(_ context.Context, conn *transport.ByteStream) { _, cut = io.ReadAll(conn) })
		b.do(func(ctx context.Context) {
			for _, body := range []io.Reader{nil, strings.NewReader("a")} {
				s := &source{Reader: body}
				r, _ := http.NewRequest("POST", "http://node/", nil)
				if body != nil {
					r.Body = s
				}
				_, err := httpstream.Do(ctx, b.client, transport.NewIdentity([]byte("nobody")).Peer(), "http", r)
				assert.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
				assert.Equal(t, body != nil, s.closed == 1)
			}
			s := &source{Reader: io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), failing{})}
			_, _, err := b.send(ctx, s)
			assert.EqualError(t, err, errBody.Error())
			assert.Equal(t, 1, s.closed)
			assert.NoError(t, clock.Sleep(ctx, b.client.Loop(), time.Second))
		})
		require.Error(t, cut, "it is not taken for complete")
	})
	inBubble(t, func(b *bubble) {
		b.script(func(_ context.Context, conn *transport.ByteStream) { conn.Reset() })
		b.do(func(ctx context.Context) {
			_, _, err := b.send(ctx, io.MultiReader(strings.NewReader(strings.Repeat("x", 8<<20))))
			var kind *transport.Error
			assert.ErrorAs(t, err, &kind)
		})
	})
}

// TestAnswers: what a client makes of what a server sends, and what the server hears of it.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("b", httpstream.HeadLenMax)
	head := func(length int) string {
		const begin, end = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", "\r\n\r\n"
		return begin + strings.Repeat("x", length-len(begin)-len(end)) + end
	}
	for name, c := range map[string]struct {
		sent   string
		status int // 0 if there is no response
		text   string
		broken bool // its body is
		open   bool // the server does not end it: it hears that the client does
	}{
		"informational":   {sent: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", status: 200, text: "a"},
		"a long body":     {sent: "HTTP/1.1 404 Not Found\r\nContent-Length: 65536\r\n\r\n" + long, status: 404, text: long},
		"until the end":   {sent: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", status: 200, text: "abc"},
		"too short":       {sent: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", status: 200, text: "abc", broken: true},
		"a cut chunk":     {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na", status: 200, text: "a", broken: true},
		"no HTTP":         {sent: "nonsense\r\n\r\n", open: true},
		"nothing":         {},
		"a longest head":  {sent: head(httpstream.HeadLenMax), status: 200},
		"a head too long": {sent: head(httpstream.HeadLenMax + 2), open: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				reset := false
				b.script(func(ctx context.Context, conn *transport.ByteStream) {
					_, _ = io.WriteString(conn, c.sent)
					if !c.open {
						_ = conn.CloseWrite()
					}
					reset = clock.Sleep(ctx, b.server.Loop(), time.Minute) != nil
				})
				b.do(func(ctx context.Context) {
					status, text, err := b.send(ctx, nil)
					assert.Equal(t, c.status, status)
					assert.Equal(t, c.text, text)
					assert.Equal(t, c.status == 0 || c.broken, err != nil, "%v", err)
					assert.NoError(t, clock.Sleep(ctx, b.client.Loop(), time.Hour))
				})
				require.Equal(t, c.open, reset)
			})
		})
	}
}

// TestTheEndOfAnExchange: a response that was read whole ends it in order, unless the request is
// still being sent; one that is closed before ends it at once.
func TestTheEndOfAnExchange(t *testing.T) {
	for name, c := range map[string]struct {
		body  io.Reader
		read  int // bytes, of 3
		reset bool
	}{
		"read whole":                  {read: 4},
		"read in part":                {read: 2, reset: true},
		"with a request unsent":       {body: io.MultiReader(strings.NewReader(strings.Repeat("x", 16<<20))), read: 4, reset: true},
		"with a request that is sent": {body: strings.NewReader("abc"), read: 4},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				reset := false
				b.script(func(ctx context.Context, conn *transport.ByteStream) {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
					reset = clock.Sleep(ctx, b.server.Loop(), time.Minute) != nil
				})
				b.do(func(ctx context.Context) {
					r, _ := http.NewRequest("POST", "http://node/", c.body)
					response, err := httpstream.Do(ctx, b.client, b.server.Self(), "http", r)
					if !assert.NoError(t, err) {
						return
					}
					assert.NoError(t, clock.Sleep(ctx, b.client.Loop(), time.Second))
					_, _ = io.ReadFull(response.Body, make([]byte, c.read))
					assert.NoError(t, response.Body.Close())
					assert.NoError(t, response.Body.Close(), "twice")
					assert.NoError(t, clock.Sleep(ctx, b.client.Loop(), time.Hour))
				})
				require.Equal(t, c.reset, reset)
			})
		})
	}
}

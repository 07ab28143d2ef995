package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

var httpCases = []testCase{
	{"http/heads", 2, headsAndBodies},
	{"http/both-ways", 2, bodiesGoBothWays},
	{"http/slow-reader", 2, slowReadersHoldTheServer},
	{"http/client-goes", 2, clientsThatGo},
	{"http/server-aborts", 2, brokenResponsesAreNoticed},
	{"http/early-answer", 2, answersMayComeEarly},
	{"http/deadlines", 2, deadlinesEndReadsAndWrites},
	{"http/many", 2, manyExchangesAtOnce},
}

// Pattern is a body of a length, as a reader that holds none of it.
type Pattern struct {
	at, length int64
}

// NewPattern returns a body of a length, in bytes.
func NewPattern(length int64) *Pattern { return &Pattern{length: length} }

// Read implements io.Reader.
func (p *Pattern) Read(b []byte) (int, error) {
	n := int(min(int64(len(b)), p.length-p.at))
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	for at := 0; at < n; {
		at += copy(b[at:n], pattern[(p.at+int64(at))%patternPeriod:])
	}
	p.at += int64(n)
	return n, nil
}

// Write implements io.Writer: it fails on data other than the next part of the body.
func (p *Pattern) Write(b []byte) (int, error) {
	if p.at+int64(len(b)) > p.length {
		return 0, fmt.Errorf("more than %d bytes", p.length)
	}
	for at := 0; at < len(b); {
		want := pattern[p.at%patternPeriod:]
		part := b[at:min(len(b), at+len(want))]
		if !bytes.Equal(part, want[:len(part)]) {
			return at, fmt.Errorf("wrong bytes from %d on", p.at)
		}
		at += len(part)
		p.at += int64(len(part))
	}
	return len(b), nil
}

// patternPeriod is the period of the pattern in bytes; no buffer length is a multiple of it.
const patternPeriod = 251 * 257

var pattern = func() []byte {
	b := make([]byte, patternPeriod)
	for i := range b {
		b[i] = byte(i%251) ^ byte(i>>8)
	}
	return b
}()

// Whole reports whether all of the body was read or written.
func (p *Pattern) Whole() bool { return p.at == p.length }

const httpMethod = "t/http"

// Echo answers with the body of the request.
type Echo struct{}

// ServeHTTP implements http.Handler.
func (Echo) ServeHTTP(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// handler serves the requests of a test, which itself sees to it that they share
// nothing but what they may.
type handler func(w http.ResponseWriter, r *http.Request)

// SharedByLoops implements clock.Shared.
func (handler) SharedByLoops() {}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h(w, r) }

func (s *suite) get(ctx context.Context, verb, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, verb, "http://node"+path, body)
	if err != nil {
		return nil, err
	}
	return httpstream.Do(ctx, s.Endpoint(0), s.peer(1), httpMethod, r)
}

// text is what a request is answered with.
func (s *suite) text(ctx context.Context, verb, path string, body io.Reader) (status int, text string, header http.Header) {
	response, err := s.get(ctx, verb, path, body)
	if !assert.NoError(s, err) {
		return 0, "", nil
	}
	raw, err := io.ReadAll(response.Body)
	assert.NoError(s, err)
	assert.NoError(s, response.Body.Close())
	return response.StatusCode, string(raw), response.Header
}

func headsAndBodies(s *suite) {
	from := s.peer(0).String()
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(s, from, r.RemoteAddr)
		assert.Equal(s, "node", r.Host)
		raw, err := io.ReadAll(r.Body)
		assert.NoError(s, err)
		switch r.URL.Path {
		case "/nothing":
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			_, err := w.Write([]byte("x"))
			assert.ErrorIs(s, err, http.ErrBodyNotAllowed)
		case "/known":
			w.Header().Set("Content-Length", "3")
			_, err := io.WriteString(w, "abc")
			assert.NoError(s, err)
			_, err = io.WriteString(w, "d")
			assert.ErrorIs(s, err, http.ErrContentLength)
		default:
			w.Header().Set("X-Query", r.URL.RawQuery)
			w.WriteHeader(http.StatusTeapot)
			_, _ = fmt.Fprintf(w, "%s %s", r.Method, raw)
		}
	}))
	s.Do(0, func(ctx context.Context) {
		status, text, header := s.text(ctx, "PUT", "/a?b=c", strings.NewReader("body"))
		assert.Equal(s, http.StatusTeapot, status)
		assert.Equal(s, "PUT body", text)
		assert.Equal(s, "b=c", header.Get("X-Query"))
		assert.NotEmpty(s, header.Get("Date"))
		_, text, _ = s.text(ctx, "GET", "/a", nil)
		assert.Equal(s, "GET ", text)
		_, text, _ = s.text(ctx, "GET", "/a", io.MultiReader(strings.NewReader("of no known "), strings.NewReader("length")))
		assert.Equal(s, "GET of no known length", text)
		_, text, _ = s.text(ctx, "HEAD", "/a", nil)
		assert.Empty(s, text)
		status, text, header = s.text(ctx, "GET", "/nothing", nil)
		assert.Equal(s, []any{200, "", "0"}, []any{status, text, header.Get("Content-Length")})
		status, _, _ = s.text(ctx, "GET", "/none", nil)
		assert.Equal(s, http.StatusNoContent, status)
		_, text, _ = s.text(ctx, "GET", "/known", nil)
		assert.Equal(s, "abc", text)
		checkNoRequests(ctx, s)
	})
}

// checkNoRequests: malformed requests are answered properly.
func checkNoRequests(ctx context.Context, s *suite) {
	for sent, want := range map[string]string{
		"nonsense\r\n\r\n": "HTTP/1.1 400 ",
		"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", httpstream.HeadLenMax): "HTTP/1.1 431 ",
		"": "",
	} {
		st, err := s.Endpoint(0).OpenStreamOn(ctx, transport.Bulk, s.peer(1), httpMethod, nil)
		if !assert.NoError(s, err) {
			return
		}
		conn := transport.NewByteStream(ctx, st)
		_, err = io.WriteString(conn, sent)
		assert.NoError(s, err)
		assert.NoError(s, conn.CloseWrite())
		answer, err := io.ReadAll(conn)
		assert.NoError(s, err)
		assert.True(s, strings.HasPrefix(string(answer), want), "%.40q: %.40q", sent, answer)
	}
}

// serveEcho has node 1 answer with the body of the request.
func (s *suite) serveEcho() {
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, r.Body)
		assert.NoError(s, err)
	}))
}

func bodiesGoBothWays(s *suite) {
	s.serveEcho()
	s.Do(0, func(ctx context.Context) {
		for _, length := range []int64{1, 100_000, 3 << 20} {
			response, err := s.get(ctx, "POST", "/", NewPattern(length))
			if !assert.NoError(s, err) {
				return
			}
			got := NewPattern(length)
			_, err = io.Copy(got, response.Body)
			assert.NoError(s, err)
			assert.True(s, got.Whole(), "%d", length)
		}
	})
}

func slowReadersHoldTheServer(s *suite) {
	const length = 24 << 20
	var sent atomic.Int64
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, r *http.Request) {
		body, chunk := NewPattern(length), make([]byte, 32<<10)
		for n, err := body.Read(chunk); err == nil; n, err = body.Read(chunk) {
			if _, err := w.Write(chunk[:n]); err != nil {
				return
			}
			sent.Add(int64(n))
		}
	}))
	s.Do(0, func(ctx context.Context) {
		response, err := s.get(ctx, "GET", "/", nil)
		if !assert.NoError(s, err) {
			return
		}
		got := NewPattern(length)
		_, err = io.CopyN(got, response.Body, 1<<20)
		assert.NoError(s, err)
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 300*time.Millisecond))
		held := sent.Load()
		assert.Less(s, held, int64(12<<20), "the server was not held back")
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 200*time.Millisecond))
		assert.Equal(s, held, sent.Load())
		_, err = io.Copy(got, response.Body)
		assert.NoError(s, err)
		assert.True(s, got.Whole())
	})
}

func clientsThatGo(s *suite) {
	type outcome struct {
		read, write error
		ctx         []error
	}
	ended := clock.Own(s.loop(1), outcome{})
	var uploads atomic.Bool
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, r *http.Request) {
		var readErr, writeErr error
		if r.URL.Path == "/upload" {
			uploads.Store(true)
			_, readErr = io.Copy(io.Discard, r.Body)
		} else {
			_, writeErr = io.Copy(w, NewPattern(1<<30))
		}
		loop := httpstream.Endpoint(r).Loop()
		ctxErr := clock.Sleep(r.Context(), loop, time.Hour)
		assert.NoError(s, ended.With(context.WithoutCancel(r.Context()), loop, func(o *outcome) {
			o.read, o.write = errors.Join(o.read, readErr), errors.Join(o.write, writeErr)
			o.ctx = append(o.ctx, ctxErr)
		}))
	}))
	s.Do(0, func(ctx context.Context) {
		response, err := s.get(ctx, "GET", "/download", nil)
		if !assert.NoError(s, err) {
			return
		}
		_, err = io.CopyN(io.Discard, response.Body, 1<<20)
		assert.NoError(s, err)
		assert.NoError(s, response.Body.Close())

		short, cancel := context.WithCancel(ctx)
		s.loop(0).Go("cancel", func(ctx context.Context) {
			assert.True(s, eventually(ctx, s.loop(0), uploads.Load), "the server does not read")
			cancel()
		})
		_, err = s.get(short, "POST", "/upload", NewPattern(1<<40))
		assert.Equal(s, transport.Stopped, transport.KindOf(err), "%v", err)
	})
	s.Do(1, func(ctx context.Context) {
		assert.True(s, eventually(ctx, s.loop(1), func() bool { return len(ended.Here().ctx) == 2 }))
		assert.Error(s, ended.Here().read)
		assert.Error(s, ended.Here().write)
		for _, err := range ended.Here().ctx {
			assert.ErrorIs(s, err, context.Canceled)
		}
	})
}

func brokenResponsesAreNoticed(s *suite) {
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			w.Header().Set("Content-Length", "100")
		}
		_, _ = w.Write(make([]byte, 50))
		if r.URL.Path == "/abort" {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	s.Do(0, func(ctx context.Context) {
		for _, path := range []string{"/short", "/abort"} {
			response, err := s.get(ctx, "GET", path, nil)
			if err == nil { // a reset may overtake the header
				_, err = io.Copy(io.Discard, response.Body)
			}
			assert.Error(s, err, path)
		}
		r, _ := http.NewRequest("GET", "http://node/", nil)
		_, err := httpstream.Do(ctx, s.Endpoint(0), s.peer(1), "t/other", r)
		assert.Equal(s, transport.Refused, transport.KindOf(err), "%v", err)
	})
}

// answersMayComeEarly: the rest of the request is not waited for, nor sent when the
// client has the answer.
func answersMayComeEarly(s *suite) {
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	s.Do(0, func(ctx context.Context) {
		body := NewPattern(1 << 40)
		status, _, _ := s.text(ctx, "POST", "/", body)
		assert.Equal(s, http.StatusForbidden, status)
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 100*time.Millisecond))
		at := body.at
		assert.NoError(s, clock.Sleep(ctx, s.loop(0), 300*time.Millisecond))
		assert.Equal(s, at, body.at, "the client goes on sending")
	})
}

func deadlinesEndReadsAndWrites(s *suite) {
	var readErr, writeErr error
	var over atomic.Bool
	httpstream.Serve(s.Endpoint(1), httpMethod, transport.Anyone, handler(func(w http.ResponseWriter, r *http.Request) {
		defer over.Store(true)
		control := http.NewResponseController(w)
		assert.NoError(s, control.SetReadDeadline(s.loop(1).Now().Add(100*time.Millisecond)))
		_, readErr = r.Body.Read(make([]byte, 1))
		assert.NoError(s, control.SetWriteDeadline(s.loop(1).Now().Add(100*time.Millisecond)))
		_, writeErr = io.Copy(w, NewPattern(1<<40))
	}))
	s.Do(0, func(ctx context.Context) {
		st, err := s.Endpoint(0).OpenStreamOn(ctx, transport.Bulk, s.peer(1), httpMethod, nil)
		if !assert.NoError(s, err) {
			return
		}
		_, err = io.WriteString(transport.NewByteStream(ctx, st), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
		assert.NoError(s, err)
		assert.True(s, eventually(ctx, s.loop(0), over.Load))
		st.Reset()
	})
	s.Do(1, func(context.Context) {
		for _, err := range []error{readErr, writeErr} {
			assert.Equal(s, transport.Timeout, transport.KindOf(err), "%v", err)
		}
	})
}

func manyExchangesAtOnce(s *suite) {
	const exchanges, length = 200, 20_000
	s.serveEcho()
	s.Do(0, func(ctx context.Context) {
		err := clock.First(ctx, s.loop(0), exchanges, exchanges, func(ctx context.Context, i int) error {
			response, err := s.get(ctx, "POST", "/", bytes.NewReader(bytes.Repeat([]byte{byte(i)}, length)))
			if err != nil {
				return err
			}
			raw, err := io.ReadAll(response.Body)
			assert.Equal(s, bytes.Repeat([]byte{byte(i)}, length), raw)
			return err
		})
		assert.NoError(s, err)
	})
}

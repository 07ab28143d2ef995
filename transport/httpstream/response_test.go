package httpstream_test

import (
	"context"
	"fmt"
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

// dated is the date that a bubble begins with, as a header has it.
const dated = "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n"

// wrote is what one Write came to.
func wrote(w io.Writer, text string) string {
	n, err := io.WriteString(w, text)
	return fmt.Sprint(n, " ", err, "; ")
}

// TestResponses are what they are byte by byte, and only whole ones end in order.
func TestResponses(t *testing.T) {
	const typed = "Content-Type: text/plain; charset=utf-8\r\n"
	length := func(w http.ResponseWriter, n string) { w.Header().Set("Content-Length", n) }
	for name, c := range map[string]struct {
		verb   string // GET if there is none
		handle func(w http.ResponseWriter) string
		did    string // what the handler returns
		want   string // without "HTTP/1.1 " in front
		broken bool
	}{
		"nothing": {
			handle: func(http.ResponseWriter) string { return "" },
			want:   "200 OK\r\nContent-Length: 0\r\n" + dated + "\r\n",
		},
		"of no known length": {
			handle: func(w http.ResponseWriter) string { return wrote(w, "abc") + wrote(w, "") + wrote(w, "d") },
			did:    "3 <nil>; 0 <nil>; 1 <nil>; ",
			want:   "200 OK\r\n" + typed + dated + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
		},
		"an empty write": {
			handle: func(w http.ResponseWriter) string { return wrote(w, "") },
			did:    "0 <nil>; ",
			want:   "200 OK\r\n" + dated + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		},
		"with a header of its own": {
			handle: func(w http.ResponseWriter) string {
				w.Header().Set("Date", "never")
				w.Header().Set("Content-Type", "a/b")
				w.Header().Set("Transfer-Encoding", "odd")
				length(w, "1")
				return wrote(w, "a")
			},
			did:  "1 <nil>; ",
			want: "200 OK\r\nContent-Length: 1\r\nContent-Type: a/b\r\nDate: never\r\n\r\na",
		},
		"of a known length": {
			handle: func(w http.ResponseWriter) string {
				length(w, "12")
				return wrote(w, "0123456789") + wrote(w, "012") + wrote(w, "01")
			},
			did:  "10 <nil>; 0 http: wrote more than the declared Content-Length; 2 <nil>; ",
			want: "200 OK\r\nContent-Length: 12\r\n" + typed + dated + "\r\n012345678901",
		},
		"too short by a byte": {
			handle: func(w http.ResponseWriter) string { length(w, "2"); return wrote(w, "a") },
			did:    "1 <nil>; ",
			want:   "200 OK\r\nContent-Length: 2\r\n" + typed + dated + "\r\na",
			broken: true,
		},
		"declared to have no body": {
			handle: func(w http.ResponseWriter) string { length(w, "0"); w.WriteHeader(201); return wrote(w, "a") },
			did:    "0 http: wrote more than the declared Content-Length; ",
			want:   "201 Created\r\nContent-Length: 0\r\n" + dated + "\r\n",
		},
		"of a length that is none": {
			handle: func(w http.ResponseWriter) string { length(w, "-1"); return wrote(w, "a") },
			did:    "1 <nil>; ",
			want:   "200 OK\r\n" + typed + dated + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		},
		"of a length that is no number": {
			handle: func(w http.ResponseWriter) string { length(w, "1x"); w.WriteHeader(200); return "" },
			want:   "200 OK\r\n" + dated + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		},
		"HEAD": {
			verb:   "HEAD",
			handle: func(w http.ResponseWriter) string { return wrote(w, "abc") },
			did:    "3 <nil>; ",
			want:   "200 OK\r\n" + typed + dated + "\r\n",
		},
		"HEAD of a known length": {
			verb:   "HEAD",
			handle: func(w http.ResponseWriter) string { length(w, "5"); w.WriteHeader(200); return wrote(w, "abc") },
			did:    "3 <nil>; ",
			want:   "200 OK\r\nContent-Length: 5\r\n" + dated + "\r\n",
		},
		"no content": {
			handle: func(w http.ResponseWriter) string { length(w, "5"); w.WriteHeader(204); return wrote(w, "a") },
			did:    "0 http: request method or response status code does not allow body; ",
			want:   "204 No Content\r\n" + dated + "\r\n",
		},
		"not modified": {
			handle: func(w http.ResponseWriter) string { w.WriteHeader(304); return wrote(w, "a") },
			did:    "0 http: request method or response status code does not allow body; ",
			want:   "304 Not Modified\r\n" + dated + "\r\n",
		},
		"a second status": {
			handle: func(w http.ResponseWriter) string { w.WriteHeader(999); w.WriteHeader(99); return "" },
			want:   "999 \r\n" + dated + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		},
		"statuses that are none": {
			handle: func(w http.ResponseWriter) string { return status(w, 199) + status(w, 1000) + status(w, 200) },
			did:    "panics; panics; fine; ",
			want:   "200 OK\r\n" + dated + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		},
		"that is being processed": {
			handle: func(w http.ResponseWriter) string {
				w.Header().Set("X-Set", "before")
				return status(w, 102) + status(w, 102) + status(w, 204) + status(w, 102) + status(w, 500)
			},
			did:  "fine; fine; fine; fine; fine; ",
			want: "102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n" + dated + "X-Set: before\r\n\r\n",
		},
		"with trailers": {
			handle: func(w http.ResponseWriter) string {
				w.Header().Set("Trailer", "x-sum, Content-Length, Transfer-Encoding, Trailer, , X-Unsaid")
				length(w, "no number")
				w.Header().Set("X-Sum", "before")
				did := wrote(w, "a")
				w.Header().Set("X-Sum", "after")
				w.Header().Set(http.TrailerPrefix+"x-late", "a\r\nX-Forged: b")
				w.Header().Set("Content-Length", "5")
				return did
			},
			did:  "1 <nil>; ",
			want: "200 OK\r\n" + typed + dated + "Trailer: x-sum, Content-Length, Transfer-Encoding, Trailer, , X-Unsaid\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Late: a  X-Forged: b\r\nX-Sum: after\r\n\r\n",
		},
		"flushed": {
			handle: func(w http.ResponseWriter) string {
				err := http.NewResponseController(w).Flush()
				return fmt.Sprint(err, "; ") + wrote(w, "a")
			},
			did:  "<nil>; 1 <nil>; ",
			want: "200 OK\r\n" + dated + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		},
		"aborted": {
			handle: func(w http.ResponseWriter) string { length(w, "0"); w.WriteHeader(200); panic(http.ErrAbortHandler) },
			broken: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				var did string
				b.handle(func(w http.ResponseWriter, _ *http.Request) { did = c.handle(w) })
				if c.verb == "" {
					c.verb = "GET"
				}
				answer, whole := b.ask(c.verb + " / HTTP/1.1\r\nHost: h\r\n\r\n")
				if c.want != "" {
					c.want = "HTTP/1.1 " + c.want
				}
				require.Equal(t, c.want, answer)
				require.Equal(t, !c.broken, whole)
				require.Equal(t, c.did, did)
			})
		})
	}
}

// status reports whether a status may be written.
func status(w http.ResponseWriter, status int) (did string) {
	defer func() {
		if recover() != nil {
			did = "panics; "
		}
	}()
	w.WriteHeader(status)
	return "fine; "
}

// headOf is the head of a request that has exactly so many bytes.
func headOf(length int) string {
	const begin, end = "GET / HTTP/1.1\r\nHost: h\r\nX: ", "\r\n\r\n"
	return begin + strings.Repeat("x", length-len(begin)-len(end)) + end
}

// TestRequestsThatAreNone are answered, when their time has come.
func TestRequestsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		parts []string
		want  string
	}{
		"nothing":          {[]string{""}, ""},
		"nonsense":         {[]string{"nonsense\r\n\r\n"}, "HTTP/1.1 400 Bad Request\r\n"},
		"half a head":      {[]string{"GET / HTTP/1.1\r\nHost: h\r\n"}, "HTTP/1.1 400 Bad Request\r\n"},
		"the longest head": {[]string{headOf(httpstream.HeadLenMax)}, "HTTP/1.1 200 OK\r\n"},
		"longer":           {[]string{headOf(httpstream.HeadLenMax + 2)}, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				b.handle(func(http.ResponseWriter, *http.Request) {})
				answer, whole := b.ask(c.parts...)
				require.Equal(t, c.want, answer[:min(len(answer), len(c.want))])
				require.Equal(t, c.want == "", answer == "")
				require.True(t, whole)
			})
		})
	}
}

// TestHeadsComeInTime, and bodies when they like.
func TestHeadsComeInTime(t *testing.T) {
	inBubble(t, func(b *bubble) {
		began, body := time.Now(), ""
		b.handle(func(_ http.ResponseWriter, r *http.Request) {
			raw, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			body = string(raw)
		})
		b.do(func(ctx context.Context) {
			st, err := b.client.OpenStreamOn(ctx, transport.Bulk, b.server.Self(), "http", nil)
			if !assert.NoError(t, err) {
				return
			}
			conn := transport.NewByteStream(ctx, st)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n")
			raw, err := io.ReadAll(conn)
			assert.NoError(t, err)
			assert.Contains(t, string(raw), "HTTP/1.1 408 ")
		})
		require.Equal(t, 10*time.Second, time.Since(began))
		long := strings.Repeat("b", httpstream.HeadLenMax)
		answer, whole := b.ask(fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(long)), long)
		require.True(t, whole)
		require.Contains(t, answer, "HTTP/1.1 200 ")
		require.Equal(t, long, body)
	})
}

// TestFlushedIsSent while the handler goes on, which knows who has asked.
func TestFlushedIsSent(t *testing.T) {
	inBubble(t, func(b *bubble) {
		began := time.Now()
		b.handle(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, b.client.Self().String(), r.RemoteAddr)
			assert.Equal(t, b.server.Self(), httpstream.Endpoint(r).Self())
			assert.NoError(t, http.NewResponseController(w).EnableFullDuplex())
			_ = wrote(w, "first")
			w.(http.Flusher).Flush()
			assert.NoError(t, clock.Sleep(r.Context(), httpstream.Endpoint(r).Loop(), time.Hour))
			_ = wrote(w, "last")
		})
		b.do(func(ctx context.Context) {
			r, _ := http.NewRequest("GET", "http://node/", nil)
			response, err := httpstream.Do(ctx, b.client, b.server.Self(), "http", r)
			if !assert.NoError(t, err) {
				return
			}
			_, err = io.ReadFull(response.Body, make([]byte, 5))
			assert.NoError(t, err)
			assert.Zero(t, time.Since(began))
			rest, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			assert.Equal(t, "last", string(rest))
			assert.Equal(t, time.Hour, time.Since(began))
		})
	})
}

// TestWritersThatFail: the first error stays, and the response is not whole.
func TestWritersThatFail(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var errs []error
		b.handle(func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			_, err := w.Write(make([]byte, 16<<20))
			errs = append(errs, err)
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
			n, err := w.Write([]byte("a"))
			assert.Zero(t, n)
			errs = append(errs, err, http.NewResponseController(w).Flush())
		})
		b.do(func(ctx context.Context) {
			r, _ := http.NewRequest("GET", "http://node/", nil)
			response, err := httpstream.Do(ctx, b.client, b.server.Self(), "http", r)
			if !assert.NoError(t, err) {
				return
			}
			assert.NoError(t, clock.Sleep(ctx, b.client.Loop(), time.Minute))
			_, err = io.ReadAll(response.Body)
			assert.Error(t, err)
		})
		require.Len(t, errs, 3)
		for _, err := range errs {
			require.Equal(t, transport.Timeout, transport.KindOf(err), "%v", err)
		}
	})
}

// TestTheStatusOfLongHeads is the same wherever the bound cuts them.
func TestTheStatusOfLongHeads(t *testing.T) {
	for length := httpstream.HeadLenMax - 4; length <= httpstream.HeadLenMax+12; length++ {
		for _, long := range []string{"a", "a: b\r\nX-"} {
			head, end := "GET / HTTP/1.1\r\nHost: x\r\nX-", "a: b\r\n\r\n"
			if long == "a" {
				head, end = "GET / HTTP/1.1\r\nHost: x\r\nX-A: ", "\r\n\r\n"
			}
			times := (length - len(head) - len(end)) / len(long)
			text := head + strings.Repeat(long, times) + end
			want := 0
			if len(text) > httpstream.HeadLenMax {
				want = 431
			}
			require.Equal(t, want, httpstream.RefusalOf(strings.NewReader(text)), "%d bytes", len(text))
		}
	}
	require.Equal(t, 400, httpstream.RefusalOf(strings.NewReader("GET / HTTP/1.1\r\nwhat\r\n\r\n")))
}

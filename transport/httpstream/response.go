package httpstream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/transport"
)

// response is the http.ResponseWriter of an exchange. Without a Content-Length its
// body is chunked, so that the client can tell an end from a loss.
type response struct {
	x       *exchange
	out     *bufio.Writer
	header  http.Header
	method  string
	status  int            // 0 until the head is written
	chunks  io.WriteCloser // nil if the length is known or there is no body
	length  int64          // that the handler has declared; -1 if it has not
	written int64
	err     error // the first that writing met
	in      *bufio.Reader
	taken   bool     // by Hijack
	later   []string // fields that are trailers
}

func newResponse(x *exchange, r *http.Request, in *bufio.Reader) *response {
	return &response{x: x, out: newWriter(x.conn), header: make(http.Header, 8), method: r.Method, length: -1, in: in}
}

// over gives the buffers back. A task that the handler has left behind may still read the body of its request: such a one keeps its buffer.
func (w *response) over(r *http.Request) {
	w.note(http.ErrHandlerTimeout)
	if w.status == 0 {
		w.status = statusOver
	}
	if !w.taken && r.Body == http.NoBody {
		giveReader(w.in)
	}
	out := w.out
	w.in, w.out, w.chunks = nil, nil, nil
	giveWriter(out)
}

// statusOver is that of a response which nobody writes any more.
const statusOver = 599

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Processing (102) is sent at once and without a header, and may be so by another task than the
// handler's; the client is told by [WithProgress].
func (w *response) WriteHeader(status int) {
	if w.status != 0 || w.taken {
		return
	}
	if status == http.StatusProcessing {
		_, err := io.WriteString(w.x.conn, "HTTP/1.1 102 Processing\r\n\r\n")
		w.note(err)
		return
	}
	if status < 200 || status > 999 {
		panic(fmt.Sprintf("httpstream: a response with status %d", status))
	}
	w.status = status
	w.declare()
	w.out.WriteString("HTTP/1.1 ")
	w.out.Write(strconv.AppendInt(w.out.AvailableBuffer(), int64(status), 10))
	w.out.WriteByte(' ')
	w.out.WriteString(http.StatusText(status))
	w.out.WriteString("\r\n")
	w.note(w.header.WriteSubset(w.out, w.trailers()))
	_, err := w.out.WriteString("\r\n")
	w.note(err)
}

// trailers are the fields that are no part of the head.
func (w *response) trailers() map[string]bool {
	var not map[string]bool
	exclude := func(name string) {
		if not == nil {
			not = map[string]bool{}
		}
		not[name] = true
	}
	for _, field := range w.header["Trailer"] {
		for name := range strings.SplitSeq(field, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" && name != "Trailer" && name != "Content-Length" && name != "Transfer-Encoding" {
				w.later = append(w.later, name)
				exclude(name)
			}
		}
	}
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			exclude(name)
		}
	}
	return not
}

// trail sends the trailers.
func (w *response) trail() {
	out := http.Header{}
	for _, name := range w.later {
		if values := w.header[name]; len(values) > 0 {
			out[name] = values
		}
	}
	for name, values := range w.header {
		if after, is := strings.CutPrefix(name, http.TrailerPrefix); is {
			out[http.CanonicalHeaderKey(after)] = values
		}
	}
	w.note(out.Write(w.out))
}

// Hijack implements http.Hijacker. The connection's reads and writes park; it is closed when the handler returns.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.status != 0 || w.taken {
		return nil, nil, http.ErrHijacked
	}
	w.taken = true
	conn := &taken{w.x.conn, w.in}
	return conn, bufio.NewReadWriter(w.in, bufio.NewWriter(conn)), nil
}

// taken is a stream from behind the head of a request on.
type taken struct {
	*transport.ByteStream
	in *bufio.Reader
}

// Read implements io.Reader.
func (t *taken) Read(p []byte) (int, error) { return t.in.Read(p) }

// Close implements io.Closer: what was written is still sent, and who reads meanwhile does not any more.
func (t *taken) Close() error {
	_ = t.SetReadDeadline(time.Time{}.Add(1))
	return t.ByteStream.Close()
}

// declare completes the header: the length of the body and the fixed fields.
func (w *response) declare() {
	if w.header.Get("Date") == "" {
		w.header.Set("Date", w.x.loop.Now().UTC().Format(http.TimeFormat))
	}
	w.header.Del("Transfer-Encoding")
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.length = n
	} else {
		w.header.Del("Content-Length")
	}
	switch {
	case !mayHaveBody(w.status):
		w.header.Del("Content-Length")
	case w.length < 0 && w.method != http.MethodHead:
		w.header.Set("Transfer-Encoding", "chunked")
		w.chunks = httputil.NewChunkedWriter(w.out)
	}
}

func mayHaveBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

func (w *response) note(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Write implements http.ResponseWriter. It may park.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		if w.header.Get("Content-Type") == "" && len(p) > 0 {
			w.header.Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case !mayHaveBody(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.method == http.MethodHead || len(p) == 0 {
		return len(p), nil
	}
	to := io.Writer(w.out)
	if w.chunks != nil {
		to = w.chunks
	}
	n, err := to.Write(p)
	w.note(err)
	return n, err
}

// ReadFrom implements io.ReaderFrom, for io.Copy.
func (w *response) ReadFrom(from io.Reader) (n int64, err error) {
	part := TakePart()
	defer GivePart(part)
	return io.CopyBuffer(writerOnly{w}, from, part[:])
}

// writerOnly is a writer that can do nothing else.
type writerOnly struct{ io.Writer }

// FlushError is for an http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.out == nil {
		return w.err
	}
	w.note(w.out.Flush())
	return w.err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// SetReadDeadline is for an http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error { return w.x.conn.SetReadDeadline(t) }

// SetWriteDeadline is for an http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.x.conn.SetWriteDeadline(t) }

// EnableFullDuplex is for an http.ResponseController: exchanges are always full duplex.
func (w *response) EnableFullDuplex() error { return nil }

// finish sends what is left, and reports whether the response is whole.
func (w *response) finish() bool {
	if w.status == 0 {
		w.header.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	}
	if w.chunks != nil {
		w.note(w.chunks.Close())
		w.trail()
		_, err := w.out.WriteString("\r\n")
		w.note(err)
	}
	w.note(w.out.Flush())
	short := w.length >= 0 && w.written < w.length && w.method != http.MethodHead && mayHaveBody(w.status)
	return w.err == nil && !short
}

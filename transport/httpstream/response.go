package httpstream

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"
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
}

func newResponse(x *exchange, r *http.Request) *response {
	return &response{x: x, out: bufio.NewWriterSize(x.conn, bufferLen), header: http.Header{}, method: r.Method, length: -1}
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	if status < 200 || status > 999 {
		panic(fmt.Sprintf("httpstream: a response with status %d", status))
	}
	w.status = status
	w.declare()
	fmt.Fprintf(w.out, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status))
	w.note(w.header.Write(w.out))
	_, err := w.out.WriteString("\r\n")
	w.note(err)
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

// FlushError is for an http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
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
		_, err := w.out.WriteString("\r\n")
		w.note(err)
	}
	w.note(w.out.Flush())
	short := w.length >= 0 && w.written < w.length && w.method != http.MethodHead && mayHaveBody(w.status)
	return w.err == nil && !short
}

// Package httpstream carries HTTP/1.1 over streams between nodes, in both worlds.
//
// An exchange has a stream of its own: to open one costs a small frame and no round trip, and so
// answers do not wait for each other. The streams of two nodes share a conn of class Bulk. Each end
// is a task of a loop that reads and writes in turns - net/http parses and encodes, but none of its
// goroutines run - so an exchange replays in the simulated world. A server gives each exchange a
// loop of its own, so a real node serves them on all its cores. A body passes through windows
// (package transport): a slow reader holds back its sender only, and each end holds at most a
// window and a buffer of it.
//
// Trailers pass in both directions, and so does the data of a connection that was upgraded: at a server by Hijack, at a client by the body of a
// response with status 101, which is an io.ReadWriteCloser. Not here: "Expect: 100-continue", which the windows make useless.
package httpstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// HeadLenMax bounds the head of a request or response, in bytes.
	HeadLenMax = 64 << 10
	// headTimeout bounds how long the head of a request may take to arrive.
	headTimeout = 10 * time.Second
	// bufferLen is the buffer of an end for each direction, in bytes; longer parts of bodies pass it by. Four of 32 KiB for each request gave the
	// collector more to do than all else.
	bufferLen = 4 << 10
)

var errHeadTooLong = errors.New("httpstream: the head is too long")

// Serve makes a handler answer the requests on streams of a method. It runs as a task for each
// request, and may read the body and write the answer at once. The request's context ends when the
// client is gone, and its RemoteAddr is the peer. Deadlines are set by http.NewResponseController.
// A handler that panics with http.ErrAbortHandler resets the stream; whatever else it panics with ends the process, see [Recovered].
//
// Each request has a loop of its own, a branch of the endpoint's, where the handler
// parks; [Endpoint] is for its own calls. So requests are served at once, and what they
// share must be a clock.Owned: a handler that holds anything else through which they
// could reach the same - a pointer, a map, a function - is a bug, see
// [transport.Endpoint.HandleStreamApart].
func Serve(ep *transport.Endpoint, method string, rule transport.Rule, h http.Handler) {
	ep.HandleStreamApart(method, rule, server{h})
}

// server serves exchanges.
type server struct{ handler http.Handler }

// ServeStream implements transport.StreamHandler.
func (sv server) ServeStream(ctx context.Context, from transport.Peer, _ []byte, s *transport.Stream) {
	x := &exchange{conn: transport.NewByteStream(ctx, s), loop: s.Endpoint().Loop()}
	x.serve(context.WithValue(ctx, endpointKey{}, s.Endpoint()), from, sv.handler)
}

// endpointKey finds the endpoint of an exchange in its context.
type endpointKey struct{}

// Endpoint is the endpoint of the loop that serves a request of [Serve].
func Endpoint(r *http.Request) *transport.Endpoint {
	return r.Context().Value(endpointKey{}).(*transport.Endpoint)
}

// exchange is a request and its response, at the server.
type exchange struct {
	conn *transport.ByteStream
	loop clock.Loop
}

func (x *exchange) serve(ctx context.Context, from transport.Peer, h http.Handler) {
	head := &headReader{from: x.conn, left: HeadLenMax}
	x.conn.SetReadDeadline(x.loop.Now().Add(headTimeout))
	in := newReader(head)
	request, err := http.ReadRequest(in)
	if err != nil {
		giveReader(in)
		x.refuse(err, head)
		return
	}
	x.conn.SetReadDeadline(time.Time{})
	head.over = true
	request.RemoteAddr = from.String()
	w := newResponse(x, request, in)
	defer w.over(request)
	if x.handle(h, w, request.WithContext(ctx)) && (w.taken || w.finish()) {
		x.conn.Close()
	} else {
		x.conn.Reset()
	}
}

// handle runs the handler, and reports whether it returned without a panic.
func (x *exchange) handle(h http.Handler, w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return true
}

// refuse answers a malformed request.
func (x *exchange) refuse(err error, head *headReader) {
	if errors.Is(err, io.EOF) {
		x.conn.Close() // nothing was asked
		return
	}
	r := &http.Response{StatusCode: refusal(err, head), ProtoMajor: 1, ProtoMinor: 1, ContentLength: 0, Body: http.NoBody}
	if r.Write(x.conn) != nil {
		x.conn.Reset()
		return
	}
	x.conn.Close()
}

// refusal is the status for a request whose head was not understood. Of one that is too long the rest is missing, which may look malformed.
func refusal(err error, head *headReader) int {
	switch {
	case head.cut:
		return http.StatusRequestHeaderFieldsTooLarge
	case transport.KindOf(err) == transport.Timeout:
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// headReader reads a bounded head and then a body of any length.
type headReader struct {
	from io.Reader
	left int
	over bool // the head is
	cut  bool // it is longer than it may be
}

func (h *headReader) Read(p []byte) (int, error) {
	if h.over {
		return h.from.Read(p)
	}
	if h.left <= 0 {
		h.cut = true
		return 0, errHeadTooLong
	}
	n, err := h.from.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

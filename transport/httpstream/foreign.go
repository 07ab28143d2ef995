package httpstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// Foreign makes a handler of [Serve] answer requests that come in by another way: those of an http.Server, whose goroutines
// have no turns. Each request has a loop of its own, as those of Serve have; what waits for the client - reading the body,
// writing the response - is done outside of turns. The request's context ends when the client is gone or the endpoint's loop
// stops.
func Foreign(ep *transport.Endpoint, h http.Handler) http.Handler {
	if err := clock.CheckShareable(h); err != nil {
		panic(fmt.Sprintf("httpstream: this handler cannot have loops of its own: %v", err))
	}
	return foreign{ep, h}
}

type foreign struct {
	ep *transport.Endpoint
	h  http.Handler
}

// ServeHTTP implements http.Handler, on any goroutine.
func (f foreign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	branch := f.ep.Branch()
	var thrown any
	err := clock.Do(r.Context(), branch.Loop(), func(ctx context.Context) {
		defer func() { thrown = recover() }()
		out := &outside{ResponseWriter: w, ctx: ctx, loop: branch.Loop()}
		in := r.WithContext(context.WithValue(ctx, endpointKey{}, branch))
		if r.Body != nil && r.Body != http.NoBody {
			in.Body = &outsideBody{ReadCloser: r.Body, ctx: ctx, loop: branch.Loop()}
		}
		f.h.ServeHTTP(out, in)
	})
	if thrown != nil {
		panic(thrown)
	}
	if err != nil { // the loop has stopped
		panic(http.ErrAbortHandler)
	}
}

// outside writes to a client outside of turns.
type outside struct {
	http.ResponseWriter
	ctx   context.Context
	loop  clock.Loop
	began bool // the response has
}

// WriteHeader implements http.ResponseWriter.
func (o *outside) WriteHeader(status int) {
	o.began = o.began || status >= http.StatusOK || status == http.StatusSwitchingProtocols
	o.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *outside) Write(p []byte) (n int, err error) {
	o.began = true
	if left := clock.Offload(o.ctx, o.loop, func() { n, err = o.ResponseWriter.Write(p) }); err == nil {
		err = left
	}
	return n, err
}

// FlushError is for an http.ResponseController.
func (o *outside) FlushError() (err error) {
	o.began = true
	if left := clock.Offload(o.ctx, o.loop, func() { err = http.NewResponseController(o.ResponseWriter).Flush() }); err == nil {
		err = left
	}
	return err
}

// Hijack implements http.Hijacker.
func (o *outside) Hijack() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	o.began = true
	if left := clock.Offload(o.ctx, o.loop, func() { conn, rw, err = http.NewResponseController(o.ResponseWriter).Hijack() }); err == nil {
		err = left
	}
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	out := &outsideConn{conn, rw.Reader, o.ctx, o.loop}
	return out, bufio.NewReadWriter(bufio.NewReader(out), bufio.NewWriter(out)), nil
}

// outsideConn is a connection that is read and written outside of turns. To close it ends both at once.
type outsideConn struct {
	net.Conn
	in   *bufio.Reader
	ctx  context.Context
	loop clock.Loop
}

// Read implements io.Reader.
func (o *outsideConn) Read(p []byte) (n int, err error) {
	if left := clock.Offload(o.ctx, o.loop, func() { n, err = o.in.Read(p) }); err == nil {
		err = left
	}
	return n, err
}

// Write implements io.Writer.
func (o *outsideConn) Write(p []byte) (n int, err error) {
	if left := clock.Offload(o.ctx, o.loop, func() { n, err = o.Conn.Write(p) }); err == nil {
		err = left
	}
	return n, err
}

// outsideBody reads what a client sends outside of turns.
type outsideBody struct {
	io.ReadCloser
	ctx  context.Context
	loop clock.Loop
}

// Read implements io.Reader.
func (o *outsideBody) Read(p []byte) (n int, err error) {
	if left := clock.Offload(o.ctx, o.loop, func() { n, err = o.ReadCloser.Read(p) }); err == nil {
		err = left
	}
	return n, err
}

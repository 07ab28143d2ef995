package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway"
)

const (
	// doorConnsMax bounds the connections at a door; further ones wait in the kernel.
	doorConnsMax = 8192
	// doorHeadTimeout is how long the head of a request may take, doorIdleTimeout how long a connection may be without one.
	doorHeadTimeout, doorIdleTimeout = 10 * time.Second, 2 * time.Minute
	// doorPartTimeout is how long a part of a body may take, in either direction: who is slower than that is cut off.
	doorPartTimeout = time.Minute
	// doorBodyGrace is how long a body may be waited for in all, and a second more for each doorBodyRate bytes that have come.
	doorBodyGrace, doorBodyRate = 10 * time.Second, 1 << 10
	// doorRestTimeout is how long the rest of a body may take that nobody read.
	doorRestTimeout = time.Second
	// doorHeadLenMax bounds the head of a request, in bytes.
	doorHeadLenMax = 64 << 10
	// doorStreamsMax bounds the requests at once on a connection of HTTP/2: one that is reset counts until its handler has ended, and where too many of these
	// wait the connection is closed. doorWindow is how much of a body may come before it is read, doorConnWindow of all of a connection.
	doorStreamsMax, doorWindow, doorConnWindow = 100, 128 << 10, 1 << 20
)

// door is where requests of browsers come in, HTTP/1.1 and, for clients that know it, HTTP/2 without TLS.
type door struct {
	address string
	log     *slog.Logger
	server  *http.Server
	ended   chan struct{}
}

// newDoor makes the doors of a node; without an address it has none.
func newDoor(address string, log *slog.Logger) func(node.Env) gateway.Door {
	return func(node.Env) gateway.Door {
		if address == "" {
			log.Warn("nobody outside of the cloud reaches this gateway: set http-listen")
			return nil
		}
		return &door{address: address, log: log}
	}
}

// Open implements gateway.Door. A node whose port is taken does its work all the same: other members reach its gateway.
func (d *door) Open(h http.Handler) error {
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		d.log.Warn("the gateway has no door: change http-listen, or stop who has the port", slog.String("address", d.address), slog.String("error", err.Error()))
		return nil
	}
	if ip := net.ParseIP(hostOf(d.address)); ip != nil && !ip.IsLoopback() {
		d.log.Info("requests are taken from whoever reaches this address, without TLS", slog.String("address", d.address))
	}
	d.server = doorServer(h, slog.NewLogLogger(d.log.Handler(), slog.LevelDebug))
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		if err := d.server.Serve(netutil.LimitListener(l, doorConnsMax)); !errors.Is(err, http.ErrServerClosed) {
			d.log.Warn("the gateway takes no requests any more", slog.String("error", err.Error()))
		}
	}()
	d.log.Info("the gateway takes requests", slog.String("address", l.Addr().String()))
	return nil
}

// doorServer is a server with a door's bounds. mistakes of clients are logged.
func doorServer(h http.Handler, mistakes *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: paced{h}, ReadHeaderTimeout: doorHeadTimeout, IdleTimeout: doorIdleTimeout, MaxHeaderBytes: doorHeadLenMax, Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: doorStreamsMax, MaxReceiveBufferPerStream: doorWindow, MaxReceiveBufferPerConnection: doorConnWindow,
			MaxReadFrameSize: 16 << 10, MaxDecoderHeaderTableSize: 4 << 10, MaxEncoderHeaderTableSize: 4 << 10, WriteByteTimeout: doorPartTimeout,
		},
		ErrorLog: mistakes,
	}
}

// Close implements gateway.Door.
func (d *door) Close(context.Context) error {
	if d.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // what was asked is answered
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		_ = d.server.Close()
	}
	<-d.ended
	return nil
}

// paced gives each part of a body its time.
type paced struct{ h http.Handler }

// ServeHTTP implements http.Handler.
func (p paced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	body := &pacedBody{ended: true}
	if r.Body != nil && r.Body != http.NoBody {
		body = &pacedBody{body: r.Body, control: control}
		r.Body = body
		if r.ProtoMajor == 1 {
			_ = control.EnableFullDuplex() // an answer may begin before the body has ended
		}
	}
	p.h.ServeHTTP(&pacedWriter{w, control, body, r.ProtoMajor == 1}, r)
	until := time.Time{}
	if !body.ended { // the server reads some of what is left, so that the connection may be used again: for no longer than this
		until = time.Now().Add(doorRestTimeout)
	}
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(time.Time{})
}

type pacedBody struct {
	body interface {
		Read(p []byte) (int, error)
		Close() error
	}
	control *http.ResponseController
	waited  time.Duration // for the client; what others take of the time is not its fault
	come    int64
	ended   bool
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	began := time.Now()
	_ = b.control.SetReadDeadline(began.Add(min(doorPartTimeout, b.left())))
	n, err := b.body.Read(p)
	b.waited += time.Since(began)
	b.come += int64(n)
	if b.ended = err == io.EOF; b.ended {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// left is for how long the client may be waited for now.
func (b *pacedBody) left() time.Duration {
	return doorBodyGrace + time.Duration(b.come)*time.Second/doorBodyRate - b.waited
}

// Close implements io.Closer.
func (b *pacedBody) Close() error { return b.body.Close() }

type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	body    *pacedBody
	closes  bool // the connection is not used again if the answer begins before the body has ended; it is settled with the head
}

// WriteHeader implements http.ResponseWriter.
func (w *pacedWriter) WriteHeader(status int) {
	if w.closes && !w.body.ended {
		w.Header().Set("Connection", "close")
	}
	w.closes = false
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for an http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements http.ResponseWriter.
func (w *pacedWriter) Write(p []byte) (int, error) {
	if w.closes {
		w.WriteHeader(http.StatusOK)
	}
	if err := w.control.SetWriteDeadline(time.Now().Add(doorPartTimeout)); err != nil {
		return 0, fmt.Errorf("a deadline: %w", err)
	}
	return w.ResponseWriter.Write(p)
}

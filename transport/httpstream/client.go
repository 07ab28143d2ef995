package httpstream

import (
	"bufio"
	"context"
	"io"
	"net/http"

	"github.com/taucloud/tau/transport"
)

// Do sends a request to a peer that serves a method and returns the response when its
// head has come. The body is sent by a task of its own, so the response may begin
// before the request has ended. The caller must close the response's body, and read it
// in tasks of the endpoint's loop; before its end, that resets the exchange. ctx bounds
// the whole of it. An error has a Kind, unless the peer's answer is no HTTP.
func Do(ctx context.Context, ep *transport.Endpoint, to transport.Peer, method string, r *http.Request) (*http.Response, error) {
	s, err := ep.OpenStreamOn(ctx, transport.Bulk, to, method, nil)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	call := &call{conn: transport.NewByteStream(ctx, s), upgrades: r.Header.Get("Upgrade") != ""}
	call.progress, _ = ctx.Value(progressKey{}).(func())
	if r.Context() != ctx {
		r = r.WithContext(ctx)
	}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength <= 0 {
		// Otherwise net/http would probe with a goroutine whether there is a body.
		r.TransferEncoding = []string{"chunked"}
	}
	if r.Body == nil || r.Body == http.NoBody {
		call.send(r)
	} else {
		ep.Loop().Go("http request", func(context.Context) { call.send(r) })
	}
	response, err := call.receive(r)
	if err != nil {
		call.conn.Reset()
		return nil, err
	}
	return response, nil
}

// progressKey finds who is told of progress.
type progressKey struct{}

// WithProgress makes Do call f when the server says that it is at work (102), before the head of the response.
func WithProgress(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}

// call is a request and its response, at the client.
type call struct {
	conn     *transport.ByteStream
	sent     bool   // the request, whole
	err      error  // why it could not be sent
	upgrades bool   // more may follow the request
	progress func() // nil: nobody wants to know
}

// send writes the request. A failed one is reset, so that the server does not take it for complete.
func (c *call) send(r *http.Request) {
	to := &erring{Writer: c.conn}
	out := newWriter(to)
	defer giveWriter(out)
	if c.err = r.Write(out); c.err == nil {
		c.err = out.Flush()
	}
	if to.err != nil {
		c.err = to.err
	}
	if c.err != nil {
		c.conn.Reset()
		return
	}
	c.sent = true
	if !c.upgrades {
		c.conn.CloseWrite()
	}
}

// erring keeps a writer's error, which net/http would wrap in one of its own.
type erring struct {
	io.Writer
	err error
}

func (e *erring) Write(p []byte) (n int, err error) {
	n, err = e.Writer.Write(p)
	if e.err == nil {
		e.err = err
	}
	return n, err
}

// receive reads the head of the response, skipping informational (1xx) ones.
func (c *call) receive(r *http.Request) (*http.Response, error) {
	head := &headReader{from: c.conn, left: HeadLenMax}
	in := newReader(head)
	for {
		response, err := http.ReadResponse(in, r)
		switch {
		case err != nil && c.err != nil:
			giveReader(in)
			return nil, c.err // of which the other is a consequence
		case err != nil:
			giveReader(in)
			return nil, err
		case response.StatusCode == http.StatusSwitchingProtocols:
			head.over = true
			response.Body = &upgraded{taken{c.conn, in}}
			return response, nil
		case response.StatusCode == http.StatusProcessing && c.progress != nil:
			c.progress()
		case response.StatusCode >= 200:
			head.over = true
			if c.upgrades {
				c.conn.CloseWrite()
			}
			response.Body = &body{ReadCloser: response.Body, call: c, in: in}
			return response, nil
		}
	}
}

// upgraded is what a connection carries after the head of a response. To close it ends both directions.
type upgraded struct{ taken }

// Close implements io.Closer.
func (u *upgraded) Close() error {
	u.Reset()
	return nil
}

// body is a response's body. The exchange is over at its end.
type body struct {
	io.ReadCloser
	call    *call
	in      *bufio.Reader
	reading bool // a task is at it, and may be parked there
	over    bool
	err     error // that the end has met
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.over {
		return 0, b.err
	}
	b.reading = true
	n, err := b.ReadCloser.Read(p)
	b.reading = false
	b.err = err
	if err == io.EOF {
		b.end(b.call.sent)
	} else if err != nil {
		b.end(false)
	}
	return n, err
}

// Ready reports whether Read would return something without waiting, as far as that is known.
func (b *body) Ready() bool { return !b.over && (b.in.Buffered() > 0 || b.call.conn.Ready()) }

// Close implements io.Closer.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// end resets the stream: the server may stop.
func (b *body) end(whole bool) {
	if b.over {
		return
	}
	b.over = true
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	if !b.reading {
		giveReader(b.in)
	}
	if whole {
		b.call.conn.Close()
	} else {
		b.call.conn.Reset()
	}
}

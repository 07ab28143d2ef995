package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/wasm/engine"
)

const (
	// partLen is how much of an answer is kept before some is sent, and how long a body is that is read before the function is called, in bytes.
	partLen = 64 << 10
	// unsentMax bounds the standard output of a function with a parameter, of which is not known until its end whether it is the answer.
	unsentMax = 8 << 20
	// readLen is how much of a body is read at once.
	readLen = 32 << 10
)

// Clock is what tells a runner the time while a call waits for its client.
type Clock interface {
	Now() time.Time
	Elapsed() time.Duration
}

// wall is the clock of a process.
type wall struct{ began time.Time }

func (wall) Now() time.Time           { return time.Now() }
func (w wall) Elapsed() time.Duration { return time.Since(w.began) }

// wish is for what a guest that runs waits: it stands still until its task has done it.
type wish struct {
	kind  wishKind
	sleep time.Duration
}

type wishKind int

const (
	sends  wishKind = iota // what it has written
	reads                  // more of the body
	sleeps                 // after that, what it has written is sent as well
	rests                  // nothing: the call has ended
)

var (
	// errGone: whoever has asked is gone.
	errGone = errors.New("web: the client is gone")
	// errEnough: nobody wants more of the answer.
	errEnough = errors.New("web: the answer has no body")
	errBroke  = errors.New("web: the body of the request broke off")
)

// wish waits until something was done. The guest ends here if it could not be.
func (e *event) wish(w wish) {
	if !e.on.yield(w) {
		e.call.Stop(errGone)
	}
	if e.stop != nil {
		e.call.Stop(e.stop)
	}
}

// Begins implements engine.Beginner.
func (e *event) Begins(c *engine.Call) { e.call = c }

// Read implements io.Reader: the body of the request.
func (e *event) Read(p []byte) (int, error) {
	for len(e.input) == 0 && e.inputEnd == nil {
		e.wish(wish{kind: reads})
	}
	if len(e.input) == 0 {
		return 0, e.inputEnd
	}
	n := copy(p, e.input)
	e.input = e.input[n:]
	return n, nil
}

// Sleep is a guest's.
func (e *event) sleeps(d time.Duration) { e.wish(wish{sleeps, d}) }

// write takes a part of the body of an answer, and waits until what is more than partLen is sent.
func (e *event) write(p []byte) {
	for len(p) > 0 {
		n := min(len(p), max(partLen-len(e.response.body), 1))
		e.response.body = append(e.response.body, p[:n]...)
		if p = p[n:]; len(e.response.body) >= partLen {
			e.wish(wish{kind: sends})
		}
	}
	if len(e.response.body) > 0 && e.response.atOnce() {
		e.wish(wish{kind: sends})
	}
}

// atOnce reports whether each part of an answer is sent as soon as it is written.
func (a *answer) atOnce() bool {
	return strings.HasPrefix(strings.ToLower(a.get("Content-Type")), "text/event-stream") || a.get("X-Accel-Buffering") == "no"
}

// stdout is the standard output of a function without a parameter: a head, then a body.
type stdout struct{ *event }

// Write implements io.Writer.
func (o stdout) Write(p []byte) (int, error) {
	e := o.event
	if e.headed {
		e.write(p)
		return len(p), nil
	}
	from := max(0, len(e.head)-2) // the empty line may have begun there
	e.head = append(e.head, p...)
	if !hasHead(e.head, from) && len(e.head) <= headLenMax {
		return len(p), nil
	}
	a, err := parse(e.head)
	if err != nil {
		e.call.Stop(err)
	}
	e.headed, e.response = true, a
	rest := a.body
	e.response.body = e.first[:0]
	e.write(rest)
	e.head = nil
	return len(p), nil
}

// printed is the standard output of a function with a parameter. What it is turns out at its end.
type printed struct {
	event *event
	text  []byte
}

// Write implements io.Writer.
func (o *printed) Write(p []byte) (int, error) {
	if len(o.text)+len(p) > unsentMax {
		o.event.call.Stop(engine.ErrOutput)
	}
	o.text = append(o.text, p...)
	return len(p), nil
}

// run calls the function, as far as it comes without waiting for anybody; and then does what it waits for, until it has ended.
func (c *call) run(ctx context.Context, w http.ResponseWriter, q *http.Request) (response engine.Response, err error) {
	o := c.runner.coroutines.take()
	o.call, o.ctx, c.event.on, c.err = c, ctx, o, errGone
	ended := false
	defer func() { // also when this task ends meanwhile, as those of a node do that crashes
		if !ended {
			o.stop() // it ends, where it stands
		}
	}()
	left := c.pump(ctx, w, q, o, &ended)
	if ended {
		c.runner.coroutines.put(o)
	} else {
		o.stop()
	}
	_ = c.spent(ctx, c.outcome.Usage.Fuel)
	if left != nil {
		c.err = errGone
	}
	return c.response, c.err
}

// guest is the call as the guest's coroutine carries it out.
func (c *call) guest(ctx context.Context) {
	c.response, c.outcome.Usage, c.err = c.loaded.function.Call(ctx, &c.request)
}

// pump lets the guest run, and does what it waits for.
func (c *call) pump(ctx context.Context, w http.ResponseWriter, q *http.Request, o *coroutine, ended *bool) error {
	var is wish
	next := func() {
		is, _ = o.next()
		*ended = is.kind == rests
	}
	for {
		if left := c.exchange.Off(ctx, next); left != nil || *ended {
			return left
		}
		c.event.stop = c.spent(ctx, c.event.call.Spent())
		if c.event.stop == nil {
			c.event.stop = c.grant(ctx, w, q, is)
		}
	}
}

// spent tells what the call has cost since it was told last.
func (c *call) spent(ctx context.Context, fuel uint64) error {
	if c.exchange.Spent == nil || fuel <= c.told {
		return nil
	}
	more := fuel - c.told
	c.told = fuel
	if c.exchange.Spent(ctx, more) != nil {
		return errGone
	}
	return nil
}

// grant does what a guest waits for. An error ends it.
func (c *call) grant(ctx context.Context, w http.ResponseWriter, q *http.Request, is wish) error {
	switch is.kind {
	case reads:
		if c.event.answers() && len(c.event.response.body) > 0 {
			if err := c.send(w, q); err != nil {
				return err
			}
		}
		return c.read(w, q)
	case sleeps:
		if c.event.answers() && len(c.event.response.body) > 0 {
			if err := c.send(w, q); err != nil {
				return err
			}
		}
		return c.sleep(ctx, is.sleep)
	}
	return c.send(w, q)
}

// answers reports whether it is known how the answer begins.
func (e *event) answers() bool { return e.headed || e.used }

// left is how much of its time a call has.
func (c *call) left() time.Duration { return c.function.Timeout - (c.clock.Elapsed() - c.began) }

func (c *call) sleep(ctx context.Context, d time.Duration) error {
	left := c.left()
	if err := c.exchange.Wait(ctx, max(0, min(d, left))); err != nil {
		return errGone
	}
	if d > left {
		return engine.ErrWall
	}
	return nil
}

// read reads more of the body.
func (c *call) read(w http.ResponseWriter, q *http.Request) error {
	e, left := &c.event, c.left()
	if left <= 0 {
		return engine.ErrWall
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(c.clock.Now().Add(left))
	if e.buffer == nil {
		e.buffer = make([]byte, readLen)
	}
	n, err := q.Body.Read(e.buffer)
	_ = control.SetReadDeadline(time.Time{})
	e.input = e.buffer[:n]
	if c.come += int64(n); c.come > c.runner.options.BodyMax {
		return &http.MaxBytesError{Limit: c.runner.options.BodyMax}
	}
	switch {
	case errors.Is(err, io.EOF):
		e.inputEnd = io.EOF
	case err != nil && q.Context().Err() != nil:
		return errGone
	case err != nil && c.left() <= 0:
		return engine.ErrWall
	case err != nil:
		return errBroke
	}
	return nil
}

// send sends what there is of the answer.
func (c *call) send(w http.ResponseWriter, q *http.Request) error {
	a, left := &c.event.response, c.left()
	if left <= 0 {
		return engine.ErrWall
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(c.clock.Now().Add(left))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	c.begin(w)
	if !a.hasBody(q) {
		return errEnough
	}
	_, err := w.Write(a.body)
	if err == nil {
		err = control.Flush()
	}
	a.body = a.body[:0]
	switch {
	case err == nil:
		return nil
	case errors.Is(err, http.ErrContentLength):
		return errors.New("its answer is longer than its Content-Length")
	case q.Context().Err() == nil && c.left() <= 0:
		return engine.ErrWall
	}
	return errGone
}

// begin sends the head of an answer that is sent in parts.
func (c *call) begin(w http.ResponseWriter) {
	if c.begun {
		return
	}
	c.begun = true
	a, h := c.event.answer(), w.Header()
	c.event.response.status = a.status
	a.fields(h)
	if a.declared > 0 {
		h.Set("Content-Length", strconv.FormatInt(a.declared, 10))
	}
	if c.exchange.Head != nil {
		c.exchange.Head(c.outcome.Cold)
	}
	w.WriteHeader(a.status)
}

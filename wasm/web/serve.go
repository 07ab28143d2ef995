package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/taucloud/tau/wasm/engine"
)

// Exchange is what a runner has to know of a request beside what it says.
type Exchange struct {
	// Parameters are those of the path.
	Parameters map[string]string
	// ID is the request's.
	ID string
	// Module reads the module of the function, if it is not loaded.
	Module func(ctx context.Context) ([]byte, error)
	// Off runs what takes long or waits for other calls; nil: here.
	Off func(ctx context.Context, f func()) error
	// Now, Elapsed and Rand are the call's, in place of the engine's; may be nil.
	Now     func() time.Time
	Elapsed func() time.Duration
	Rand    io.Reader
	// Ran is told how the call has ended, before the answer is written; may be nil.
	Ran func(Outcome)
}

// Outcome is how a call has ended.
type Outcome struct {
	// Status is that of the answer.
	Status int
	// Ended says how: "answered", or why not: "deadline", "fuel", "trap" and so on.
	Ended string
	Usage engine.Usage
	// Log is what the function has said, up to 64 KiB, and after it why it was ended.
	Log string
	// Cold: the module was loaded for it.
	Cold bool
}

// The ways in which a call ends.
const (
	Answered  = "answered"
	Deadline  = "deadline"
	Fuel      = "fuel"
	Trapped   = "trap"
	TooLong   = "answer-too-long"
	Malformed = "malformed"
	Faulty    = "faulty"
	Missing   = "missing"
	Refused   = "refused"
)

// Serve answers a request with a function. The body is read before, the answer written after the call. It panics with http.ErrAbortHandler if the client is gone.
func (r *Runner) Serve(w http.ResponseWriter, q *http.Request, f Function, x Exchange) {
	if x.Off == nil {
		x.Off = func(_ context.Context, f func()) error { f(); return nil }
	}
	c := &call{runner: r, function: f, exchange: x}
	a := c.answer(q)
	c.outcome.Status = a.status
	if x.Ran != nil {
		x.Ran(c.outcome)
	}
	if q.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	a.write(w, q)
}

// answer is a response that is whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func plain(status int, text, id string) answer {
	if id != "" {
		text += " (request " + id + ")"
	}
	a := answer{status: status, header: http.Header{}, body: fmt.Appendf(nil, "%d %s: %s\n", status, http.StatusText(status), text)}
	a.header.Set("Content-Type", "text/plain; charset=utf-8")
	a.header.Set("X-Content-Type-Options", "nosniff")
	a.header.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		a.header.Set("Retry-After", "1")
	}
	return a
}

func (a answer) write(w http.ResponseWriter, q *http.Request) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	bodiless := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	if bodiless {
		h.Del("Content-Length")
	} else {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		if h.Get("Content-Type") == "" && len(a.body) > 0 {
			h.Set("Content-Type", http.DetectContentType(a.body))
		}
	}
	w.WriteHeader(a.status)
	if !bodiless && q.Method != http.MethodHead {
		_, _ = w.Write(a.body) // a length that is not reached resets the stream
	}
}

// call is a request on its way through a function.
type call struct {
	runner   *Runner
	function Function
	exchange Exchange
	outcome  Outcome
	loaded   *loaded
}

// answer answers. What it says to clients tells nothing of the function but that it has failed; its log tells why.
func (c *call) answer(q *http.Request) answer {
	ctx, x := q.Context(), c.exchange
	if err := c.runner.enter(); err != nil {
		c.outcome.Ended = Missing
		return plain(http.StatusServiceUnavailable, "this node is ending", x.ID)
	}
	defer c.runner.leave()
	body, err := c.body(q)
	if err != nil {
		c.outcome.Ended = Refused
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return plain(http.StatusRequestEntityTooLarge, fmt.Sprintf("a function takes a body of at most %d bytes", tooLong.Limit), x.ID)
		}
		return plain(http.StatusBadRequest, "the body of the request broke off", x.ID)
	}
	if failed := c.load(ctx); failed.status != 0 {
		return failed
	}
	defer c.runner.release(c.loaded)
	said := &capped{left: logMax}
	e := &event{request: q, body: body, log: said}
	var out bytes.Buffer
	request := engine.Request{
		Entry: c.function.Call, Argv: []string{c.function.Call}, Env: c.environment(q, int64(len(body))),
		Stdin: &e.reader, Stdout: &out, Stderr: said, Value: e, Now: x.Now, Elapsed: x.Elapsed, Rand: x.Rand,
	}
	e.reader.Reset(body)
	request.Args = make([]uint64, c.loaded.params)
	var response engine.Response
	left := x.Off(ctx, func() { response, c.outcome.Usage, err = c.loaded.function.Call(ctx, request) })
	if left != nil {
		err = left
	}
	if e.used {
		_, _ = said.Write(out.Bytes()) // who answers with events prints for people
	}
	defer func() { c.outcome.Log = said.String() }()
	if err != nil {
		return c.stopped(err, said)
	}
	if e.used {
		c.outcome.Ended = Answered
		return e.answer()
	}
	if response.ExitCode != 0 && out.Len() == 0 {
		c.outcome.Ended = Trapped
		said.note("it exited with code %d, and has answered nothing", response.ExitCode)
		return plain(http.StatusInternalServerError, "the function failed", x.ID)
	}
	a, err := parse(out.Bytes())
	if err != nil {
		c.outcome.Ended = Malformed
		said.note("%v", err)
		return plain(http.StatusInternalServerError, "the function's answer is none", x.ID)
	}
	c.outcome.Ended = Answered
	return a
}

// environment is what a function sees: the request, unless it asks for that by events, and its own.
func (c *call) environment(q *http.Request, length int64) []string {
	if c.loaded.params > 0 {
		return c.function.Env
	}
	return append(variables(q, length, c.exchange), c.function.Env...)
}

// note adds a line that is not the function's own. There is always room for it.
func (c *capped) note(format string, args ...any) {
	if c.Len() > 0 && !bytes.HasSuffix([]byte(c.String()), []byte("\n")) {
		_, _ = c.Builder.WriteString("\n")
	}
	fmt.Fprintf(&c.Builder, "[tau] "+format+"\n", args...)
}

// load makes the function ready, if it is not.
func (c *call) load(ctx context.Context) answer {
	x := c.exchange
	var code []byte
	var err error
	key := c.function.key()
	if c.outcome.Cold = !c.runner.has(key); c.outcome.Cold {
		if code, err = x.Module(ctx); err != nil {
			c.outcome.Ended, c.outcome.Log = Missing, ""
			return plain(http.StatusServiceUnavailable, "the function's module cannot be read now", x.ID)
		}
	}
	take := func() {
		c.loaded, err = c.runner.take(ctx, c.function, key, func() ([]byte, error) {
			if code == nil { // it went between two looks
				return nil, errNotLoaded
			}
			return code, nil
		})
	}
	if c.outcome.Cold {
		if left := x.Off(ctx, take); left != nil {
			if c.loaded != nil {
				c.runner.release(c.loaded)
			}
			err = left
		}
	} else {
		take() // there is nothing to wait for
	}
	var fault *Fault
	switch {
	case err == nil:
		return answer{}
	case errors.As(err, &fault):
		c.outcome.Ended = Faulty
		c.outcome.Log = "[tau] it cannot be run: " + fault.Text + "\n"
		return plain(http.StatusInternalServerError, "the function cannot be run", x.ID)
	}
	c.outcome.Ended = Missing
	return plain(http.StatusServiceUnavailable, "the function is not ready", x.ID)
}

// body reads the body of a request.
func (c *call) body(q *http.Request) ([]byte, error) {
	if q.Body == nil || q.Body == http.NoBody {
		return nil, nil
	}
	most := c.runner.options.BodyMax
	if q.ContentLength > most {
		return nil, &http.MaxBytesError{Limit: most}
	}
	body, err := io.ReadAll(io.LimitReader(q.Body, most+1))
	if err == nil && int64(len(body)) > most {
		err = &http.MaxBytesError{Limit: most}
	}
	return body, err
}

// stopped says what a call that was stopped is answered with.
func (c *call) stopped(err error, said *capped) answer {
	x, trap := c.exchange, (*engine.Trap)(nil)
	said.note("it was stopped: %v", err)
	switch {
	case errors.Is(err, engine.ErrWall), errors.Is(err, engine.ErrFuel) && c.runner.options.Fuelled:
		c.outcome.Ended = Deadline
		return plain(http.StatusGatewayTimeout, fmt.Sprintf("the function has not answered within %v", c.function.Timeout), x.ID)
	case errors.Is(err, engine.ErrFuel):
		c.outcome.Ended = Fuel
		return plain(http.StatusInternalServerError, "the function has done more than it may", x.ID)
	case errors.Is(err, engine.ErrOutput):
		c.outcome.Ended = TooLong
		return plain(http.StatusInternalServerError, "the function's answer is too long", x.ID)
	case errors.As(err, &trap):
		c.outcome.Ended = Trapped
	default:
		c.outcome.Ended = Trapped
	}
	return plain(http.StatusInternalServerError, "the function failed", x.ID)
}

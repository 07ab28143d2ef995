package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/js"
	"github.com/taucloud/tau/wasm/sdk"
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
	// Wait is how a function sleeps; nil: as the engine says. Clock tells how long it may wait for its client; nil: that of the process.
	Wait  func(ctx context.Context, d time.Duration) error
	Clock Clock
	// Spent is told what the call has cost since it was told last, whenever it waits or has ended; may be nil.
	Spent func(ctx context.Context, fuel uint64) error
	// Head is told that the head of the answer is about to be written, and whether the module was loaded for it; may be nil.
	Head func(cold bool)
	// Now, Elapsed and Rand are the call's, in place of the engine's; may be nil.
	Now     func() time.Time
	Elapsed func() time.Duration
	Rand    io.Reader
	// SDK is what the function is and where to it may send requests. Its log and its loop are filled in.
	SDK sdk.Config
	// Ran is told how the call has ended, before the rest of the answer is written; may be nil.
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
	Gone      = "client-gone"
)

// Serve answers a request with a function. A short body is read before the call, a longer one while the function reads it. A short answer is sent when the
// call has ended, whole and with its length; of a longer one a part is sent whenever so much was written, and also when the function flushes, sleeps or waits for
// more of the body, and with each write if it is a stream of events. It panics with http.ErrAbortHandler if the client is gone, or the answer cannot be
// brought to its end.
func (r *Runner) Serve(w http.ResponseWriter, q *http.Request, f Function, x Exchange) {
	if x.Off == nil {
		x.Off = func(_ context.Context, f func()) error { f(); return nil }
	}
	c := &call{runner: r, function: f, exchange: x, clock: x.Clock}
	if c.clock == nil {
		c.clock = wall{time.Now()}
	}
	a := c.answer(w, q)
	c.outcome.Status = a.status
	if x.Ran != nil {
		x.Ran(c.outcome)
	}
	switch {
	case q.Context().Err() != nil, c.begun && c.outcome.Ended != Answered:
		panic(http.ErrAbortHandler)
	case c.begun && a.hasBody(q):
		_, _ = w.Write(a.body)
	case !c.begun:
		if x.Head != nil {
			x.Head(c.outcome.Cold)
		}
		a.write(w, q)
	}
}

// answer is a response that is whole, or what was not sent of it.
type answer struct {
	status   int
	header   []field // their names are canonical
	body     []byte
	declared int64 // Content-Length, 0 if it says none

	fieldCount, headLen int // of what a function has said
}

// field is one of the head of an answer.
type field struct{ name, value string }

// get returns the first value of a field, "" if there is none.
func (a *answer) get(name string) string {
	for _, f := range a.header {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// hasBody reports whether a body is sent.
func (a *answer) hasBody(q *http.Request) bool {
	return q.Method != http.MethodHead && a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// fields puts those of an answer into the head of a response.
func (a *answer) fields(h http.Header) {
	values := make([]string, len(a.header))
	for i, f := range a.header {
		values[i] = f.value
		if slices.ContainsFunc(a.header[:i], func(earlier field) bool { return earlier.name == f.name }) {
			h[f.name] = append(h[f.name], f.value)
		} else {
			h[f.name] = values[i : i+1 : i+1]
		}
	}
	h.Del("X-Accel-Buffering")
	if h.Get("Content-Type") == "" && len(a.body) > 0 {
		h.Set("Content-Type", http.DetectContentType(a.body))
	}
}

func plain(status int, text, id string) answer {
	if id != "" {
		text += " (request " + id + ")"
	}
	a := answer{status: status, body: fmt.Appendf(nil, "%d %s: %s\n", status, http.StatusText(status), text),
		header: []field{{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}}}
	if status == http.StatusServiceUnavailable {
		a.header = append(a.header, field{"Retry-After", "1"})
	}
	return a
}

func (a answer) write(w http.ResponseWriter, q *http.Request) {
	h := w.Header()
	a.fields(h)
	length := int64(len(a.body))
	if q.Method == http.MethodHead && length == 0 {
		length = a.declared
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(a.status)
	if a.hasBody(q) {
		_, _ = w.Write(a.body) // a length that is not reached resets the stream
	}
}

// statusGone is that of an answer that nobody waits for.
const statusGone = 499

// call is a request on its way through a function.
type call struct {
	runner   *Runner
	function Function
	exchange Exchange
	outcome  Outcome
	loaded   *loaded
	clock    Clock
	began    time.Duration
	event    event
	said     capped
	printed  printed
	request  engine.Request
	response engine.Response
	err      error  // how the guest has ended
	begun    bool   // the head of the answer was sent
	come     int64  // of the body
	told     uint64 // of what it costs
}

// answer answers. What it says to clients tells nothing of the function but that it has failed; its log tells why.
func (c *call) answer(w http.ResponseWriter, q *http.Request) answer {
	ctx, x := q.Context(), c.exchange
	if err := c.runner.enter(); err != nil {
		c.outcome.Ended = Missing
		return plain(http.StatusServiceUnavailable, "this node is ending", x.ID)
	}
	defer c.runner.leave()
	said, e := &c.said, &c.event
	said.left = logMax
	e.request, e.log, e.sdk = q, said, x.SDK
	length, err := c.body(q)
	if err != nil {
		return c.stopped(err, said)
	}
	if failed := c.load(ctx); failed.status != 0 {
		return failed
	}
	defer c.runner.release(c.loaded)
	c.printed.event = e
	request := &c.request
	*request = engine.Request{
		Entry: c.function.Call, Argv: c.loaded.argv, Env: c.environment(q, length),
		Stdin: e, Stdout: &c.printed, Stderr: said, Value: e, Now: x.Now, Elapsed: x.Elapsed, Rand: x.Rand,
	}
	if c.loaded.params == 0 {
		request.Stdout = stdout{e}
	} else {
		request.Args = make([]uint64, c.loaded.params)
	}
	if x.Wait != nil {
		request.Sleep = e.sleeps
	}
	if c.loaded.script {
		e.script = e.asked(c.exchange.Parameters)
		request.Drive = e.script.Serve
	}
	c.began = c.clock.Elapsed()
	response, err := c.run(ctx, w, q)
	out := c.printed.text
	if len(e.head) > 0 && err == nil { // it has ended within the head
		out = e.head
	}
	if e.used {
		_, _ = said.Write(out) // who answers with events prints for people
	} else if len(out) > 0 && err == nil {
		if e.response, err = parse(out); err == nil {
			e.headed = true
		}
	}
	defer func() { c.outcome.Log = said.String() }()
	switch {
	case errors.Is(err, errEnough):
	case err != nil:
		return c.stopped(err, said)
	case !e.answers() && response.ExitCode != 0 && len(e.head) == 0:
		c.outcome.Ended = Trapped
		said.note("it exited with code %d, and has answered nothing", response.ExitCode)
		return plain(http.StatusInternalServerError, "the function failed", x.ID)
	case !e.answers():
		return c.stopped(errHead, said)
	}
	c.outcome.Ended = Answered
	return e.answer()
}

// environment is what a function sees: the request, unless it asks for that by events, and its own.
func (c *call) environment(q *http.Request, length int64) []string {
	if c.loaded.params > 0 || c.loaded.script {
		return c.function.Env
	}
	return variables(q, length, c.exchange, c.function.Env)
}

// note adds a line that is not the function's own. There is always room for it.
func (c *capped) note(format string, args ...any) {
	if c.Len() > 0 && !strings.HasSuffix(c.String(), "\n") {
		_, _ = c.Builder.WriteString("\n")
	}
	fmt.Fprintf(&c.Builder, "[tau] "+format+"\n", args...)
}

// load makes the function ready, if it is not.
func (c *call) load(ctx context.Context) answer {
	x, key := &c.exchange, c.function.key()
	l, err := c.runner.ready(key)
	if c.outcome.Cold = l == nil; c.outcome.Cold {
		code, failed := x.Module(ctx)
		if failed != nil {
			c.outcome.Ended, c.outcome.Log = Missing, ""
			return plain(http.StatusServiceUnavailable, "the function's module cannot be read now", x.ID)
		}
		left := x.Off(ctx, func() {
			l, err = c.runner.take(ctx, c.function, key, func() ([]byte, error) { return code, nil })
		})
		if left != nil {
			if err == nil {
				c.runner.release(l)
			}
			err = left
		}
	}
	c.loaded = l
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

// body reads the body of a request, if it is known to be short, and returns its length; 0 if that is not known, or it has none.
func (c *call) body(q *http.Request) (length int64, err error) {
	e := &c.event
	if q.Body == nil || q.Body == http.NoBody {
		e.inputEnd = io.EOF
		return 0, nil
	}
	if q.ContentLength > c.runner.options.BodyMax {
		return 0, &http.MaxBytesError{Limit: c.runner.options.BodyMax}
	}
	if q.ContentLength < 0 || q.ContentLength > partLen {
		return max(0, q.ContentLength), nil
	}
	e.input, e.inputEnd = make([]byte, q.ContentLength), io.EOF
	if _, err = io.ReadFull(q.Body, e.input); err != nil {
		return 0, errBroke
	}
	return q.ContentLength, nil
}

// stopped says what a call that was stopped is answered with.
func (c *call) stopped(err error, said *capped) answer {
	x, trap, tooLong := c.exchange, (*engine.Trap)(nil), (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLong):
		c.outcome.Ended = Refused
		return plain(http.StatusRequestEntityTooLarge, fmt.Sprintf("a function takes a body of at most %d bytes", tooLong.Limit), x.ID)
	case errors.Is(err, errBroke):
		c.outcome.Ended = Refused
		return plain(http.StatusBadRequest, "the body of the request broke off", x.ID)
	case errors.Is(err, errGone), errors.Is(err, context.Canceled):
		c.outcome.Ended = Gone
		return answer{status: statusGone}
	case errors.Is(err, errHead), errors.Is(err, errField):
		c.outcome.Ended = Malformed
		said.note("%v", err)
		return plain(http.StatusInternalServerError, "the function's answer is none", x.ID)
	case errors.Is(err, js.ErrThrown): // the log tells already
		c.outcome.Ended = Trapped
		return plain(http.StatusInternalServerError, "the function failed", x.ID)
	}
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

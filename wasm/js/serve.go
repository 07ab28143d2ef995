package js

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/outbound"
)

// Exchange is a request, and where its answer goes.
type Exchange struct {
	Method, URL string
	Header      http.Header
	Parameters  map[string]string
	// Body is read as the bundle reads it; nil: there is none.
	Body io.Reader
	// Head takes the status of the answer, and names and values of its fields; Write a part of its body, which it does not keep.
	Head  func(status int, fields [][2]string) error
	Write func(part []byte)
	// Send sends a request to another host; nil: none can be reached.
	Send func(c *engine.Call, r outbound.Request) (*outbound.Response, error)

	program  *program
	answered bool
	held     bool // something is waited for after the answer, until
	done     bool // nothing is any more
	idle     bool
	failure  string
	fetched  []byte // the body of what was answered last
	rejected []rejection
}

// Asked is the Value of a request that an Exchange leads.
type Asked interface{ JavaScript() *Exchange }

// JavaScript implements Asked.
func (x *Exchange) JavaScript() *Exchange { return x }

// rejection is a promise that was rejected while nobody had asked for that.
type rejection struct{ promise, reason uint32 }

// ErrThrown is how a call ends in which the bundle has thrown; the log says what.
var ErrThrown = errors.New("js: the function has thrown")

// ErrSilent is how a call ends in which nothing is left to do, and no answer was given.
var ErrSilent = errors.New("js: the promise of a response is never settled: nothing is left to wait for")

// Serve leads a call: it is a Request's Drive, of which the Value is Asked.
func (x *Exchange) Serve(c *engine.Call) error {
	p, is := c.State().(*program)
	if !is {
		return errors.New("js: the function is no bundle")
	}
	x.program = p
	i := interpreter{c, p}
	promise, err := i.call(i.asked, i.request(x)...)
	for waits := err == nil && i.must("qjs_is_promise", uint64(promise)) != 0; !x.ended() && err == nil; {
		i.drain()
		switch {
		case waits && i.settled(x, promise):
			waits = false
		case !x.ended():
			_, err = i.call(i.tick)
		}
	}
	if err != nil {
		x.failure = "Uncaught " + err.Error()
	}
	i.tellRejected(x)
	switch {
	case x.failure != "":
		i.log(x.failure)
		return ErrThrown
	case !x.answered:
		return ErrSilent
	}
	return nil
}

// ended reports whether the call is over.
func (x *Exchange) ended() bool { return x.done || x.idle || x.answered && !x.held }

// settled passes on what came of the promise of a response, if it is known.
func (i interpreter) settled(x *Exchange, promise uint32) bool {
	next := i.answer
	switch i.must("qjs_promise_state", uint64(promise)) {
	case promisePending:
		return false
	case promiseRejected:
		next = i.failed
		x.ask(i.object(promise), i)
	}
	if _, err := i.call(next, i.must("qjs_promise_result", uint64(promise))); err != nil {
		i.Stop(err)
	}
	return true
}

// request is the request as the runtime takes it; its headers stay here until it asks.
func (i interpreter) request(x *Exchange) []uint32 {
	args := []uint32{i.text(x.Method), i.text(x.URL), i.undefined}
	if len(x.Parameters) > 0 {
		var params strings.Builder
		for _, name := range slices.Sorted(maps.Keys(x.Parameters)) {
			addText(&params, name)
			addText(&params, x.Parameters[name])
		}
		args[2] = i.text(params.String())
	}
	if x.Body != nil {
		args = append(args, i.must("qjs_get_true"))
	}
	return args
}

// addText adds a text with a zero behind it, and none in it.
func addText(b *strings.Builder, text string) {
	b.WriteString(strings.ReplaceAll(text, "\x00", ""))
	b.WriteByte(0)
}

// fields are names, in lower case, and values of the request's headers.
func (x *Exchange) fields() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(x.Header)) {
		addText(&b, strings.ToLower(name))
		addText(&b, joined(name, x.Header[name]))
	}
	return b.String()
}

// joined is the one value of a header that was sent several times.
func joined(name string, values []string) string {
	if name == "Cookie" {
		return strings.Join(values, "; ")
	}
	return strings.Join(values, ", ")
}

// object is what tells a promise from others.
func (i interpreter) object(promise uint32) uint32 {
	object, _ := i.Memory().ReadUint32Le(promise)
	return object
}

// ask notes that somebody has asked for a promise that was rejected.
func (x *Exchange) ask(object uint32, i interpreter) {
	x.rejected = slices.DeleteFunc(x.rejected, func(r rejection) bool { return i.object(r.promise) == object })
}

// tellRejected logs the rejected promises that nobody has asked about.
func (i interpreter) tellRejected(x *Exchange) {
	for _, r := range x.rejected {
		_, _ = i.call(i.program.rejected, r.reason)
	}
	x.rejected = nil
}

// log writes a line, or several, into the function's log. Places in the bundle become those of its sources.
func (i interpreter) log(text string) {
	if i.World.Stderr != nil {
		_, _ = i.World.Stderr.Write([]byte(i.sources.in(text) + "\n"))
	}
}

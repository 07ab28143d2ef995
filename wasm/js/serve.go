package js

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/taucloud/tau/wasm/engine"
)

// Exchange is a request, and what has become of it.
type Exchange struct {
	Method, URL string
	Header      http.Header
	Parameters  map[string]string
	Body        []byte

	// Status, Fields and Answer are the answer: names and values of its fields, its body.
	Status int
	Fields [][2]string
	Answer []byte

	program  *program
	answered bool
	done     bool // nothing is waited for any more
	idle     bool
	failure  string
	rejected []rejection
}

// rejection is a promise that was rejected while nobody had asked for that.
type rejection struct{ promise, reason uint32 }

// ErrThrown is how a call ends in which the bundle has thrown; the log says what.
var ErrThrown = errors.New("js: the function has thrown")

// ErrSilent is how a call ends in which nothing is left to do, and no answer was given.
var ErrSilent = errors.New("js: the promise of a response is never settled: nothing is left to wait for")

// Serve leads a call: it is a Request's Drive, of which the Exchange is the Value.
func (x *Exchange) Serve(c *engine.Call) error {
	p, is := c.State().(*program)
	if !is {
		return errors.New("js: the function is no bundle")
	}
	x.program = p
	i := interpreter{c, p}
	if _, err := i.call(i.asked, i.text(x.request())); err != nil {
		x.failure = "Uncaught " + err.Error()
	}
	for i.drain(); !x.done && x.failure == ""; i.drain() {
		if _, err := i.call(i.tick); err != nil {
			return err
		}
		if x.idle {
			break
		}
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

// request is the request as the runtime takes it.
func (x *Exchange) request() string {
	var b strings.Builder
	add := func(text string) {
		b.WriteString(strings.ReplaceAll(text, "\x00", ""))
		b.WriteByte(0)
	}
	add(x.Method)
	add(x.URL)
	add([]string{"0", "1"}[min(len(x.Body), 1)])
	add(decimal(len(x.Parameters)))
	for _, name := range slices.Sorted(maps.Keys(x.Parameters)) {
		add(name)
		add(x.Parameters[name])
	}
	for _, name := range slices.Sorted(maps.Keys(x.Header)) {
		for _, value := range x.Header[name] {
			add(strings.ToLower(name))
			add(value)
		}
	}
	return b.String()
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

package web

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/js"
	"github.com/taucloud/tau/wasm/outbound"
)

// scriptLen is what a function in JavaScript has in memory, beside its bundle: the snapshot of its interpreter. The interpreter's code is that
// of all, and counted with none.
const scriptLen = 3 << 19

// makeScript makes a function of a bundle (package js).
func (r *Runner) makeScript(ctx context.Context, f Function, bundle []byte) (*engine.Function, error) {
	if len(bundle) > js.CodeMax {
		return nil, &Fault{fmt.Sprintf("the bundle has %d bytes, at most %d are allowed", len(bundle), js.CodeMax)}
	}
	if f.MemoryMax < js.MemoryMin {
		return nil, &Fault{fmt.Sprintf("its memory of %d bytes is too small for JavaScript, which needs at least %d", f.MemoryMax, js.MemoryMin)}
	}
	interpreter, err := js.Module()
	if err != nil {
		return nil, err
	}
	if !r.script { // it stays, whatever functions come and go
		if err := r.engine.Keep(interpreter); err != nil {
			return nil, err
		}
		r.script = true
	}
	var said capped
	said.left = logMax
	setup := engine.Setup{Limits: r.limits(f.Timeout), Start: r.starting(f.Timeout), Env: f.Env, Log: &said, MemoryMax: uint64(f.MemoryMax)}
	function, err := r.engine.Load(ctx, interpreter, js.Setup(setup, bundle, f.Call))
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "engine: initialising the module: ")
		if said := strings.TrimSpace(said.String()); said != "" {
			text += "\n" + said
		}
		return nil, &Fault{text}
	}
	return function, nil
}

// asked is a request as a bundle is asked.
func (e *event) asked(parameters map[string]string) *js.Exchange {
	q, scheme := e.request, "http"
	if q.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	host := q.Host
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		if _, err := strconv.ParseUint(host[at+1:], 10, 16); err != nil { // whoever asks may write anything there: the URL is one all the same
			host = host[:at]
		}
	}
	x := &js.Exchange{Method: q.Method, URL: scheme + "://" + host + q.URL.RequestURI(), Header: q.Header, Parameters: parameters, Head: e.begins, Write: e.write}
	x.Send = func(c *engine.Call, r outbound.Request) (*outbound.Response, error) { return e.SDK().Send(c, r) }
	if len(e.input) > 0 || e.inputEnd == nil {
		x.Body = e
	}
	return x
}

// JavaScript implements js.Asked.
func (e *event) JavaScript() *js.Exchange { return e.script }

// begins takes the head of an answer over.
func (e *event) begins(status int, fields [][2]string) error {
	if !answers(status) { // what a Response has is the bundle's to change, whatever its constructor takes
		return fmt.Errorf("%w the status %d", errField, status)
	}
	e.response = answer{status: status, header: make([]field, 0, len(fields))}
	for _, field := range fields {
		if strings.EqualFold(field[0], "Status") {
			continue
		}
		if err := e.response.field(field[0], field[1]); err != nil {
			return err
		}
	}
	e.headed = true
	return nil
}

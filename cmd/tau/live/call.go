package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// CallRequest is one request to what a project has published, which goes to a substrate without a door.
type CallRequest struct {
	Host, Method string
	// Path begins with a slash, and may have a query.
	Path   string
	Header http.Header
	Body   []byte
}

// CallResponse is the answer. Of a body of more than CallBodyMax bytes it is the beginning, which Cut says.
type CallResponse struct {
	Status int
	Header http.Header
	Body   []byte
	Cut    bool
	// Node has answered, with the version of the commit Version. Cold: that had to be brought there first.
	Node, Version string
	Cold          bool
	Took          time.Duration
}

const (
	// CallBodyMax bounds the body of an answer, in bytes.
	CallBodyMax = 4 << 20
	// callTimeout bounds a call, callRetry is the pause before all substrates are asked again that refuse, of which there are callRounds.
	callTimeout, callRetry, callRounds = 50 * time.Second, 200 * time.Millisecond, 25
)

// call asks one substrate after the other until one does not refuse. Only a node that runs gateway may.
func (r *running) call(ctx context.Context, req CallRequest) (resp CallResponse, err error) {
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		began := env.Loop.Elapsed()
		why := transport.New(transport.NotFound, "call", "no substrate is known, which would run functions")
		for range callRounds {
			peers, _ := env.Wire.Directory().Lookup(substrateapi.Service)
			for _, p := range peers {
				var refused string
				if resp, refused, err = callAt(ctx, env, p, req); err != nil {
					return err // it may have run
				}
				if refused == "" {
					resp.Took = env.Loop.Elapsed() - began
					return nil
				}
				why = transport.New(transport.Refused, "call", "the substrates take no request now: "+refused)
			}
			if err := clock.Sleep(ctx, env.Loop, callRetry); err != nil {
				return errors.Join(why, err)
			}
		}
		return why
	})
	return resp, err
}

func callAt(ctx context.Context, env node.Env, p transport.Peer, req CallRequest) (resp CallResponse, refused string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hr, err := http.NewRequestWithContext(ctx, req.Method, "http://"+req.Host+req.Path, bytes.NewReader(req.Body))
	if err != nil {
		return resp, "", transport.New(transport.Invalid, "call", err.Error())
	}
	for name, values := range req.Header {
		hr.Header[http.CanonicalHeaderKey(name)] = values
	}
	if len(hr.Header["User-Agent"]) == 0 {
		hr.Header["User-Agent"] = []string{""} // and not net/http's own
	}
	if len(req.Body) == 0 {
		hr.Body = nil
	}
	hr.Header.Set(gatewayapi.HeaderRequestID, "call-"+rand.Text())
	answer, err := httpstream.Do(ctx, env.Wire, p, substrateapi.HTTP.Name, hr)
	if err != nil {
		if transport.KindOf(err) == transport.Unreachable && !transport.MayHaveRun(err) {
			return resp, "a substrate cannot be reached", nil
		}
		return resp, "", err
	}
	defer answer.Body.Close()
	if refused := answer.Header.Get(substrateapi.HeaderRefused); refused != "" {
		return resp, refused, nil
	}
	resp = CallResponse{Status: answer.StatusCode, Node: nameOf(env, p), Version: answer.Header.Get(substrateapi.HeaderVersion), Cold: answer.Header.Get(substrateapi.HeaderCold) != ""}
	for _, own := range []string{substrateapi.HeaderLoad, substrateapi.HeaderCold} {
		answer.Header.Del(own)
	}
	resp.Header = answer.Header
	body, err := io.ReadAll(io.LimitReader(answer.Body, CallBodyMax+1))
	resp.Body, resp.Cut = body[:min(len(body), CallBodyMax)], len(body) > CallBodyMax
	return resp, "", err
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// handler hands requests on, each on a loop of its own.
type handler struct{ service *clock.Owned[*Service] }

// exchange is a request and what becomes of it.
type exchange struct {
	handler
	ticket
	w     http.ResponseWriter
	r     *http.Request
	ep    *transport.Endpoint
	here  clock.Loop
	host  string
	body  *body
	began time.Duration

	tried   []transport.Peer // since it has waited
	tries   int
	waited  bool           // it may wait at the front
	busy    bool           // one of them was
	late    bool           // one of them did not answer in time
	runs    bool           // the substrate that was asked last said that it is at work
	peer    transport.Peer // that has answered
	version string
	code    int
	bytes   int64
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ep := httpstream.Endpoint(r)
	defer func() { httpstream.Recovered(recover(), w, func(what string) { h.panicked(r, ep.Loop(), what) }) }()
	x := &exchange{handler: h, w: w, r: r, ep: ep, here: ep.Loop(), host: hostOf(r.Host), began: ep.Loop().Elapsed()}
	x.ticket = ticket{id: idOf(r.Header.Get(gatewayapi.HeaderRequestID)), reads: r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0, address: addressOf(r)}
	x.admit()
	if x.knocks {
		if !x.knock() {
			return
		}
		x.admit()
	}
	w.Header().Set(gatewayapi.HeaderRequestID, x.id)
	if x.status != 0 {
		x.turnAway(x.status, x.says)
		return
	}
	whole := false
	defer func() { x.done(whole) }()
	whole = x.serve()
	if !whole {
		panic(http.ErrAbortHandler)
	}
}

// panicked tells operators that a request has made this handler panic.
func (h handler) panicked(r *http.Request, here clock.Loop, what string) {
	_ = h.service.With(context.WithoutCancel(r.Context()), here, func(s **Service) {
		(*s).env.Log.Error("a request made its handler panic", "host", hostOf(r.Host), "panic", what)
		(*s).env.Observe("request-panicked", node.F("host", hostOf(r.Host)))
	})
}

// admit asks for room.
func (x *exchange) admit() {
	if x.service.With(x.r.Context(), x.here, func(s **Service) { x.ticket = (*s).admit(x.ticket, x.host) }) != nil {
		panic(http.ErrAbortHandler)
	}
}

// turnAway answers a request that is not let in. What it would still send is not waited for.
func (x *exchange) turnAway(status int, says string) {
	x.w.Header().Set(gatewayapi.HeaderRequestID, x.id)
	x.w.Header().Set("Connection", "close")
	if status == http.StatusTooManyRequests {
		x.w.Header().Set("Retry-After", "1")
	}
	x.say(status, says)
}

// hasRead says that the body has come, or never will.
func (x *exchange) hasRead() {
	if !x.reads {
		return
	}
	x.reads = false
	_ = x.service.With(context.WithoutCancel(x.r.Context()), x.here, func(s **Service) { (*s).room.read(x.host, x.address) })
}

// serve answers, and reports whether the answer is whole.
func (x *exchange) serve() (whole bool) {
	switch {
	case x.host == "":
		return x.say(http.StatusBadRequest, "the request names no host")
	case x.r.Method == http.MethodConnect || !strings.HasPrefix(x.r.URL.Path, "/"):
		return x.say(http.StatusBadRequest, "the request names no path")
	case x.r.ContentLength > x.settings.BodyMax:
		return x.say(http.StatusRequestEntityTooLarge, fmt.Sprintf("a body has at most %d bytes", x.settings.BodyMax))
	}
	if x.r.Body != nil && x.r.Body != http.NoBody && x.r.ContentLength != 0 {
		x.body = &body{from: x.r.Body, left: x.settings.BodyMax, over: x.hasRead, trails: x.r.Trailer}
		for name := range x.r.Trailer {
			if trails(name) && x.r.ContentLength < 0 {
				if x.body.trailer == nil {
					x.body.trailer = http.Header{}
				}
				x.body.trailer[name] = nil
			}
		}
		if x.r.ContentLength > 0 && x.r.ContentLength <= smallBody {
			if x.body.kept = make([]byte, x.r.ContentLength); !x.body.keep() {
				return x.say(http.StatusBadRequest, "the body of the request broke off")
			}
			x.hasRead()
		}
	}
	until := x.here.Elapsed() + x.settings.HeadTimeout
	for {
		a := x.ask(until)
		switch {
		case a.response != nil:
			return x.answer(a)
		case !a.again:
			return x.say(a.status, a.says)
		}
	}
}

// attempt is what came of asking one substrate.
type attempt struct {
	response *http.Response // nil: none
	cancel   context.CancelCauseFunc
	again    bool // ask another one
	status   int
	says     string
}

// repeatable reports whether a request may be sent once more though it may have been acted upon. One that a function is known to answer may not.
func (x *exchange) repeatable() bool {
	return x.body == nil && !x.runs && upgradeOf(x.r.Header) == "" && slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, x.r.Method)
}

// ask asks a substrate that was not asked yet.
func (x *exchange) ask(until time.Duration) attempt {
	var at choice
	var dropped error
	err := x.service.Do(x.r.Context(), x.here, func(ctx context.Context, s **Service) {
		if len(x.tried) >= x.settings.TriesMax {
			return
		}
		if at = (*s).choose(x.host, x.tried); at.ok {
			dropped = beforeAsk.Hit(ctx, (*s).env)
		}
	})
	switch {
	case err != nil: // the client is gone
		if at.ok {
			x.unused(at.peer, false)
		}
		panic(http.ErrAbortHandler)
	case !at.ok && x.waits(at.full, until):
		return attempt{again: true}
	case !at.ok && len(x.tried) == 0 && !at.full:
		return attempt{status: http.StatusServiceUnavailable, says: "no substrate is known"}
	case !at.ok && x.late && !x.busy:
		return attempt{status: http.StatusGatewayTimeout, says: "no substrate answered in time"}
	case !at.ok:
		return attempt{status: http.StatusServiceUnavailable, says: "no substrate takes the request"}
	}
	peer := at.peer
	x.tried = append(x.tried, peer)
	x.tries++
	limit := until - x.here.Elapsed()
	if x.repeatable() && at.others && len(x.tried) < x.settings.TriesMax {
		limit = min(limit, x.settings.TryTimeout)
	}
	began := x.here.Elapsed()
	response, cancel, err := x.send(peer, limit, until, dropped)
	o := outcome{peer: peer, host: x.host, took: x.here.Elapsed() - began}
	a := attempt{response: response, cancel: cancel}
	switch {
	case err != nil:
		a = x.failed(err, &o)
	case response.Header.Get(substrateapi.HeaderRefused) != "":
		o.refused = response.Header.Get(substrateapi.HeaderRefused)
		x.busy = x.busy || o.refused == substrateapi.Busy
		_ = response.Body.Close()
		cancel(nil)
		a = attempt{again: x.body == nil || x.body.kept != nil || !x.body.begun, status: http.StatusServiceUnavailable, says: "the substrate is " + o.refused}
	default:
		o.load = loadOf(response.Header.Get(substrateapi.HeaderLoad))
	}
	gone := x.service.Do(context.WithoutCancel(x.r.Context()), x.here, func(ctx context.Context, s **Service) {
		(*s).learn(o)
		if a.response == nil {
			(*s).over(peer, x.host, false)
		} else {
			dropped = beforeAnswer.Hit(ctx, (*s).env)
		}
	})
	if x.r.Context().Err() != nil || gone != nil || dropped != nil && a.response != nil {
		if a.response != nil {
			x.release(a, peer)
		}
		panic(http.ErrAbortHandler)
	}
	x.peer = peer
	return a
}

// failed says what to do about a substrate that has not answered.
func (x *exchange) failed(err error, o *outcome) attempt {
	if x.body != nil && x.body.tooLong {
		return attempt{status: http.StatusRequestEntityTooLarge, says: fmt.Sprintf("a body has at most %d bytes", x.settings.BodyMax)}
	}
	if x.body != nil && x.body.err != nil {
		return attempt{status: http.StatusBadRequest, says: "the body of the request broke off"}
	}
	if x.r.Context().Err() != nil {
		return attempt{} // the client is gone, which says nothing of the substrate
	}
	if transport.KindOf(err) == transport.Refused { // before it was served
		x.busy, o.failed = true, true
		return attempt{again: x.body == nil || x.body.kept != nil || !x.body.begun, status: http.StatusServiceUnavailable, says: "the substrate is busy"}
	}
	o.failed = true
	timeout := errors.Is(err, context.DeadlineExceeded) || transport.KindOf(err) == transport.Timeout
	o.grave = !timeout
	again := x.repeatable() || errors.Is(err, errNotSent)
	if timeout {
		x.late = true
		return attempt{again: again, status: http.StatusGatewayTimeout, says: "the substrate did not answer in time"}
	}
	return attempt{again: again, status: http.StatusBadGateway, says: "the substrate cannot be reached"}
}

// errNotSent: nothing of the request has left this gateway.
var errNotSent = errors.New("gateway: nothing was sent")

// send sends the request and waits for the head of the response: limit, or, if the substrate says that it is at work, until then.
func (x *exchange) send(peer transport.Peer, limit, until time.Duration, dropped error) (*http.Response, context.CancelCauseFunc, error) {
	if dropped != nil {
		return nil, nil, errNotSent
	}
	ctx, cancel := context.WithCancelCause(x.r.Context())
	ends := func() { cancel(context.DeadlineExceeded) }
	timer := x.here.AfterFunc(max(0, limit), ends)
	defer func() { timer.Stop() }()
	x.runs = false
	asked := httpstream.WithProgress(ctx, func() {
		if !x.runs && timer.Stop() {
			x.runs = true
			timer = x.here.AfterFunc(max(0, until-x.here.Elapsed()), ends)
		}
	})
	response, err := httpstream.Do(asked, x.ep, peer, substrateapi.HTTP.Name, x.outgoing(ctx))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, nil, err
	}
	return response, cancel, nil
}

// answer passes a response on, and reports whether all of it was.
func (x *exchange) answer(a attempt) (whole bool) {
	defer x.release(a, x.peer)
	response := a.response
	x.version = response.Header.Get(substrateapi.HeaderVersion)
	passOn(response.Header)
	h := x.w.Header()
	for name, values := range response.Header {
		h[name] = values
	}
	if x.version != "" {
		h.Set(substrateapi.HeaderVersion, x.version)
	}
	h.Set(gatewayapi.HeaderRequestID, x.id)
	x.code = response.StatusCode
	if response.StatusCode == http.StatusSwitchingProtocols {
		return x.upgrade(response, a.cancel)
	}
	for _, name := range slices.Sorted(maps.Keys(response.Trailer)) {
		if trails(name) {
			h.Add("Trailer", name)
		}
	}
	x.w.WriteHeader(response.StatusCode)
	if !x.copy(response, a.cancel) {
		return false
	}
	for name, values := range response.Trailer {
		if trails(name) {
			h[http.TrailerPrefix+name] = values
		}
	}
	return true
}

// unused says that a substrate is not asked any more, whether it has answered or not.
func (x *exchange) unused(peer transport.Peer, answered bool) {
	_ = x.service.With(context.WithoutCancel(x.r.Context()), x.here, func(s **Service) { (*s).over(peer, x.host, answered) })
}

// release ends the exchange with a substrate.
func (x *exchange) release(a attempt, peer transport.Peer) {
	_ = a.response.Body.Close()
	a.cancel(nil)
	x.unused(peer, true)
}

// done says that the request is over.
func (x *exchange) done(whole bool) {
	x.hasRead()
	access := gatewayapi.Access{
		At: x.here.Now().UnixNano(), ID: x.id, Host: x.host, Method: x.r.Method, Path: x.r.URL.Path, Status: x.code,
		Took: x.here.Elapsed() - x.began, Bytes: x.bytes, Substrate: x.peer, Tries: x.tries, Version: x.version,
	}
	const pathMax = 256
	access.Path = access.Path[:min(len(access.Path), pathMax)]
	access.Host = access.Host[:min(len(access.Host), pathMax)]
	_ = x.service.With(context.WithoutCancel(x.r.Context()), x.here, func(s **Service) { (*s).finished(access, x.host, whole) })
}

func (s *Service) finished(a gatewayapi.Access, host string, whole bool) {
	if len(s.recent) < gatewayapi.RecentMax {
		s.recent = append(s.recent, a)
	} else {
		s.recent[s.oldest] = a
		s.oldest = (s.oldest + 1) % len(s.recent)
	}
	s.env.Observe("request-answered", node.F("id", a.ID), node.F("host", a.Host), node.F("status", a.Status), node.F("took", a.Took),
		node.F("bytes", a.Bytes), node.F("by", a.Substrate), node.F("tries", a.Tries), node.F("version", a.Version), node.F("whole", whole))
	if s.room.leave(host); s.room.all == 0 {
		for _, wake := range s.drained {
			wake()
		}
		s.drained = nil
	}
}

// say answers in plain words.
func (x *exchange) say(status int, text string) (whole bool) {
	x.code = status
	out := fmt.Sprintf("%d %s: %s\n", status, http.StatusText(status), text)
	h := x.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	x.w.WriteHeader(status)
	if x.r.Method == http.MethodHead {
		return true
	}
	n, err := io.WriteString(x.w, out)
	x.bytes = int64(n)
	return err == nil
}

package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// knock asks substrates whether anybody serves the host, and says so to the client if nobody does. A substrate does nothing else about
// it, so that it is asked as often as it takes. reports whether the request may come in.
func (x *exchange) knock() (comes bool) {
	defer func() {
		_ = x.service.With(context.WithoutCancel(x.r.Context()), x.here, func(s **Service) { (*s).knocking-- })
	}()
	until := x.here.Elapsed() + x.settings.HeadTimeout
	says := "no substrate is known"
	for tried := []transport.Peer(nil); len(tried) < x.settings.TriesMax; says = "no substrate takes the request" {
		var at choice
		if x.service.With(x.r.Context(), x.here, func(s **Service) { at = (*s).choose(x.host, tried) }) != nil {
			panic(http.ErrAbortHandler)
		}
		if !at.ok && at.full && x.wait(false, until) {
			continue
		}
		if !at.ok {
			break
		}
		peer := at.peer
		tried = append(tried, peer)
		o, word := x.knockAt(peer, min(until-x.here.Elapsed(), x.settings.TryTimeout))
		if x.service.With(context.WithoutCancel(x.r.Context()), x.here, func(s **Service) {
			(*s).over(peer, x.host, false)
			if o.failed || o.refused != "" {
				(*s).learn(o)
			} else if word != substrateapi.KnockNobody {
				(*s).believeServed(x.host)
			}
		}) != nil || x.r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
		switch {
		case o.failed || o.refused != "":
		case word == substrateapi.KnockNobody:
			x.turnAway(http.StatusNotFound, "no project serves "+x.host)
			return false
		default:
			return true
		}
	}
	x.turnAway(http.StatusServiceUnavailable, says)
	return false
}

// knockAt asks one substrate.
func (x *exchange) knockAt(peer transport.Peer, limit time.Duration) (o outcome, word string) {
	began := x.here.Elapsed()
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	timer := x.here.AfterFunc(max(0, limit), func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	r := (&http.Request{Method: http.MethodTrace, URL: x.r.URL, Host: x.r.Host, Header: http.Header{}}).Clone(ctx)
	r.Header.Set(substrateapi.HeaderKnock, "1")
	r.Header.Set("User-Agent", "")
	r.URL.Scheme, r.URL.Host, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "http", x.r.Host, "/", "", ""
	response, err := httpstream.Do(ctx, x.ep, peer, substrateapi.HTTP.Name, r)
	o = outcome{peer: peer, host: x.host, took: x.here.Elapsed() - began}
	if err != nil {
		o.failed = x.r.Context().Err() == nil
		o.grave = !errors.Is(context.Cause(ctx), context.DeadlineExceeded) && transport.KindOf(err) != transport.Timeout
		return o, ""
	}
	_ = response.Body.Close()
	o.refused = response.Header.Get(substrateapi.HeaderRefused)
	return o, response.Header.Get(substrateapi.HeaderKnock)
}

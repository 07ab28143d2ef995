package patrick

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/patrick/refs"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// The front door is HTTP: webhooks of forges, and the API of jobs. It is served to members by streams, and to those outside by the port.
// Bodies are read and answers written by whoever serves the request, a loop of its own or a goroutine; what is the service's is done
// in turns of the service, see inside.

// inside runs f as a task of the service, and returns its error, or why it could not run.
type inside func(ctx context.Context, f func(ctx context.Context, s *Service) error) error

// openFront serves the front door.
func (s *Service) openFront() error {
	owned := clock.Own(s.env.Loop, s)
	httpstream.Serve(s.env.Wire, patrickapi.HTTP, transport.Member, byStream{owned})
	if s.ends.Front == nil {
		return nil
	}
	stop, err := s.ends.Front(s.env, byGoroutine{owned})
	if err != nil {
		return err
	}
	s.stopFront = stop
	return nil
}

// byStream serves members: each request has a loop of its own.
type byStream struct{ service *clock.Owned[*Service] }

// ServeHTTP implements http.Handler.
func (h byStream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	here := httpstream.Endpoint(r).Loop()
	serveFront(w, r, func(ctx context.Context, f func(ctx context.Context, s *Service) error) (err error) {
		left := h.service.Do(ctx, here, func(ctx context.Context, s **Service) { err = f(ctx, *s) })
		return errors.Join(left, err)
	})
}

// byGoroutine serves those outside.
type byGoroutine struct{ service *clock.Owned[*Service] }

// ServeHTTP implements http.Handler.
func (h byGoroutine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serveFront(w, r, func(ctx context.Context, f func(ctx context.Context, s *Service) error) (err error) {
		left := h.service.Enter(ctx, func(ctx context.Context, s **Service) { err = f(ctx, *s) })
		return errors.Join(left, err)
	})
}

// serveFront routes a request.
func serveFront(w http.ResponseWriter, r *http.Request, in inside) {
	mux := http.NewServeMux()
	for _, route := range routes() {
		mux.HandleFunc(route.method+" "+route.path, func(w http.ResponseWriter, r *http.Request) { route.serve(w, r, in) })
	}
	mux.HandleFunc("GET "+PagePath("{job}"), servePage)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	mux.ServeHTTP(w, r)
}

// httpError is an error with a status. Text may be shown to whoever has asked.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

// turnAway answers with an error.
func turnAway(w http.ResponseWriter, r *http.Request, in inside, err error) {
	status, text := http.StatusServiceUnavailable, "it cannot be done now: try again"
	var known *httpError
	if errors.As(err, &known) {
		status, text = known.status, known.text
	}
	_ = in(context.WithoutCancel(r.Context()), func(_ context.Context, s *Service) error {
		if known == nil {
			s.env.Log.Info("a request could not be served", "path", r.Pattern, "err", err)
		}
		s.env.Observe("request-refused", node.F("status", status), node.F("route", r.Pattern))
		return nil
	})
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, status, problem{Error: text})
}

// problem is the answer to what is refused.
type problem struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asks may be gone
}

// followed reports whether a repository has a ref built.
func followed(r authapi.Repository, ref string) bool {
	follow, err := follower(r)
	return err == nil && follow(ref)
}

// follower says which refs of a repository are built: branches by its patterns, of names that a job can have. A forge has others - Git takes names that are no
// UTF-8 - and what was seen of them could not be kept.
func follower(r authapi.Repository) (follow func(ref string) bool, err error) {
	named, err := refs.Branches(r.Branches...)
	if err != nil {
		return nil, err
	}
	return func(ref string) bool {
		return named(ref) && patrickapi.CheckName("branch", strings.TrimPrefix(ref, "refs/heads/")) == nil
	}, nil
}

// unnamed are the branches of a repository that its patterns name and that are not built for their names, the first few, as they can be shown.
func unnamed(r authapi.Repository, all []refs.Seen) (list []string) {
	named, err := refs.Branches(r.Branches...)
	for _, s := range all {
		if err != nil || !named(s.Name) || len(list) == unnamedMax {
			continue
		}
		if wrong := patrickapi.CheckName("branch", strings.TrimPrefix(s.Name, "refs/heads/")); wrong != nil {
			list = append(list, textOf(wrong))
		}
	}
	return list
}

// unnamedMax bounds how many of them are told of.
const unnamedMax = 4

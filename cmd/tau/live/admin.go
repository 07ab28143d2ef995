package live

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

const (
	// askTimeout bounds what people ask for, pushTimeout a push, which waits for two disks.
	askTimeout  = 15 * time.Second
	pushTimeout = 2 * time.Minute
	// bodyLenMax bounds a request, in bytes: a tree in base64.
	bodyLenMax = patrickapi.TreeLenMax*4/3 + 64<<10
)

// speakerName is the agent of a node that speaks for the people on its machine.
const speakerName = "admin"

// speaker keeps what it is given: its loop and endpoint are those of what people ask for.
func (r *running) speaker() node.Spec {
	return node.Spec{
		Name: speakerName, Doc: "speaks for the people on this machine", Everywhere: true, Early: true,
		Settings: func() any { return &struct{}{} },
		New: func(env node.Env, _ any) (node.Service, error) {
			for _, name := range shape.ServiceNames() {
				env.Wire.Directory().Lookup(name) // so that the node learns who offers it
			}
			AskMethod.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req AskRequest) (AskResponse, error) {
				return r.answerMember(ctx, env, req)
			})
			r.mu.Lock()
			defer r.mu.Unlock()
			r.early = &env
			return idle{}, nil
		},
	}
}

type idle struct{}

func (idle) Start(context.Context) error { return nil }
func (idle) Stop(context.Context) error  { return nil }

// socket is where people ask.
type socket struct {
	server  *http.Server
	release func()
	ended   chan struct{}
}

// listen opens the socket, for this user alone. The node is locked: what is there is of a process that is gone.
func listen(paths shape.Paths, r *running) (*socket, error) {
	if err := os.MkdirAll(paths.Run, 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(paths.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	path, release, err := shortPath(paths.Socket)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		release()
		return nil, err
	}
	if err := os.Chmod(paths.Socket, 0o600); err != nil {
		err = errors.Join(err, l.Close())
		release()
		return nil, err
	}
	s := &socket{server: &http.Server{Handler: r.routes(), ReadHeaderTimeout: 5 * time.Second}, release: release, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(l)
	}()
	return s, nil
}

func (s *socket) close() {
	_ = s.server.Close()
	<-s.ended
	s.release()
}

func (r *running) routes() http.Handler {
	mux := http.NewServeMux()
	serve(mux, "GET /v1/status", askTimeout, r.status)
	serve(mux, "GET /v1/peers", askTimeout, r.peers)
	serve(mux, "POST /v1/remote", askTimeout, r.remote)
	serve(mux, "POST /v1/invite", askTimeout, r.invite)
	serve(mux, "POST /v1/push", pushTimeout, r.push)
	serve(mux, "GET /v1/jobs", askTimeout, r.jobs)
	serve(mux, "GET /v1/log", askTimeout, r.log)
	serve(mux, "GET /v1/said", askTimeout, r.said)
	serve(mux, "GET /v1/functions", askTimeout, r.functions)
	serve(mux, "GET /v1/versions", askTimeout, r.versions)
	serve(mux, "GET /v1/claims", askTimeout, r.claims)
	serve(mux, "POST /v1/call", callTimeout, r.call)
	serve(mux, "POST /v1/rollback", askTimeout, r.rollback)
	serve(mux, "GET /v1/revoked", askTimeout, r.revoked)
	serve(mux, "POST /v1/revoke", askTimeout, r.revoke)
	serve(mux, "POST /v1/certificate", askTimeout, r.takeCertificate)
	serve(mux, "GET /v1/issuers", askTimeout, r.issuers)
	serve(mux, "POST /v1/rotate", askTimeout, r.rotate)
	serve(mux, "POST /v1/auth", askTimeout, r.manage)
	serve(mux, "POST /v1/leave", askTimeout, r.leave)
	serve(mux, "GET /v1/audit", auditTimeout, r.audit)
	serve(mux, "GET /v1/facts", askTimeout, r.facts)
	serve(mux, "POST /v1/log-level", askTimeout, r.setLevel)
	r.outside(mux, true)
	serve(mux, "GET /v1/failpoints", askTimeout, r.failpoints)
	serve(mux, "POST /v1/failpoint", askTimeout, r.setFailpoint)
	return mux
}

// errStarting is the answer of a node that has not started yet.
var errStarting = errors.New("the node is starting: tau status says how far it is")

// serve decodes a request and encodes the answer.
func serve[Req, Resp any](mux *http.ServeMux, pattern string, limit time.Duration, h func(ctx context.Context, req Req) (Resp, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, hr *http.Request) {
		ctx, cancel := context.WithTimeout(hr.Context(), limit)
		defer cancel()
		var req Req
		var err error
		if hr.Method == http.MethodPost {
			err = json.NewDecoder(http.MaxBytesReader(w, hr.Body, bodyLenMax)).Decode(&req)
		} else if q := hr.URL.Query().Get("q"); q != "" {
			err = json.Unmarshal([]byte(q), &req)
		}
		var resp any
		if err == nil {
			resp, err = h(ctx, req)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			kind := transport.KindOf(err)
			w.WriteHeader(http.StatusBadGateway)
			resp = Failure{Text: Plainly(err), Bad: kind == transport.Invalid, Unknown: kind == transport.NotFound, Starting: errors.Is(err, errStarting)}
		}
		_ = json.NewEncoder(w).Encode(resp)
	})
}

// on runs f as a task of the agent that speaks for people.
func (r *running) on(ctx context.Context, f func(ctx context.Context, env node.Env) error) error {
	r.mu.Lock()
	env := r.env
	r.mu.Unlock()
	if env == nil {
		return errStarting
	}
	return r.onAgent(ctx, env, f)
}

// onEarly is on also while services of the node start, which may take as long as nobody answers it.
func (r *running) onEarly(ctx context.Context, f func(ctx context.Context, env node.Env) error) error {
	r.mu.Lock()
	env := r.early
	r.mu.Unlock()
	if env == nil {
		return errStarting
	}
	return r.onAgent(ctx, env, f)
}

func (r *running) onAgent(ctx context.Context, env *node.Env, f func(ctx context.Context, env node.Env) error) error {
	var err error
	entered := clock.Do(ctx, env.Loop, func(ctx context.Context) { err = f(ctx, *env) })
	return errors.Join(err, entered)
}

// Plainly is an error for people: which service says so is nothing to them, unless it could not be asked.
func Plainly(err error) string {
	var e *transport.Error
	if !errors.As(err, &e) || e.Text == "" || !slices.Contains([]transport.Kind{transport.NotFound, transport.Conflict, transport.Refused, transport.Invalid}, e.Kind) {
		return err.Error()
	}
	return strings.Replace(err.Error(), e.Error(), e.Text, 1)
}

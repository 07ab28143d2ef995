package up

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
)

const (
	// requestLenMax bounds a request, in bytes, requestsMax how many may be under way.
	requestLenMax = 64 << 10
	requestsMax   = 256
	// answerWithin bounds what is not followed.
	answerWithin = 60 * time.Second
)

// route is one thing that a universe can be asked or told. All of them, for the server, the commands and the OpenAPI document, are
// in routes.
type route struct {
	method, path, doc string
	in, out           reflect.Type
	// open: no token is asked for.
	open bool
	// lines: the answer is a line of JSON for each out, as they come.
	lines bool
	// lenMax bounds the request, in bytes; 0: requestLenMax.
	lenMax int64
	handle func(ctx context.Context, u *Universe, in any, send func(any) error) (any, error)
}

// of makes one of a function. Fields of In have a tag that says where they are: in:"path", in:"query"; others are in the body.
func of[In, Out any](method, path, doc string, f func(ctx context.Context, u *Universe, in In) (Out, error)) route {
	return route{method: method, path: path, doc: doc, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		handle: func(ctx context.Context, u *Universe, in any, _ func(any) error) (any, error) {
			ctx, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			return f(ctx, u, *in.(*In))
		}}
}

// lines makes one that answers line by line.
func lines[In, Out any](method, path, doc string, f func(ctx context.Context, u *Universe, in In, send func(Out) error) error) route {
	return route{method: method, path: path, doc: doc, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), lines: true,
		handle: func(ctx context.Context, u *Universe, in any, send func(any) error) (any, error) {
			return nil, f(ctx, u, *in.(*In), func(out Out) error { return send(out) })
		}}
}

// Problem is the answer to what was not done.
type Problem struct {
	Error string `json:"error"`
}

type bad struct{ error }

func (b bad) Unwrap() error { return b.error }

// badRequest makes an error that says that the request is at fault.
func badRequest(err error) error { return bad{err} }

// noSuch is about a name that is well formed and of nothing here: it may be of something later.
type noSuch struct{ error }

func (n noSuch) Unwrap() error { return n.error }

// otherwise is about what is as it should not be for what is asked: a node that is down, say.
type otherwise struct{ error }

func (o otherwise) Unwrap() error { return o.error }

func statusOf(err error) int {
	var f *taulive.Failure
	var b bad
	var n noSuch
	var o otherwise
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.As(err, &n), errors.As(err, &f) && f.Unknown:
		return http.StatusNotFound
	case errors.As(err, &o):
		return http.StatusConflict
	case errors.As(err, &b), errors.As(err, &f) && f.Bad:
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

// server serves on one port.
type server struct {
	*http.Server
	ended chan struct{}
}

// streamsMax is how many requests one connection of HTTP/2 has under way at once.
const streamsMax = 100

// begin serves HTTP/1.1, and HTTP/2 for those who begin with it; at most requestsMax requests at once.
func begin(l net.Listener, h http.Handler) *server {
	slots := make(chan struct{}, requestsMax)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // as a node's door does
	s := &server{ended: make(chan struct{}), Server: &http.Server{Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsMax}, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				h.ServeHTTP(w, r)
			default:
				http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
			}
		})}}
	go func() {
		defer close(s.ended)
		_ = s.Serve(l)
	}()
	return s
}

// close ends it: what is under way has a moment for its last words.
func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.Shutdown(ctx)
	_ = s.Server.Close()
	<-s.ended
}

// api serves the routes.
func (u *Universe) api() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes() {
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { u.answer(w, r, rt) })
	}
	servePage(mux)
	return mux
}

func (u *Universe) answer(w http.ResponseWriter, r *http.Request, rt route) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !ownPage(r) {
		answerJSON(w, http.StatusForbidden, Problem{"this is for this machine, and not for pages of elsewhere"})
		return
	}
	if !rt.open && !u.mayAsk(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		answerJSON(w, http.StatusUnauthorized, Problem{"expected Authorization: Bearer TOKEN, with the token of the file " + u.place.token()})
		return
	}
	in, err := decode(w, r, rt.in, cmp.Or(rt.lenMax, requestLenMax))
	if err != nil {
		answerJSON(w, http.StatusBadRequest, Problem{taulive.Plainly(err)})
		return
	}
	begun := false
	out, err := rt.handle(r.Context(), u, in, func(line any) error {
		begun = true
		err := json.NewEncoder(w).Encode(line)
		return errors.Join(err, http.NewResponseController(w).Flush())
	})
	switch {
	case err != nil && begun: // the last line says why there are no more
		_ = json.NewEncoder(w).Encode(Problem{taulive.Plainly(err)})
	case err != nil:
		answerJSON(w, statusOf(err), Problem{taulive.Plainly(err)})
	case !rt.lines:
		answerJSON(w, http.StatusOK, out)
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v)
}

// here127 reports whether a host is this machine: a page of elsewhere may have a name that leads here.
func here127(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "localhost" || net.ParseIP(strings.Trim(name, "[]")).IsLoopback()
}

func (u *Universe) mayAsk(r *http.Request) bool {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return found && subtle.ConstantTimeCompare([]byte(token), []byte(u.token)) == 1
}

// decode reads a request.
func decode(w http.ResponseWriter, r *http.Request, t reflect.Type, lenMax int64) (any, error) {
	in := reflect.New(t)
	if r.Method == http.MethodPost && hasBody(t) {
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, lenMax))
		dec.DisallowUnknownFields()
		if err := dec.Decode(in.Interface()); err != nil {
			return nil, fmt.Errorf("expected JSON as the OpenAPI document says: %w", err)
		}
	}
	for i := range t.NumField() {
		field, value := t.Field(i), ""
		switch field.Tag.Get("in") {
		case "path":
			value = r.PathValue(jsonName(field))
		case "query":
			value = r.URL.Query().Get(jsonName(field))
		default:
			continue
		}
		if err := set(in.Elem().Field(i), value); err != nil {
			return nil, fmt.Errorf("%s: %w", jsonName(field), err)
		}
	}
	return in.Interface(), nil
}

func hasBody(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("in") == "" {
			return true
		}
	}
	return false
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func set(field reflect.Value, text string) error {
	if text == "" {
		return nil
	}
	switch field.Kind() {
	case reflect.Bool:
		is, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("expected true or false")
		}
		field.SetBool(is)
	default:
		field.SetString(text)
	}
	return nil
}

package substrate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/substrate/site"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport/httpstream"
)

// handler answers requests, each on a loop of its own.
type handler struct{ service *clock.Owned[*Service] }

// question is what an answer depends on.
type question struct {
	host, method, path, query, accepts string
	upgrades                           bool // to WebSocket
}

// answer is what a request is answered with: found in a turn of the service, and of one release.
type answer struct {
	load string
	// refused: nothing was done, and why.
	refused string
	// status is that of an answer in plain words, 0 if there is another.
	status int
	says   string
	allow  []string

	version string
	cold    bool
	// site says what of the website's files is answered; body is that file.
	site site.Answer
	body io.ReadSeeker
	// guest runs a function.
	guests  Guests
	guest   Guest
	target  *target
	place   *place
	closes  io.Closer
	counted bool
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	here := httpstream.Endpoint(r).Loop()
	defer func() { httpstream.Recovered(recover(), w, func(what string) { h.panicked(r, here, what) }) }()
	q := question{host: HostOf(r.Host), method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, accepts: strings.Join(r.Header["Accept-Encoding"], ","), upgrades: strings.EqualFold(r.Header.Get("Upgrade"), "websocket")}
	if r.Header.Get(substrateapi.HeaderKnock) != "" {
		h.knock(w, r, q.host)
		return
	}
	var a *answer
	err := h.service.Do(r.Context(), here, func(ctx context.Context, s **Service) { a = (*s).find(ctx, q) })
	defer h.done(r.Context(), here, &a)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	if a.guests != nil {
		a.head(w.Header())
		h.run(here, w, r, a)
		return
	}
	a.write(w, r)
}

// panicked tells operators that a request has made this handler panic.
func (h handler) panicked(r *http.Request, here clock.Loop, what string) {
	_ = h.service.With(context.WithoutCancel(r.Context()), here, func(s **Service) {
		(*s).env.Log.Error("a request made its handler panic", "host", HostOf(r.Host), "panic", what)
		(*s).env.Observe("request-panicked", node.F("host", HostOf(r.Host)))
	})
}

// knock says whether anybody serves a host.
func (h handler) knock(w http.ResponseWriter, r *http.Request, host string) {
	a := &answer{}
	word := substrateapi.KnockSomebody
	if h.service.With(r.Context(), httpstream.Endpoint(r).Loop(), func(s **Service) {
		refuses := (*s).refuses()
		switch {
		case (*s).table.Has(host):
		case refuses != "" && refuses != substrateapi.Busy: // who is busy knows all the same
			a.refused = refuses
		case (*s).startsFor(host):
			a.refused = substrateapi.Starting
		default:
			word = substrateapi.KnockNobody
		}
	}) != nil {
		panic(http.ErrAbortHandler)
	}
	if a.refused != "" {
		a.write(w, r)
		return
	}
	w.Header().Set(substrateapi.HeaderKnock, word)
	w.WriteHeader(http.StatusNoContent)
}

// done says that a request is over, also if its client is gone.
func (h handler) done(ctx context.Context, here clock.Loop, at **answer) {
	a := *at
	if a == nil {
		return
	}
	if a.closes != nil {
		_ = a.closes.Close()
	}
	if a.counted {
		place := a.place // nil: its function has ended
		_ = h.service.With(context.WithoutCancel(ctx), here, func(s **Service) { (*s).finished(place) })
	}
}

func (s *Service) finished(p *place) {
	if p != nil {
		s.places.leave(p)
	}
	if s.inFlight--; s.inFlight == 0 && s.draining {
		s.drained.opens()
	}
}

// HostOf is the name in a Host field: in lower case, without a port and without a dot at its end.
func HostOf(field string) string {
	host := field
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// startsFor reports whether it is not known yet if a host that nobody serves here has somebody.
func (s *Service) startsFor(host string) bool {
	return s.unread() > 0 || !s.owners.known && len(s.byHost[host]) > 0
}

// find says what answers a request. It may wait for assets.
func (s *Service) find(ctx context.Context, q question) *answer {
	a := &answer{load: fmt.Sprintf("%d/%d", s.inFlight, s.settings.RequestsMax)}
	if a.refused = s.refuses(); a.refused != "" {
		return a
	}
	s.inFlight++
	a.counted = true
	if err := beforeAnswer.Hit(ctx, s.env); err != nil {
		a.status, a.says = http.StatusInternalServerError, err.Error()
		return a
	}
	found, methods := s.table.Find(q.host, q.method, q.path)
	switch {
	case found == nil && len(methods) > 0:
		a.status, a.says, a.allow = http.StatusMethodNotAllowed, "this path takes "+strings.Join(methods, ", "), methods
	case found == nil && !s.table.Has(q.host) && s.startsFor(q.host):
		a.refused = substrateapi.Starting
	case found == nil && !s.table.Has(q.host):
		a.status, a.says = http.StatusNotFound, "no project serves "+q.host
	case found == nil:
		a.status, a.says = http.StatusNotFound, "nothing of this project has this path"
	case q.upgrades:
		a.status, a.says = http.StatusNotImplemented, "nothing here takes WebSockets yet: functions answer requests, also with server-sent events"
	case found.Value.website != nil:
		s.website(ctx, a, q, found.Value, found.Rest(q.path), found.Root(q.path))
	default:
		s.function(ctx, a, found.Value, found.Parameters(q.path))
	}
	return a
}

// website finds the file that a path means.
func (s *Service) website(ctx context.Context, a *answer, q question, t *target, rest string, root bool) {
	a.version = t.release.version.Commit
	if t.asset == nil {
		a.status, a.says = http.StatusNotFound, "nothing was built of this website: its folder is not in the commit"
		return
	}
	a.cold = t.release.bundle == nil || t.release.bundle.gone
	if err := s.load(ctx, t.release); err != nil {
		s.env.Log.Debug("assets are not here", "project", t.release.version.Project, "commit", a.version, "err", err)
		a.status, a.says = http.StatusServiceUnavailable, "the files of this website cannot be read now"
		return
	}
	base := strings.TrimSuffix(strings.TrimSuffix(q.path, rest), "/")
	if root && q.path != "/" && rest == "" && !strings.HasSuffix(q.path, "/") {
		a.site = site.Answer{Status: http.StatusMovedPermanently, Location: site.Escaped(q.path + "/")}
		return
	}
	a.site = t.site.Resolve(base, rest, q.query, q.accepts)
	if a.site.File == nil {
		return
	}
	content, err := s.open(t.release.bundle)
	if err != nil {
		a.status, a.says = http.StatusServiceUnavailable, "the files of this website cannot be read now"
		return
	}
	a.closes = content
	a.body = &section{from: content, base: t.asset.Offset + a.site.File.Offset, size: a.site.File.Size}
}

// head is what a gateway is told.
func (a *answer) head(h http.Header) {
	h.Set(substrateapi.HeaderLoad, a.load)
	if a.version != "" {
		h.Set(substrateapi.HeaderVersion, a.version)
	}
	if a.cold {
		h.Set(substrateapi.HeaderCold, "1")
	}
}

// write sends an answer. It is no part of the service's turn.
func (a *answer) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	a.head(h)
	switch {
	case a.refused != "":
		h.Set(substrateapi.HeaderRefused, a.refused)
		h.Set("Retry-After", "1")
		say(w, http.StatusServiceUnavailable, "this substrate is "+a.refused)
	case a.status != 0:
		if len(a.allow) > 0 {
			h.Set("Allow", strings.Join(a.allow, ", "))
		}
		if a.status == http.StatusServiceUnavailable {
			h.Set("Retry-After", "1")
		}
		say(w, a.status, a.says)
	case a.site.Location != "":
		h.Set("Location", a.site.Location)
		h.Set("Cache-Control", "public, max-age=0, must-revalidate")
		h.Set("Content-Length", "0")
		w.WriteHeader(a.site.Status)
	case a.site.Status == http.StatusNotAcceptable:
		h.Set("Vary", "Accept-Encoding")
		say(w, a.site.Status, "this file is there in no encoding that is accepted")
	case a.body == nil:
		say(w, http.StatusNotFound, "this website has no such file")
	default:
		a.file(w, r)
	}
}

// file sends a file, or the part of it that is wanted.
func (a *answer) file(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.site.Type)
	h.Set("Cache-Control", "public, max-age=0, must-revalidate")
	if a.site.Negotiated {
		h.Set("Vary", "Accept-Encoding")
	}
	for _, f := range a.site.Header {
		if strings.EqualFold(f.Name, "vary") && a.site.Negotiated {
			h.Add(f.Name, f.Value)
		} else {
			h.Set(f.Name, f.Value)
		}
	}
	if a.site.Encoding != "" {
		h.Set("Content-Encoding", a.site.Encoding)
	}
	if a.site.Status != http.StatusOK {
		h.Set("Content-Length", fmt.Sprint(a.site.File.Size))
		w.WriteHeader(a.site.Status)
		if r.Method != http.MethodHead {
			_, _ = io.Copy(w, a.body) // a length that is not reached resets the stream
		}
		return
	}
	h.Set("Etag", a.site.File.ETag)
	if wanted := r.Header.Get("Range"); wanted != "" {
		r.Header.Del("Range")
		if r.Method == http.MethodGet && len(r.Header["Range"]) == 0 {
			if one := site.Range(wanted, a.site.File.Size); one != "" {
				r.Header.Set("Range", one)
			}
		}
	}
	http.ServeContent(w, r, "", time.Time{}, a.body) // the ETag says all that a time would
}

// say is an answer in plain words.
func say(w http.ResponseWriter, status int, text string) {
	body := fmt.Sprintf("%d %s: %s\n", status, http.StatusText(status), text)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // nothing of it is sent for HEAD
}

// section is a part of a reader that seeks.
type section struct {
	from           io.ReadSeeker
	base, size, at int64
	placed         bool
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	if !s.placed {
		if _, err := s.from.Seek(s.base+s.at, io.SeekStart); err != nil {
			return 0, err
		}
		s.placed = true
	}
	n, err := s.from.Read(p[:min(int64(len(p)), s.size-s.at)])
	s.at += int64(n)
	if err == io.EOF && s.at < s.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Seek implements io.Seeker.
func (s *section) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("substrate: a place before the beginning")
	}
	s.at, s.placed = offset, false
	return offset, nil
}

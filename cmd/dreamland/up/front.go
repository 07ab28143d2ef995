package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	taulive "github.com/taucloud/tau/cmd/tau/live"
	claims "github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/substrate/substrateapi"
)

// localhost is the domain of which each machine takes all names for itself.
const localhost = ".localhost"

// production is the branch that is served at a project's own hosts.
const production = "main"

const (
	// believedFor is how long it counts what a project's live version was found to answer.
	believedFor = time.Second
	// believedMax bounds of how many branches that is kept.
	believedMax = 1024
	// servedWithin is how long the end of a push waits until the gateway answers with what was pushed.
	servedWithin = 10 * time.Second
	// dialWithin bounds the attempt to reach one gateway.
	dialWithin = 2 * time.Second
	// frontBodyMax bounds the plain answers of the front itself that are made of names, in bytes.
	frontBodyMax = 16 << 10
)

// front is where browsers ask: it hands requests to a gateway that runs, as any balancer before a cloud does. The names that it adds are
// those that people know: PROJECT.localhost is the project's first host, BRANCH.PROJECT.localhost that of another branch, and
// HOST.localhost is any HOST that a project claims. Other names are left as they are.
type front struct {
	u     *Universe
	proxy *httputil.ReverseProxy

	mu       sync.Mutex
	believed map[branchIn]belief
	last     []Request // of which the newest is the last
	number   int64
}

// Request is one that a browser has made.
type Request struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Host   string    `json:"host"`
	Path   string    `json:"path"` // without a query
	Status int       `json:"status"`
	// Took is until the end of the answer, in microseconds.
	Took  int64 `json:"took"`
	Bytes int64 `json:"bytes"`
	// Version is the commit that has answered, "" if none has.
	Version string `json:"version"`
}

const (
	// requestsKept bounds the requests that are remembered, requestTextMax the host and the path of each, in bytes.
	requestsKept   = 200
	requestTextMax = 300
)

// requests are the last ones, newest first.
func (f *front) requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Clone(f.last)
	slices.Reverse(list)
	return append([]Request{}, list...)
}

// keep remembers a request that is over.
func (f *front) keep(r Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	r.Number = f.number
	if len(f.last) == requestsKept {
		f.last = f.last[1:]
	}
	f.last = append(f.last, r)
}

// counted notes what is answered.
type counted struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap is for an http.ResponseController.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c *counted) WriteHeader(status int) {
	if status >= 200 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// belief is what the live version of a branch answers, as far as is known.
type belief struct {
	taulive.Claims
	at  time.Time
	err error
}

func newFront(u *Universe) *front {
	f := &front{u: u, believed: map[branchIn]belief{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = "http", "gateway" },
		Transport:     &http.Transport{DialContext: f.dial, MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second, DisableCompression: true},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(u.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if b, is := r.Context().Value(bodyKey{}).(*clientBody); is && b.broke.Load() {
				plainly(w, http.StatusBadRequest, "the body of the request broke off")
				return
			}
			if !errors.Is(err, errNoGateway) {
				u.log.Info("a gateway did not answer", slog.String("host", plainText(r.Host)), slog.String("error", err.Error()))
			}
			plainly(w, http.StatusBadGateway, errNoGateway.Error()+": dreamland status shows the nodes, dreamland start NODE starts one")
		},
	}
	return f
}

var errNoGateway = errors.New("no gateway of the universe answers")

// dial reaches the first gateway that takes a connection.
func (f *front) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	for _, m := range f.u.members {
		if m.Door == 0 {
			continue
		}
		within, cancel := context.WithTimeout(ctx, dialWithin)
		conn, err := new(net.Dialer).DialContext(within, "tcp", onLoopback(m.Door))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, errNoGateway
}

// plainly gives an answer of the front itself.
func plainly(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text[:min(len(text), frontBodyMax)]+"\n")
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	w, began := &counted{ResponseWriter: answer, status: http.StatusOK}, time.Now()
	is := Request{At: began.UTC(), Method: r.Method, Host: r.Host[:min(len(r.Host), requestTextMax)], Path: r.URL.Path[:min(len(r.URL.Path), requestTextMax)]}
	defer func() {
		is.Status, is.Bytes, is.Version, is.Took = w.status, w.bytes, w.Header().Get(substrateapi.HeaderVersion), time.Since(began).Microseconds()
		f.keep(is)
	}()
	host, status, why := f.host(r.Context(), r.Host)
	if why != "" {
		plainly(w, status, why)
		return
	}
	r.Host = host
	if r.Body != nil && r.Body != http.NoBody {
		b := &clientBody{ReadCloser: r.Body}
		r.Body = b
		r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, b))
	}
	f.proxy.ServeHTTP(w, r)
}

// clientBody is a body of which is known whether it broke off: that is no fault of a gateway.
type clientBody struct {
	io.ReadCloser
	broke atomic.Bool
}

type bodyKey struct{}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.broke.Store(true)
	}
	return n, err
}

// host is what a gateway knows a host by. why says what is wrong with it instead.
func (f *front) host(ctx context.Context, field string) (host string, status int, why string) {
	name := hostName(field)
	of, local := strings.CutSuffix(name, localhost)
	if name == localhost[1:] || net.ParseIP(name) != nil {
		return "", http.StatusNotFound, f.welcome()
	}
	if !local {
		return field, 0, ""
	}
	b, is := f.branch(ctx, of)
	switch {
	case !is && strings.Contains(of, "."):
		if strings.HasSuffix(name, ".tau"+localhost) { // as the cloud gives hosts
			return field, 0, ""
		}
		return of, 0, ""
	case !is:
		return "", http.StatusNotFound, "there is no project " + plainText(of) + " in universe " + f.u.place.name() + "\n" + f.welcome()
	}
	c, err := f.claims(ctx, b)
	switch {
	case isFailure(err):
		return "", http.StatusNotFound, fmt.Sprintf("nothing is published of project %s, branch %s: dreamland builds %[1]s shows what became of its pushes", b.Project, plainText(b.Branch))
	case err != nil:
		return "", http.StatusServiceUnavailable, "it cannot be found out now what is published: " + err.Error()
	case mainHost(c) == "":
		return "", http.StatusNotFound, fmt.Sprintf("project %s, branch %s, answers no requests: it has neither websites nor functions with paths", b.Project, plainText(b.Branch))
	}
	return mainHost(c), 0, ""
}

// hostName is the name in a Host field: in lower case, without a port.
func hostName(field string) string {
	name, _, err := net.SplitHostPort(field)
	if err != nil {
		name = field
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

// welcome lists what there is.
func (f *front) welcome() string {
	var b strings.Builder
	fmt.Fprintf(&b, "universe %s\n", f.u.place.name())
	for _, project := range f.u.forge.Projects() {
		fmt.Fprintf(&b, "  %s\n", f.u.url(project, production, nil))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// branch is the one that PROJECT or BRANCH.PROJECT means, of what has been pushed.
func (f *front) branch(ctx context.Context, of string) (b branchIn, is bool) {
	label, project, other := strings.Cut(of, ".")
	if !other {
		label, project = "", of
	}
	i := slices.IndexFunc(f.u.forge.Projects(), func(p string) bool { return labelOf(p) == project })
	if i < 0 {
		return b, false
	}
	b = branchIn{f.u.forge.Projects()[i], production}
	if !other {
		return b, true
	}
	list, err := f.u.forge.Refs(ctx, b.Project)
	if err != nil {
		return b, false
	}
	for name, own := range labels(list) {
		if own == label {
			b.Branch = name
			return b, true
		}
	}
	return b, false
}

// branchOf is the branch that a ref, as a forge lists it, is built as.
func branchOf(ref string) (branch string, is bool) {
	branch = strings.TrimPrefix(ref, forge.Snapshots)
	return branch, !strings.HasPrefix(branch, "refs/")
}

// claims are what the live version of a branch answers.
func (f *front) claims(ctx context.Context, b branchIn) (taulive.Claims, error) {
	f.mu.Lock()
	is, known := f.believed[b]
	f.mu.Unlock()
	if known && time.Since(is.at) < believedFor {
		return is.Claims, is.err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var c taulive.Claims
	err := f.u.ask(ctx, []string{"tns"}, "claims", nil, taulive.BranchRequest{Project: b.Project, Branch: b.Branch}, &c)
	if err != nil && !isFailure(err) {
		return c, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.believed) >= believedMax {
		clear(f.believed)
	}
	f.believed[b] = belief{c, time.Now(), err}
	return c, err
}

// forget lets the front ask again what is live of a branch.
func (f *front) forget(b branchIn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.believed, b)
}

// mainHost is where a version is shown: where it answers /, or else its first host; "" if it answers nothing.
func mainHost(c taulive.Claims) string {
	for _, claim := range c.Claims {
		if _, _, is := claims.Best(c.Claims, claim.Host, http.MethodGet, "/"); is {
			return claim.Host
		}
	}
	if len(c.Claims) == 0 {
		return ""
	}
	return c.Claims[0].Host
}

// served waits until a gateway answers with a commit, if that has a website to be asked for: asking a function would run it. It reports
// whether it does.
func (f *front) served(ctx context.Context, b branchIn, commit string) bool {
	ctx, cancel := context.WithTimeout(ctx, servedWithin)
	defer cancel()
	for {
		f.forget(b)
		if c, err := f.claims(ctx, b); err == nil {
			i := slices.IndexFunc(c.Claims, func(c claims.Claim) bool { return strings.Contains(c.Target, "websites/") })
			if i < 0 || c.Commit != commit {
				return c.Commit == commit
			}
			if f.answers(ctx, c.Claims[i].Host) == commit {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-f.u.over:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers is the version that a gateway answers with for a host, "" for none.
func (f *front) answers(ctx context.Context, host string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://gateway/", nil)
	if err != nil {
		return ""
	}
	r.Host = host
	resp, err := f.proxy.Transport.RoundTrip(r)
	if err != nil {
		return ""
	}
	_ = resp.Body.Close()
	return resp.Header.Get(substrateapi.HeaderVersion)
}

package ports

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/taucloud/tau/wasm/outbound"
)

// Where hosts of the simulated outside are. What is at addresses that are not public, nobody outside may see.
var outsideHosts = map[string]string{
	"api.outside.example":    "93.184.216.34",
	"inside.outside.example": "10.0.0.7",
	"turns.outside.example":  "169.254.169.254",
	"elsewhere.example":      "93.184.216.99",
}

// outsideRedirects is where paths of the outside's hosts lead.
var outsideRedirects = map[string]string{
	"/to-inside":    "http://inside.outside.example/",
	"/to-metadata":  "http://169.254.169.254/latest/meta-data/",
	"/to-turns":     "http://turns.outside.example/",
	"/to-elsewhere": "http://elsewhere.example/",
	"/to-itself":    "/",
}

// Secret is what answers at addresses that are not public.
const Secret = "a secret of the inside"

// outsideTook is how long an answer of the outside takes.
const outsideTook = 30 * time.Millisecond

// outside is the simulated one, of one request of a function. Its answers are there at once; how long they have taken is told afterwards, and then passes.
type outside struct {
	within, took time.Duration
	asked        []asked
}

// asked is a request that has come to the outside.
type asked struct{ host, address string }

// Within implements outbound.Outside.
func (o *outside) Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	o.within = d
	return ctx, func() {}
}

// Took implements sdk.Took.
func (o *outside) Took() (d time.Duration) {
	d, o.took = o.took, 0
	return d
}

// Addresses implements outbound.Outside.
func (o *outside) Addresses(_ context.Context, name string) ([]netip.Addr, error) {
	o.took += outsideTook
	if a, is := outsideHosts[name]; is {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, errors.New("no such host")
}

// Records implements outbound.Outside.
func (o *outside) Records(context.Context, outbound.Kind, string) ([]string, error) {
	o.took += outsideTook
	return nil, errors.New("no such host")
}

// Send implements outbound.Outside.
func (o *outside) Send(to netip.AddrPort, r *http.Request, _ int64) (*http.Response, error) {
	o.took += outsideTook
	o.asked = append(o.asked, asked{r.URL.Hostname(), to.Addr().String()})
	response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
	text := "hello from " + r.URL.Host
	switch next, leads := outsideRedirects[r.URL.Path]; {
	case outbound.Public(to.Addr()) != nil:
		text = Secret
	case r.URL.Path == "/slow":
		o.took += o.within
		return nil, context.DeadlineExceeded
	case leads:
		response.StatusCode, text = http.StatusFound, ""
		response.Header.Set("Location", next)
	}
	response.Body = io.NopCloser(strings.NewReader(text))
	return response, nil
}

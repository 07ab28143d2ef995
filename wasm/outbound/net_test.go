package outbound

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// near is a Net that plays that servers of the test are at public addresses.
type near struct {
	Resolver
	at     map[string]string // by address and port of the internet: where the test has it
	dialed []string
}

func (n *near) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	switch host {
	case "api.example.com.":
		return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
	case "dead.example.com.": // at one address nobody answers
		return []netip.Addr{netip.MustParseAddr("93.184.216.99"), netip.MustParseAddr("93.184.216.34")}, nil
	case "turns.example.com.":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (n *near) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.dialed = append(n.dialed, address)
	to, is := n.at[address]
	if !is {
		return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("nobody is at %s", address)}
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// TestNet: requests to real servers, over sockets, with and without TLS. That these are near, only the test's own resolver and dialer hide.
func TestNet(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/inside":
			http.Redirect(w, r, "http://turns.example.com/", http.StatusFound)
		case "/slow":
			_, _ = io.ReadAll(r.Body) // or it would not hear that the client has gone
			<-r.Context().Done()
		case "/head":
			w.Header().Set("X-Long", strings.Repeat("x", 100<<10))
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.Header.Get("X-Own"), body)
		}
	})
	plainly, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plainly.Close)
	t.Cleanup(secure.Close)
	n := &near{at: map[string]string{"93.184.216.34:80": plainly.Listener.Addr().String(), "93.184.216.34:8443": secure.Listener.Addr().String()}}
	transport, is := secure.Client().Transport.(*http.Transport)
	require.True(t, is)
	outside := &Net{Resolver: n, Dial: n.dial, Roots: transport.TLSClientConfig.RootCAs}
	l, err := Parse([]string{"*.example.com", "api.example.com:8443", "127.0.0.1"})
	require.NoError(t, err)
	do := func(url string) (*Response, error) {
		c := &Client{Outside: outside, Allow: l, Limits: DefaultLimits()}
		if strings.HasSuffix(url, "/slow") {
			c.Limits.Time = 50 * time.Millisecond
		}
		return c.Do(t.Context(), Request{Method: "POST", URL: url, Header: http.Header{"X-Own": {"mine"}}, Body: []byte("body")})
	}
	for _, url := range []string{"http://api.example.com/", "https://api.example.com:8443/", "http://dead.example.com/"} {
		got, err := do(url)
		require.NoError(t, err, url)
		host := strings.Split(url, "/")[2]
		require.Equal(t, "POST "+host+" mine body", string(got.Body))
	}
	for url, says := range map[string]string{
		"http://turns.example.com/":                        "not public",
		"http://api.example.com/inside":                    "not public",
		"http://api.example.com/slow":                      "too long",
		"http://api.example.com/head":                      "exceeded",
		"http://nobody.example.com/":                       "no such host",
		"http://api.example.com:8443/":                     "400",
		"http://" + plainly.Listener.Addr().String() + "/": "not in the function's list",
	} {
		got, err := do(url)
		if says == "400" { // a server that speaks TLS was asked without
			require.NoError(t, err)
			require.Equal(t, 400, got.Status)
			continue
		}
		require.ErrorContains(t, err, says, url)
	}
	for _, a := range n.dialed {
		require.True(t, strings.HasPrefix(a, "93.184.216."), "%s was dialled", a)
	}
	// Without a test's dialer, an address that is not public is refused once more, whoever has let it through.
	r, err := http.NewRequestWithContext(t.Context(), "GET", plainly.URL, nil)
	require.NoError(t, err)
	_, err = (&Net{}).Send(netip.MustParseAddrPort(plainly.Listener.Addr().String()), r, 1<<10)
	require.ErrorContains(t, err, "not a public address")
}

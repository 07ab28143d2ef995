package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPublic: whoever is near is not outside, in whatever form his address comes.
func TestPublic(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.168.1.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"168.63.129.16", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "100::1", "fc00::1", "fd00:ec2::254",
		"fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "4000::1",
	} {
		require.Error(t, Public(netip.MustParseAddr(text)), text)
	}
	require.Error(t, Public(netip.Addr{}))
	for _, text := range []string{"1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888"} {
		require.NoError(t, Public(netip.MustParseAddr(text)), text)
	}
}

// FuzzPublic: what Go's own words call private is not public, for each of four bytes and for IPv6 around them.
func FuzzPublic(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("::ffff:10.0.0.1").AsSlice())
	f.Add(netip.MustParseAddr("fe80::1").AsSlice())
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, is := netip.AddrFromSlice(raw)
		if !is {
			return
		}
		own := a.Unmap()
		if own.IsPrivate() || own.IsLoopback() || own.IsMulticast() || own.IsUnspecified() || own.IsLinkLocalUnicast() || own.IsInterfaceLocalMulticast() || !own.IsGlobalUnicast() {
			require.Error(t, Public(a), a.String())
		}
	})
}

// TestList: hosts, names below them, ports, addresses.
func TestList(t *testing.T) {
	l, err := Parse([]string{"api.example.com", "*.shop.example", "deep.example.org:8443", "93.184.216.34", "[2606:4700::1111]:8080"})
	require.NoError(t, err)
	for where, allowed := range map[string]bool{
		"api.example.com 443": true, "api.example.com 80": true, "api.example.com 8080": false, "www.api.example.com 443": false, "example.com 443": false,
		"a.shop.example 443": true, "a.b.shop.example 80": true, "shop.example 443": false, "xshop.example 443": false, "deep.example.org 8443": true, "deep.example.org 443": false,
		"93.184.216.34 443": true, "93.184.216.35 443": false, "2606:4700::1111 8080": true, "2606:4700::1111 443": false,
	} {
		host, port, _ := strings.Cut(where, " ")
		var n uint16
		_, err := fmt.Sscan(port, &n)
		require.NoError(t, err)
		require.Equal(t, allowed, l.Allows(host, n), where)
		require.False(t, List(nil).Allows(host, n))
	}
	all, err := Parse([]string{"*:8080"})
	require.NoError(t, err)
	require.True(t, all.Allows("what.ever", 8080))
	require.False(t, all.Allows("what.ever", 443))
	for _, bad := range []string{"", "localhost", "*.", "a..b", "a b.c", "api.example.com:0", "api.example.com:70000", "api.example.com:http", "https://a.b", "*.1.1.1.1", "a.*.b", "ex\u00e4mple.com", "127.1", "0x7f.0x1", "fe80::1%eth0"} {
		_, err := Parse([]string{bad})
		require.Error(t, err, bad)
	}
}

// fake is an outside of a few hosts; nothing of it takes time.
type fake struct {
	names map[string][]string
	// answers are by "host/path": a status, and a Location or a body.
	answers map[string]answer
	asked   []string
}

type answer struct {
	status   int
	location string
	body     string
	header   http.Header
	err      error
}

func (f *fake) Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	f.asked = append(f.asked, "within "+d.String())
	return context.WithCancel(ctx)
}

func (f *fake) Addresses(_ context.Context, name string) (list []netip.Addr, err error) {
	for _, a := range f.names[name] {
		list = append(list, netip.MustParseAddr(a))
	}
	return list, nil
}

func (f *fake) Records(_ context.Context, kind Kind, name string) ([]string, error) {
	return []string{string(kind) + " of " + name, strings.Repeat("x", 100_000)}, nil
}

func (f *fake) Send(to netip.AddrPort, r *http.Request, _ int64) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	f.asked = append(f.asked, fmt.Sprintf("%s %s %s %q %v", to, r.Method, r.URL, body, r.Header))
	a, found := f.answers[r.URL.Host+r.URL.Path]
	if a.err != nil {
		return nil, a.err
	}
	if !found {
		a.status = 404
	}
	h := a.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func client(t *testing.T, f *fake, allowed ...string) *Client {
	l, err := Parse(allowed)
	require.NoError(t, err)
	return &Client{Outside: f, Allow: l, Limits: DefaultLimits()}
}

func world() *fake {
	return &fake{names: map[string][]string{
		"api.example.com": {"93.184.216.34"}, "other.example.com": {"93.184.216.35"}, "inside.example.com": {"10.0.0.7"}, "both.example.com": {"93.184.216.36", "127.0.0.1"},
		"meta.example.com": {"169.254.169.254"}, "mapped.example.com": {"::ffff:10.1.1.1"},
	}, answers: map[string]answer{
		"api.example.com/":          {status: 200, body: "hello"},
		"api.example.com/inside":    {status: 302, location: "http://inside.example.com/"},
		"api.example.com/meta":      {status: 302, location: "http://169.254.169.254/latest/meta-data/"},
		"api.example.com/name":      {status: 307, location: "http://meta.example.com/"},
		"api.example.com/file":      {status: 302, location: "file:///etc/passwd"},
		"api.example.com/elsewhere": {status: 302, location: "http://evil.example.net/"},
		"api.example.com/port":      {status: 302, location: "http://api.example.com:22/"},
		"api.example.com/round":     {status: 302, location: "/round"},
		"api.example.com/other":     {status: 307, location: "http://other.example.com/"},
		"api.example.com/get":       {status: 303, location: "/"},
		"other.example.com/":        {status: 201, body: "other"},
	}}
}

// TestWhereRequestsGo: what is not allowed or not public is not connected to, whether it is named, resolved or redirected to.
func TestWhereRequestsGo(t *testing.T) {
	for url, says := range map[string]string{
		"http://evil.example.net/":                  "not in the function's list",
		"http://api.example.com:22/":                "at port 22 is not in the function's list",
		"http://inside.example.com/":                "not public",
		"http://both.example.com/":                  "not public",
		"http://mapped.example.com/":                "not public",
		"http://127.0.0.1/":                         "not a public",
		"http://[::1]/":                             "not a public",
		"http://[::ffff:a00:1]/":                    "not a public",
		"http://[fe80::1%25eth0]/":                  "interface",
		"http://2130706433/":                        "not the name of a host",
		"http://0x7f.0.0.0x1/":                      "form that is not taken",
		"http://127.1/":                             "form that is not taken",
		"http://localhost/":                         "not the name of a host",
		"http://api.example.com@inside.example.com": "without a user",
		"ftp://api.example.com/":                    "only http and https",
		"file:///etc/passwd":                        "only http and https",
		"http:api.example.com":                      "only http and https",
		"http://api.example.com/inside":             "not public",
		"http://api.example.com/meta":               "not a public",
		"http://api.example.com/name":               "not public",
		"http://api.example.com/file":               "only http and https",
		"http://api.example.com/elsewhere":          "not in the function's list",
		"http://api.example.com/port":               "at port 22 is not in",
		"http://api.example.com/round":              "more than 5 times",
		"http://%zz/":                               "no URL",
		"":                                          "only http",
	} {
		f := world()
		allowed := []string{"*.example.com", "*.example.com:8080", "127.0.0.1", "169.254.169.254", "[::1]", "10.0.0.1"}
		_, err := client(t, f, allowed...).Do(t.Context(), Request{Method: "GET", URL: url})
		require.True(t, IsRefusal(err), "%s: %v", url, err)
		require.ErrorContains(t, err, says, url)
		for _, a := range f.asked {
			require.True(t, strings.HasPrefix(a, "93.184.216.34:80 ") || strings.HasPrefix(a, "within"), "%s has led to %s", url, a)
		}
	}
	f := world()
	_, err := client(t, f).Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/"})
	require.ErrorContains(t, err, "not in the function's list", "nothing is allowed that nobody has allowed")
	require.Len(t, f.asked, 1)
	_, err = (&Client{Limits: DefaultLimits()}).Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/"})
	require.ErrorContains(t, err, "lets no function out")
}

// TestWhatIsSent: a guest says what is asked, and nothing about the connection; what is for one host goes to no other one.
func TestWhatIsSent(t *testing.T) {
	f := world()
	c := client(t, f, "*.example.com")
	h := http.Header{"Authorization": {"secret"}, "X-Own": {"a", "b"}, "Host": {"inside"}, "Connection": {"close"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"1"}, "X-Forwarded-For": {"1.1.1.1"}, "Cdn-Loop": {"none"}}
	got, err := c.Do(t.Context(), Request{Method: "POST", URL: "http://api.example.com/other", Header: h, Body: []byte("body")})
	require.NoError(t, err)
	require.Equal(t, 201, got.Status)
	require.Equal(t, "other", string(got.Body))
	require.Equal(t, []string{
		"within 10s",
		`93.184.216.34:80 POST http://api.example.com/other "body" map[Authorization:[secret] Cdn-Loop:[tau] User-Agent:[tau-function] X-Own:[a b]]`,
		`93.184.216.35:80 POST http://other.example.com/ "body" map[Cdn-Loop:[tau] User-Agent:[tau-function] X-Own:[a b]]`,
	}, f.asked)
	require.Equal(t, "secret", h.Get("Authorization"), "the guest's own fields are as they were")
	f.asked = nil
	_, err = c.Do(t.Context(), Request{Method: "POST", URL: "http://api.example.com/get", Header: http.Header{"Authorization": {"secret"}, "Content-Type": {"text/plain"}}, Body: []byte("body")})
	require.NoError(t, err)
	require.Contains(t, f.asked[2], `GET http://api.example.com/ "" map[Authorization:[secret] Cdn-Loop:[tau] User-Agent:[tau-function]]`)
	for _, bad := range []Request{
		{Method: "GET", URL: "http://api.example.com/", Header: http.Header{"A\r\nB": {"x"}}}, {Method: "GET", URL: "http://api.example.com/", Header: http.Header{"A": {"x\r\nHost: b"}}},
		{Method: "GE T", URL: "http://api.example.com/"},
	} {
		f.asked = nil
		_, err := c.Do(t.Context(), bad)
		require.True(t, IsRefusal(err), "%v", err)
		require.LessOrEqual(t, len(f.asked), 1)
	}
}

// TestLimits of what a guest may cause outside, and of what comes back.
func TestLimits(t *testing.T) {
	f := world()
	f.answers["api.example.com/long"] = answer{status: 200, body: strings.Repeat("x", 101)}
	c := client(t, f, "*.example.com")
	c.Limits.BodyMax, c.Limits.Calls = 100, 5
	c.Left = func() time.Duration { return 2 * time.Second }
	_, err := c.Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/long"})
	require.ErrorContains(t, err, "longer than 100 bytes")
	require.Equal(t, "within 2s", f.asked[0], "no call takes longer than the function may")
	_, err = c.Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/round"})
	require.ErrorContains(t, err, "more than 5 calls for one request", "redirects count")
	_, err = c.Records(t.Context(), TXT, "api.example.com")
	require.ErrorContains(t, err, "more than 5 calls", "and so do questions")
	c = client(t, f, "*.example.com")
	c.Loop = "tau, tau,tau"
	_, err = c.Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/"})
	require.NoError(t, err)
	require.Contains(t, f.asked[len(f.asked)-1], "Cdn-Loop:[tau, tau,tau, tau]")
	c.Loop = "tau, tau,tau, tau"
	_, err = c.Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/"})
	require.ErrorContains(t, err, "goes round")
}

// TestRecords: questions are answered by the same rules.
func TestRecords(t *testing.T) {
	c := client(t, world(), "*.example.com", "93.184.216.34", "10.0.0.1")
	got, err := c.Records(t.Context(), TXT, "API.example.com.")
	require.NoError(t, err)
	require.Equal(t, "TXT of api.example.com", got[0])
	require.Len(t, got[1], c.Limits.AnswerLenMax)
	got, err = c.Records(t.Context(), PTR, "93.184.216.34")
	require.NoError(t, err)
	require.Equal(t, "PTR of 93.184.216.34", got[0])
	for _, q := range [][2]string{{"TXT", "example.net"}, {"TXT", "localhost"}, {"PTR", "93.184.216.35"}, {"PTR", "10.0.0.1"}, {"PTR", "api.example.com"}, {"MX", "93.184.216.34"}} {
		_, err := c.Records(t.Context(), Kind(q[0]), q[1])
		require.True(t, IsRefusal(err), "%v: %v", q, err)
	}
}

// TestErrorsTellNothingOfTheNode: a function's log does not say where the node's name server is.
func TestErrorsTellNothingOfTheNode(t *testing.T) {
	f := world()
	f.answers["api.example.com/"] = answer{err: &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 99)}, Err: errors.New("reset")}}
	_, err := client(t, f, "*.example.com").Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/"})
	require.EqualError(t, err, "outbound: api.example.com: read: reset")
	require.NotContains(t, plain(&net.DNSError{Err: "no such host", Name: "x", Server: "10.0.0.53:53"}).Error(), "10.0.0.53")
}

// FuzzHost: a host has one form, and an address no other one than that in which it is printed: what a resolver might take for an address is no name.
func FuzzHost(f *testing.F) {
	for _, text := range []string{"Example.COM.", "127.1", "0x7f.1", "1.2.3.4", "::ffff:1.2.3.4", "a.0177", "xn--bcher-kva.example", "a.1e1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := Host(text)
		if err != nil {
			return
		}
		again, err := Host(host)
		require.NoError(t, err)
		require.Equal(t, host, again)
		if a, err := netip.ParseAddr(host); err == nil {
			require.Equal(t, a.Unmap().String(), host)
			return
		}
		last := host[strings.LastIndexByte(host, '.')+1:]
		require.NotEqual(t, "", strings.Trim(last, "0123456789"), "the last label is a number: %s", host)
	})
}

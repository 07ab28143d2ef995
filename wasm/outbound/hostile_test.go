package outbound

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// endless is an outside that answers with a body which has no end, and counts what is read of it.
type endless struct {
	*fake
	read int64
}

// Send implements Outside.
func (e *endless) Send(netip.AddrPort, *http.Request, int64) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(e)}, nil
}

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	if e.read += int64(len(p)); e.read > 64<<20 {
		return 0, io.ErrUnexpectedEOF // who comes here has a test that fails, and not one that takes all memory
	}
	return len(p), nil
}

// TestEndlessBodies: of a body that has no end no more is read than a function may have.
func TestEndlessBodies(t *testing.T) {
	e := &endless{fake: world()}
	c := client(t, e.fake, "*.example.com")
	c.Outside = e
	_, err := c.Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/"})
	require.ErrorContains(t, err, "is longer than")
	require.LessOrEqual(t, e.read, 2*c.Limits.BodyMax)
}

// TestFieldsOfTheConnection: those that are about the connection, or say of the cloud what only it may say, are not a guest's to send.
func TestFieldsOfTheConnection(t *testing.T) {
	f := world()
	c := client(t, f, "*.example.com")
	h := http.Header{"X-Own": {"a"}}
	for _, name := range []string{"Host", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Content-Length", "Expect", "Cdn-Loop", "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		h[name] = []string{"mine"}
	}
	_, err := c.Do(t.Context(), Request{Method: "GET", URL: "http://api.example.com/", Header: h})
	require.NoError(t, err)
	require.Equal(t, `93.184.216.34:80 GET http://api.example.com/ "" map[Cdn-Loop:[tau] User-Agent:[tau-function] X-Own:[a]]`, f.asked[1])
}

// TestSecretsStayEncrypted: what is for one host goes to nobody else, and not to the same host for all to read.
func TestSecretsStayEncrypted(t *testing.T) {
	f := world()
	f.answers["api.example.com/down"] = answer{status: 302, location: "http://api.example.com/"}
	f.answers["api.example.com/port"] = answer{status: 302, location: "https://api.example.com:8443/"}
	c := client(t, f, "*.example.com", "api.example.com:8443")
	for _, path := range []string{"down", "port"} {
		f.asked = nil
		_, err := c.Do(t.Context(), Request{Method: "GET", URL: "https://api.example.com/" + path, Header: http.Header{"Cookie": {"secret"}, "Authorization": {"secret"}}})
		require.NoError(t, err)
		require.Contains(t, f.asked[1], "secret")
		require.NotContains(t, f.asked[2], "secret", path)
	}
}

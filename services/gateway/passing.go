package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
)

// hostOf is the name in a Host field: in lower case, without a port and without a dot at its end.
func hostOf(field string) string {
	host := field
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// idOf is the name that a client has given its request, "" if that is none for a log.
func idOf(text string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r == '-' || r == '_' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z')
	}
	if len(text) > 64 || strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) >= 0 {
		return ""
	}
	return text
}

// hopByHop are fields that are about one connection.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// passOn removes what is about one connection, or this cloud's own, from a header.
func passOn(h http.Header) {
	for _, field := range h["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
	for name := range h {
		if strings.HasPrefix(name, substrateapi.HeaderPrefix) {
			delete(h, name)
		}
	}
}

// trails reports whether a field may be a trailer that is passed on.
func trails(name string) bool {
	return !slices.Contains(hopByHop, name) && !strings.HasPrefix(name, substrateapi.HeaderPrefix) && !slices.Contains([]string{
		"Content-Length", "Host", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", gatewayapi.HeaderRequestID}, name)
}

// upgradeOf is the protocol to which a client wants to change, "" if to none that may be passed on. HTTP/2 is spoken by the door itself, with who knows
// that it is.
func upgradeOf(h http.Header) string {
	to := h.Get("Upgrade")
	asks := false
	for _, field := range h["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			asks = asks || strings.EqualFold(strings.TrimSpace(name), "upgrade")
		}
	}
	if !asks || strings.EqualFold(to, "h2c") {
		return ""
	}
	return to
}

// addressOf is where a request comes from: an address, or a member.
func addressOf(r *http.Request) string {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().Unmap().String()
	}
	return r.RemoteAddr
}

// outgoing is the request as the substrate gets it.
func (x *exchange) outgoing(ctx context.Context) *http.Request {
	r := x.r.Clone(ctx)
	upgrade := upgradeOf(r.Header)
	passOn(r.Header)
	if upgrade != "" {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", upgrade)
	}
	r.Header.Del("Expect") // it was answered here
	from := "unknown"
	if at, err := netip.ParseAddrPort(x.r.RemoteAddr); err == nil {
		if from = addressOf(x.r); at.Addr().Unmap().Is6() {
			from = `"[` + from + `]"`
		}
	}
	proto := "http"
	if x.r.TLS != nil {
		proto = "https"
	}
	// What a client says of itself here is not believed.
	r.Header.Set("Forwarded", fmt.Sprintf("for=%s;host=%q;proto=%s", from, x.r.Host, proto))
	r.Header.Set("X-Forwarded-For", strings.Trim(from, `"[]`))
	r.Header.Set("X-Forwarded-Host", x.r.Host)
	r.Header.Set("X-Forwarded-Proto", proto)
	r.Header.Set(gatewayapi.HeaderRequestID, x.id)
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "") // and not net/http's own
	}
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", x.r.Host, ""
	r.Body, r.Trailer, r.TransferEncoding, r.Close = nil, nil, nil, false
	if x.body != nil {
		r.Body, r.Trailer = x.body.next(), x.body.trailer
	}
	return r
}

// loadOf reads "3/256".
func loadOf(text string) float64 {
	a, b, _ := strings.Cut(text, "/")
	has, err := strconv.Atoi(a)
	most, err2 := strconv.Atoi(b)
	if err != nil || err2 != nil || has < 0 || most <= 0 {
		return 0
	}
	return min(1, float64(has)/float64(most))
}

// smallBody is up to which length the body of a request is kept, in bytes: so it can be sent once more where a substrate
// has refused the request.
const smallBody = 64 << 10

// body is the body of a request. One that is not kept is sent once.
type body struct {
	from    io.Reader
	left    int64
	kept    []byte // nil: it is passed on as it comes
	begun   bool
	tooLong bool
	err     error
	over    func() // it has come, or never will
	// trailer has its trailers when it has come; until then their names, of which there are some.
	trailer http.Header
	trails  http.Header // the client's
}

// keep reads all of a body whose length is known.
func (b *body) keep() bool {
	_, err := io.ReadFull(b.from, b.kept)
	return err == nil
}

// next is the body for a substrate. To close it does not end the client's.
func (b *body) next() io.ReadCloser {
	if b.kept != nil {
		return io.NopCloser(bytes.NewReader(b.kept))
	}
	return io.NopCloser(b)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.begun = true
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.tooLong = true
		return 0, errors.New("gateway: the body is too long")
	}
	if err != nil {
		b.over()
		for name := range b.trailer {
			b.trailer[name] = b.trails[name]
		}
		if !errors.Is(err, io.EOF) {
			b.err = err
		}
	}
	return n, err
}

package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
)

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
	passOn(r.Header)
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
	r.Body, r.TransferEncoding, r.Close = nil, nil, false
	if x.body != nil {
		r.Body = x.body.next()
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
		if !errors.Is(err, io.EOF) {
			b.err = err
		}
	}
	return n, err
}

package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Net is the real outside. Each request has a connection of its own, with HTTP/1.1, which no other one uses. The zero value is the machine's
// network; its fields are for tests, in which somebody near plays one who is far away.
type Net struct {
	// Resolver resolves names; nil: the system's.
	Resolver Resolver
	// Dial connects to an address; nil: over the machine's network, and never to an address that is not public.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are who signs certificates of servers; nil: whom the system trusts.
	Roots *x509.CertPool
}

// Resolver is what is asked of a net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

func (n *Net) resolver() Resolver {
	if n.Resolver != nil {
		return n.Resolver
	}
	return net.DefaultResolver
}

// Within implements Outside.
func (n *Net) Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// absolute is a name that is not tried below the domains of this machine.
func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// Addresses implements Outside.
func (n *Net) Addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	return n.resolver().LookupNetIP(ctx, "ip", absolute(name))
}

// Records implements Outside.
func (n *Net) Records(ctx context.Context, kind Kind, name string) ([]string, error) {
	switch kind {
	case TXT:
		return n.resolver().LookupTXT(ctx, absolute(name))
	case PTR:
		return n.resolver().LookupAddr(ctx, name)
	case CNAME:
		canonical, err := n.resolver().LookupCNAME(ctx, absolute(name))
		return []string{canonical}, err
	case MX:
		found, err := n.resolver().LookupMX(ctx, absolute(name))
		var list []string
		for _, mx := range found {
			list = append(list, mx.Host+" "+strconv.Itoa(int(mx.Pref)))
		}
		return list, err
	}
	return nil, errors.New("records of a kind that is not asked for")
}

// Send implements Outside.
func (n *Net) Send(to netip.AddrPort, r *http.Request, headMax int64) (*http.Response, error) {
	t := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return n.dial(ctx, to) },
		TLSClientConfig: &tls.Config{RootCAs: n.Roots, MinVersion: tls.VersionTLS12},
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{}, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: headMax,
	}
	return t.RoundTrip(r)
}

func (n *Net) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dial := n.Dial
	if dial == nil {
		dial = (&net.Dialer{Control: public}).DialContext
	}
	return dial(ctx, "tcp", to.String())
}

// public is the last look at an address, before it is connected to.
func public(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return Public(to.Addr())
}

// IsUnreachable reports whether nothing was sent, as nobody could be connected to.
func IsUnreachable(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

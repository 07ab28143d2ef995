package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/wasm/outbound"
)

// lookTimeout bounds each look at a host.
const lookTimeout = 5 * time.Second

// look looks at hosts by the resolver of the machine, and at pages of the Internet alone: whoever says that a host is his must not have this
// node ask its own neighbours.
type look struct {
	loop clock.Loop
	http *http.Client
}

func newLook(env node.Env) auth.Look { return newLookOf(env, outbound.Public) }

func newLookOf(env node.Env, allowed func(address netip.Addr) error) *look {
	dialer := &net.Dialer{Timeout: lookTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return allowed(at.Addr())
	}}
	return &look{env.Loop, &http.Client{
		Timeout: lookTimeout, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// TXT implements auth.Look.
func (l *look) TXT(ctx context.Context, name string) (texts []string, err error) {
	left := clock.Offload(ctx, l.loop, func() {
		within, cancel := context.WithTimeout(context.Background(), lookTimeout)
		defer cancel()
		texts, err = net.DefaultResolver.LookupTXT(within, name)
	})
	var dns *net.DNSError
	switch {
	case left != nil:
		return nil, left
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil, nil
	case errors.As(err, &dns):
		return nil, errors.New(dns.Err)
	}
	return texts, err
}

// Page implements auth.Look.
func (l *look) Page(ctx context.Context, address string) (page []byte, err error) {
	if left := clock.Offload(ctx, l.loop, func() { page, err = l.page(address) }); left != nil {
		return nil, left
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the address
	}
	return page, err
}

func (l *look) page(address string) ([]byte, error) {
	resp, err := l.http.Get(address)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, auth.LookLenMax))
}

// Package outbound lets a program that nobody trusts send HTTP requests and ask for DNS records: to hosts that somebody has
// allowed it (List), at addresses that are public (Public), within Limits.
//
// Both are looked at for each request and again for each redirect, the address after the name was resolved: what is
// connected to is the address that was looked at. How bytes come to an address is an Outside's business: Net is the real one.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Outside is what lies beyond: names, and addresses that answer. Its methods end with their context.
type Outside interface {
	// Within bounds a context in time.
	Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Addresses are those of a name.
	Addresses(ctx context.Context, name string) ([]netip.Addr, error)
	// Records are those of a name, one of the kinds below.
	Records(ctx context.Context, kind Kind, name string) ([]string, error)
	// Send sends a request to an address, whatever its URL resolves to, with the context of the request. It follows no redirects, and reads of the
	// response's head at most so many bytes.
	Send(to netip.AddrPort, r *http.Request, headMax int64) (*http.Response, error)
}

// Kind is one of DNS records.
type Kind string

// The kinds of records that can be asked for: texts, the names of an address, the canonical name, and who takes mail, as "host preference".
const (
	TXT   Kind = "TXT"
	PTR   Kind = "PTR"
	CNAME Kind = "CNAME"
	MX    Kind = "MX"
)

// Limits of one client, which is that of one call of a guest.
type Limits struct {
	// Calls is how many requests are sent, those after redirects included, and how many names are asked for, all together.
	Calls int
	// Redirects is how many are followed of one request.
	Redirects int
	// Time bounds a request with all its redirects, or a question.
	Time time.Duration
	// BodyMax bounds a response's body, HeadMax its head, in bytes.
	BodyMax, HeadMax int64
	// AnswersMax is how many records of one name are taken, each of at most AnswerLenMax bytes.
	AnswersMax, AnswerLenMax int
	// LoopMax is how often a request may have left a cloud for one already.
	LoopMax int
}

// DefaultLimits are some calls for each request.
func DefaultLimits() Limits {
	return Limits{Calls: 16, Redirects: 5, Time: 10 * time.Second, BodyMax: 4 << 20, HeadMax: 64 << 10, AnswersMax: 64, AnswerLenMax: 4 << 10, LoopMax: 3}
}

// Client is one guest's, for one of its calls. It is not for concurrent use.
type Client struct {
	Outside Outside
	Allow   List
	Limits  Limits
	// Left is how long the guest may still run; nil: longer than any limit.
	Left func() time.Duration
	// Loop is the field CDN-Loop of the request that the guest answers.
	Loop string

	calls int
}

// Refusal says why something is not sent: it is not allowed, or beyond a bound. Anything else is the outside's failure.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return "outbound: " + r.Text }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// IsRefusal reports whether an error is one.
func IsRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// spend counts a call.
func (c *Client) spend() error {
	if c.Outside == nil {
		return refuse("this node lets no function out")
	}
	if c.calls++; c.calls > c.Limits.Calls {
		return refuse("more than %d calls for one request", c.Limits.Calls)
	}
	return nil
}

func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	d := c.Limits.Time
	if c.Left != nil {
		d = min(d, c.Left())
	}
	return c.Outside.Within(ctx, d)
}

// addresses are those of a host that is allowed: an address, or a name that is resolved. One that is not public refuses them all: such a name
// leads, at times, to where nobody is to come.
func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if err := Public(a); err != nil {
			return nil, err
		}
		return []netip.Addr{a.Unmap()}, nil
	}
	found, err := c.Outside.Addresses(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("outbound: addresses of %s: %w", host, plain(err))
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("outbound: %s has no address", host)
	}
	for i, a := range found {
		if err := Public(a); err != nil {
			return nil, refuse("%s is at an address that is not public", host)
		}
		found[i] = a.Unmap()
	}
	return found[:min(len(found), c.Limits.AnswersMax)], nil
}

// Records are those of a name that is allowed, or, of kind PTR, the names of a public address that is.
func (c *Client) Records(ctx context.Context, kind Kind, name string) ([]string, error) {
	host, err := Host(name)
	if err != nil {
		return nil, err
	}
	if !c.Allow.names(host) {
		return nil, refuse("%s is not in the function's list of outbound hosts", host)
	}
	if err := c.spend(); err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); (err == nil) != (kind == PTR) {
		return nil, refuse("%s has no %s records", host, kind)
	} else if err == nil {
		if err := Public(a); err != nil {
			return nil, err
		}
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	records, err := c.Outside.Records(ctx, kind, host)
	if err != nil {
		return nil, fmt.Errorf("outbound: %s of %s: %w", kind, host, plain(err))
	}
	records = records[:min(len(records), c.Limits.AnswersMax)]
	for i, r := range records {
		records[i] = r[:min(len(r), c.Limits.AnswerLenMax)]
	}
	return records, nil
}

// plain is an error without what it tells of this machine: its own address, and that of its name server.
func plain(err error) error {
	var question *net.DNSError
	var network *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("it has taken too long")
	case errors.As(err, &question):
		return errors.New(question.Err)
	case errors.As(err, &network):
		return fmt.Errorf("%s: %w", network.Op, network.Err)
	}
	return err
}

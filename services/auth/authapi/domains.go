package authapi

import (
	"context"

	"github.com/taucloud/tau/transport/ask"
)

// DomainsMax bounds the domains that a cloud knows the owners of.
const DomainsMax = 4096

// Domain says that a host is a project's: those who run the cloud have seen to it.
type Domain struct {
	// Host is a domain name, in lower case and without a dot at its end.
	Host    string `cbor:"1,keyasint"`
	Project string `cbor:"2,keyasint"`
	Made    int64  `cbor:"3,keyasint"` // seconds since 1970
}

// DomainsResponse is a page, by host. More: there are others.
type DomainsResponse struct {
	List []Domain `cbor:"1,keyasint,omitempty"`
	More bool     `cbor:"2,keyasint,omitempty"`
}

// PutDomain says that a host is a project's. Conflict: it is another one's, or there is no such project.
func (c *Client) PutDomain(ctx context.Context, host, project string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, DomainPut, "", callTimeout, Domain{Host: host, Project: project})
	return resp.Copies, err
}

// Domains lists what one auth knows of domains, by host; of a project only, if it names one.
func (c *Client) Domains(ctx context.Context, project string) ([]Domain, error) {
	return pages(2*DomainsMax, func(d Domain) string { return d.Host }, func(after string) ([]Domain, bool, error) {
		resp, err := ask.Call(ctx, c.asker, DomainList, "", callTimeout, PageRequest{After: after, Project: project})
		return resp.List, resp.More, err
	})
}

// DeleteDomain forgets whose a host is.
func (c *Client) DeleteDomain(ctx context.Context, host string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, DomainDelete, "", callTimeout, Named{host})
	return resp.Copies, err
}

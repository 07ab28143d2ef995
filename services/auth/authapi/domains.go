package authapi

import (
	"context"
	"time"

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
	// Proof is how it was proven, "" if those who run the cloud have said so; Proven when it was last, in seconds since 1970.
	Proof  string `cbor:"4,keyasint,omitempty"`
	Proven int64  `cbor:"5,keyasint,omitempty"`
}

// How whoever has a host proves that it is a project's: by a text in its DNS, or by a page that it serves.
const (
	ProofDNS  = "dns"
	ProofHTTP = "http"
)

// DomainProveRequest asks an auth to look whether a host shows that it is a project's. Show: only what it would have to show is told.
type DomainProveRequest struct {
	Host    string `cbor:"1,keyasint"`
	Project string `cbor:"2,keyasint"`
	Show    bool   `cbor:"3,keyasint,omitempty"`
}

// DomainProveResponse is what was seen. Value has to be a TXT record of Record, or what Page shows.
type DomainProveResponse struct {
	Record string `cbor:"1,keyasint"`
	Page   string `cbor:"2,keyasint"`
	Value  string `cbor:"3,keyasint"`
	// Proof is by what it is proven, which is stored; "": it is not, and Why says why.
	Proof  string `cbor:"4,keyasint,omitempty"`
	Why    string `cbor:"5,keyasint,omitempty"`
	Copies int    `cbor:"6,keyasint,omitempty"`
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

// ProveDomain has an auth look whether a host shows that it is a project's, and keep it if so. Conflict: it is another one's.
func (c *Client) ProveDomain(ctx context.Context, req DomainProveRequest) (DomainProveResponse, error) {
	return ask.Call(ctx, c.asker, DomainProve, "", proveTimeout, req)
}

// proveTimeout bounds a proof, which waits for others' DNS and pages.
const proveTimeout = 13 * time.Second

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

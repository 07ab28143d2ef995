package authapi

import (
	"context"

	"github.com/taucloud/tau/transport/ask"
)

// CertificatesMax bounds the certificates of hosts that a cloud keeps: one of each host counts.
const CertificatesMax = DomainsMax

// HostCertificate is what people may know of the certificate of a host.
type HostCertificate struct {
	Host    string `cbor:"1,keyasint"`
	Project string `cbor:"2,keyasint"` // whose host it is
	Version uint64 `cbor:"3,keyasint"`
	Made    int64  `cbor:"4,keyasint"` // seconds since 1970, as are those below
	// NotBefore and NotAfter are when it begins and ends.
	NotBefore   int64  `cbor:"5,keyasint"`
	NotAfter    int64  `cbor:"6,keyasint"`
	Issuer      string `cbor:"7,keyasint,omitempty"`
	Fingerprint string `cbor:"8,keyasint"` // SHA-256 of the certificate, hexadecimal
}

// CertificatePutRequest stores the certificate of a host: Chain and Key are PEM, the host's certificate first. It takes the place of the
// one before.
type CertificatePutRequest struct {
	Host  string `cbor:"1,keyasint"`
	Chain []byte `cbor:"2,keyasint"`
	Key   []byte `cbor:"3,keyasint"`
}

// CertificatePutResponse is what was stored.
type CertificatePutResponse struct {
	Certificate HostCertificate `cbor:"1,keyasint"`
	Copies      int             `cbor:"2,keyasint"`
}

// CertificatesResponse is a page, by host. More: there are others.
type CertificatesResponse struct {
	List []HostCertificate `cbor:"1,keyasint,omitempty"`
	More bool              `cbor:"2,keyasint,omitempty"`
}

// CertificateOfResponse is the certificate of a host with its private key, both PEM.
type CertificateOfResponse struct {
	Certificate HostCertificate `cbor:"1,keyasint"`
	Chain       []byte          `cbor:"2,keyasint"`
	Key         []byte          `cbor:"3,keyasint"`
}

// PutCertificate stores the certificate of a host that is a project's. Invalid: it is none, not the host's, has ended, or the key is not its own.
func (c *Client) PutCertificate(ctx context.Context, req CertificatePutRequest) (CertificatePutResponse, error) {
	return ask.Call(ctx, c.asker, CertificatePut, "", callTimeout, req)
}

// Certificates lists what one auth knows of certificates of hosts, by host; of a project only, if it names one.
func (c *Client) Certificates(ctx context.Context, project string) ([]HostCertificate, error) {
	return pages(2*CertificatesMax, func(h HostCertificate) string { return h.Host }, func(after string) ([]HostCertificate, bool, error) {
		resp, err := ask.Call(ctx, c.asker, CertificateList, "", callTimeout, PageRequest{After: after, Project: project})
		return resp.List, resp.More, err
	})
}

// DeleteCertificate forgets the certificate of a host, with its key.
func (c *Client) DeleteCertificate(ctx context.Context, host string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, CertificateDelete, "", callTimeout, Named{host})
	return resp.Copies, err
}

// CertificateOf is the certificate of a host, with its private key, while the host is the project's that it was stored for, and it has not
// ended. Only gateways get it. NotFound: the asked auth knows of none that counts.
func (c *Client) CertificateOf(ctx context.Context, host string) (CertificateOfResponse, error) {
	return ask.Call(ctx, c.asker, CertificateOf, "", callTimeout, Named{host})
}

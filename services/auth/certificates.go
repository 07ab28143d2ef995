package auth

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/hostcert"
	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Certificates of hosts, for TLS, with their private keys, which are sealed as secrets are. Nobody issues them here: they are brought.

// sealedCertificate is a version of one, as it is stored.
type sealedCertificate struct {
	Project     string       `cbor:"1,keyasint"`
	Chain       []byte       `cbor:"2,keyasint"` // PEM
	Sealed      vault.Sealed `cbor:"3,keyasint"` // the key, PEM
	Made        int64        `cbor:"4,keyasint"` // seconds since 1970, as are those below
	NotBefore   int64        `cbor:"5,keyasint"`
	NotAfter    int64        `cbor:"6,keyasint"`
	Issuer      string       `cbor:"7,keyasint,omitempty"`
	Fingerprint string       `cbor:"8,keyasint"`
}

// certificate is a version of one, from the store.
type certificate struct {
	key     storage.Key
	host    string
	version uint64
	sealedCertificate
}

func (c certificate) place() vault.Place {
	return vault.Place{Project: "certificate/" + c.Project, Name: c.host, Version: c.version}
}

func (c certificate) state() authapi.HostCertificate {
	return authapi.HostCertificate{
		Host: c.host, Project: c.Project, Version: c.version, Made: c.Made, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Issuer: c.Issuer, Fingerprint: c.Fingerprint,
	}
}

func certificateKey(host string, version uint64, by transport.Peer) storage.Key {
	return storage.K(certificatePart, host, fmt.Sprintf("%020d", version), by.String())
}

// certificatesOf are the versions of a host that are stored, of all with "", by host, the one that counts first.
func (s *Service) certificatesOf(host string) (list []certificate) {
	prefix := storage.K(certificatePart)
	if host != "" {
		prefix = storage.K(certificatePart, host)
	}
	for _, e := range s.store.Entries(prefix) {
		parts := e.Key.Parts()
		if len(parts) != 4 {
			continue
		}
		c := certificate{key: e.Key, host: parts[1]}
		version, err := strconv.ParseUint(parts[2], 10, 64)
		if err != nil || transport.Decode(e.Value, &c.sealedCertificate) != nil {
			continue
		}
		c.version = version
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b certificate) int {
		return cmp.Or(cmp.Compare(a.host, b.host), -cmp.Compare(a.version, b.version), -a.key.Compare(b.key))
	})
	return list
}

// newestCertificates has one of each host.
func (s *Service) newestCertificates() []certificate {
	return slices.CompactFunc(s.certificatesOf(""), func(a, b certificate) bool { return a.host == b.host })
}

// putCertificate keeps the certificate of a host that is a project's, in place of the one before.
func (s *Service) putCertificate(ctx context.Context, from transport.Peer, req authapi.CertificatePutRequest) (resp authapi.CertificatePutResponse, err error) {
	op := authapi.CertificatePut.Name
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	host, err := project.CheckHost(req.Host)
	if err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	facts, err := hostcert.Read(host, req.Chain, req.Key, s.env.Loop.Now())
	if err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	d, known := s.domain(host)
	if !known {
		return resp, transport.New(transport.Conflict, op, "nobody has said whose the host is: say that first, or prove it (tau auth domain)")
	}
	earlier := s.certificatesOf(host)
	if len(earlier) == 0 && len(s.newestCertificates()) >= authapi.CertificatesMax {
		return resp, transport.New(transport.Conflict, op, "there are too many certificates")
	}
	batch := new(storage.Batch)
	c := certificate{host: host, version: 1, sealedCertificate: sealedCertificate{
		Project: d.Project, Chain: facts.Chain, Made: s.env.Loop.Now().Unix(), NotBefore: facts.NotBefore, NotAfter: facts.NotAfter, Issuer: facts.Issuer, Fingerprint: facts.Fingerprint,
	}}
	for _, was := range earlier {
		c.version = max(c.version, was.version+1)
		batch.Delete(was.key)
	}
	if c.Sealed, err = s.keyring.ring.Seal(c.place(), facts.Key); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	batch.Put(certificateKey(host, c.version, s.env.Self), transport.Encode(c.sealedCertificate))
	resp.Certificate = c.state()
	resp.Copies, err = s.commit(ctx, batch, from, "certificate-stored", d.Project, host)
	return resp, err
}

func (s *Service) listCertificates(_ context.Context, _ transport.Peer, req authapi.PageRequest) (resp authapi.CertificatesResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	var all []authapi.HostCertificate
	for _, c := range s.newestCertificates() {
		all = append(all, c.state())
	}
	resp.List, resp.More = page(all, func(c authapi.HostCertificate) bool {
		return c.Host > req.After && (req.Project == "" || c.Project == req.Project)
	})
	return resp, nil
}

func (s *Service) deleteCertificate(ctx context.Context, from transport.Peer, req authapi.Named) (resp authapi.Done, err error) {
	op := authapi.CertificateDelete.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	host, err := project.CheckHost(req.Name)
	if err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	all := s.certificatesOf(host)
	if len(all) == 0 {
		return resp, transport.New(transport.NotFound, op, "this auth knows of no certificate of this host")
	}
	batch := new(storage.Batch)
	s.dropCertificates(batch, host)
	resp.Copies, err = s.commit(ctx, batch, from, "certificate-deleted", all[0].Project, host)
	return resp, err
}

// dropCertificates adds to a batch that those of a host are forgotten.
func (s *Service) dropCertificates(batch *storage.Batch, host string) {
	for _, c := range s.certificatesOf(host) {
		batch.Delete(c.key)
	}
}

// certificateFor serves gateways: the one that counts of a host, while that is the project's that it was stored for.
func (s *Service) certificateFor(ctx context.Context, from transport.Peer, req authapi.Named) (resp authapi.CertificateOfResponse, err error) {
	op := authapi.CertificateOf.Name
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	host, err := project.CheckHost(req.Name)
	if err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	list := s.certificatesOf(host)
	d, known := s.domain(host)
	if len(list) == 0 || !known || d.Project != list[0].Project || s.env.Loop.Now().Unix() > list[0].NotAfter {
		return resp, transport.New(transport.NotFound, op, "this auth knows of no certificate of this host that counts")
	}
	c := list[0]
	key, err := s.opened(ctx, c.place(), c.Sealed)
	if err != nil {
		return resp, transport.New(transport.Refused, op, "the key of a certificate could not be opened: "+err.Error())
	}
	s.env.Observe("certificate-given", node.F("host", host), node.F("holder", from))
	return authapi.CertificateOfResponse{Certificate: c.state(), Chain: c.Chain, Key: key}, nil
}

// sealCertificatesAnew seals the keys with the first vault key that are sealed with another one.
func (s *Service) sealCertificatesAnew(ctx context.Context) error {
	for _, c := range s.certificatesOf("") {
		if !s.keyring.ring.Stale(c.Sealed) {
			continue
		}
		key, err := s.opened(ctx, c.place(), c.Sealed)
		if err != nil {
			return fmt.Errorf("the certificate of %s: %w", c.host, err)
		}
		if !s.has(c.key) {
			continue // forgotten meanwhile
		}
		if c.Sealed, err = s.keyring.ring.Seal(c.place(), key); err != nil {
			return err
		}
		if err := storage.Put(s.store, c.key, transport.Encode(c.sealedCertificate)); err != nil {
			return err
		}
	}
	return nil
}

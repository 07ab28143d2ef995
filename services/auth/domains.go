package auth

import (
	"context"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// domains lists whose hosts are, by host.
func (s *Service) domains() []authapi.Domain { return records[authapi.Domain](s, domainPart) }

// domain is whose a host is.
func (s *Service) domain(host string) (d authapi.Domain, known bool) {
	raw, err := s.store.Get(domainKey(host))
	known = err == nil && transport.Decode(raw, &d) == nil
	return d, known
}

// putDomain keeps whose a host is. It is taken from nobody: whoever has it must let it go first.
func (s *Service) putDomain(ctx context.Context, from transport.Peer, d authapi.Domain) (resp authapi.Done, err error) {
	op := authapi.DomainPut.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	if d.Host, err = project.CheckHost(d.Host); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	if err := s.mayHave(op, d); err != nil {
		return resp, err
	}
	if _, known := s.domain(d.Host); known {
		resp.Copies, err = s.replicate(ctx)
		return resp, err
	}
	d.Made, d.Proof, d.Proven = s.env.Loop.Now().Unix(), "", 0
	resp.Copies, err = s.commit(ctx, new(storage.Batch).Put(domainKey(d.Host), transport.Encode(d)), from, "domain-given", d.Project, d.Host)
	return resp, err
}

func (s *Service) listDomains(_ context.Context, _ transport.Peer, req authapi.PageRequest) (resp authapi.DomainsResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	resp.List, resp.More = page(s.domains(), func(d authapi.Domain) bool {
		return d.Host > req.After && (req.Project == "" || d.Project == req.Project)
	})
	return resp, nil
}

func (s *Service) deleteDomain(ctx context.Context, from transport.Peer, req authapi.Named) (resp authapi.Done, err error) {
	op := authapi.DomainDelete.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	host, err := project.CheckHost(req.Name)
	if err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	d, known := s.domain(host)
	if !known {
		return resp, transport.New(transport.NotFound, op, "this auth knows of no such domain")
	}
	batch := new(storage.Batch).Delete(domainKey(host))
	s.dropCertificates(batch, host)
	resp.Copies, err = s.commit(ctx, batch, from, "domain-let-go", d.Project, host)
	return resp, err
}

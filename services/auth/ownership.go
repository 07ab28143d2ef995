package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Whose a host is can be proven by whoever has it: by a record in its DNS, or by a page that it serves. What has to be there follows from
// the cloud, the host and the project, so auths remember nothing of it, and all of them ask for the same.

// Look is how an auth looks at what a host shows the world. Both take as long as they need, until ctx ends, and answer with nothing longer than
// [LookLenMax].
type Look interface {
	// TXT lists the texts that DNS has for a name; none is no error.
	TXT(ctx context.Context, name string) ([]string, error)
	// Page is what a host answers to GET of an address, http:// on port 80, if it answers 200; it follows nothing.
	Page(ctx context.Context, address string) ([]byte, error)
}

// LookLenMax bounds what is looked at, in bytes.
const LookLenMax = 4 << 10

// challenge is what has to be there.
func (s *Service) challenge(host, of string) (record, page, value string) {
	sum := sha256.Sum256(transport.Encode([]any{"tau domain", s.env.Cloud(), host, of}))
	value = "tau-domain=" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
	return "_tau-domain." + host, "http://" + host + "/.well-known/tau-domain", value
}

// proveDomain looks whether a host shows that it is a project's, and if so keeps that it is. A host that another project has is taken from it by
// nobody.
func (s *Service) proveDomain(ctx context.Context, from transport.Peer, req authapi.DomainProveRequest) (resp authapi.DomainProveResponse, err error) {
	op := authapi.DomainProve.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	d := authapi.Domain{Project: req.Project}
	if d.Host, err = project.CheckHost(req.Host); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	if err := s.mayHave(op, d); err != nil {
		return resp, err
	}
	resp.Record, resp.Page, resp.Value = s.challenge(d.Host, d.Project)
	if req.Show {
		return resp, nil
	}
	if s.look == nil {
		return resp, transport.New(transport.Refused, op, "this auth looks at no hosts: say whose it is (tau auth domain add)")
	}
	if d.Proof, resp.Why = s.lookFor(ctx, resp); d.Proof == "" {
		return resp, nil
	}
	if err := s.mayHave(op, d); err != nil { // since it was looked
		return resp, err
	}
	now := s.env.Loop.Now().Unix()
	d.Made, d.Proven, resp.Proof = now, now, d.Proof
	if had, known := s.domain(d.Host); known {
		d.Made = had.Made
	}
	resp.Copies, err = s.commit(ctx, new(storage.Batch).Put(domainKey(d.Host), transport.Encode(d)), from, "domain-proven", d.Project, d.Host)
	return resp, err
}

// mayHave refuses a host for a project that there is not, and one that another project has.
func (s *Service) mayHave(op string, d authapi.Domain) error {
	if project.CheckIdentifier(d.Project) != nil || !s.has(projectKey(d.Project)) {
		return transport.New(transport.Conflict, op, "there is no project of this name: make it first")
	}
	switch had, known := s.domain(d.Host); {
	case known && had.Project != d.Project:
		return transport.New(transport.Conflict, op, "the host is project "+had.Project+"'s: remove it there first")
	case !known && len(s.domains()) >= authapi.DomainsMax:
		return transport.New(transport.Conflict, op, "there are too many domains")
	}
	return nil
}

// lookFor is by what a host shows what it has to, "" if it does not, and why not.
func (s *Service) lookFor(ctx context.Context, want authapi.DomainProveResponse) (proof, why string) {
	texts, err := s.look.TXT(ctx, want.Record)
	if err == nil && slices.ContainsFunc(texts, func(t string) bool { return strings.TrimSpace(t) == want.Value }) {
		return authapi.ProofDNS, ""
	}
	why = "DNS has other texts for " + want.Record
	switch {
	case err != nil:
		why = "DNS does not answer for " + want.Record + ": " + err.Error()
	case len(texts) == 0:
		why = "DNS has no text for " + want.Record
	}
	page, err := s.look.Page(ctx, want.Page)
	switch {
	case err != nil:
		return "", why + "; " + want.Page + ": " + err.Error()
	case strings.TrimSpace(string(page)) != want.Value:
		return "", why + "; " + want.Page + " shows something else"
	}
	return authapi.ProofHTTP, ""
}

package auth

import (
	"bytes"
	"context"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// revoke takes a member's certificates back.
func (s *Service) revoke(ctx context.Context, from transport.Peer, req authapi.RevokeRequest) (resp authapi.RevokeResponse, err error) {
	op := authapi.Revoke.Name
	r := s.revocationOf(req.Subject)
	if req.Statement != nil {
		r = *req.Statement
	}
	switch {
	case r.Subject() != req.Subject:
		return resp, transport.New(transport.Invalid, op, "the statement is about somebody else")
	case req.Statement == nil && s.issues(req.Subject):
		return resp, transport.New(transport.Conflict, op, "it is an auth: only a statement that the cloud key has signed takes its certificates back")
	}
	if err := s.know(r); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	if err := s.write(r); err != nil {
		return resp, err
	}
	if err := beforeReplicate.Hit(ctx, s.env); err != nil {
		return resp, err
	}
	if resp.Copies, err = s.replicate(ctx); err != nil {
		return resp, err
	}
	s.env.Observe("revoked", node.F("subject", req.Subject), node.F("copies", resp.Copies), node.F("by", from))
	return resp, nil
}

// issues reports whether a member may sign certificates of others, or may be one that does: no issuer takes those of
// another one back, so what this auth could sign would change nothing.
func (s *Service) issues(p transport.Peer) bool {
	m, met := s.env.Authority.Member(p)
	auths, _ := s.env.Wire.Directory().Lookup(authapi.Service)
	return met && len(m.Issues) > 0 || !met && slices.Contains(auths, p) || p == s.env.Self
}

// revocationOf signs a revocation as of now. It takes back what any auth has signed until now: they
// date certificates back by as much as clocks may differ.
func (s *Service) revocationOf(subject transport.Peer) membership.Revoking {
	return membership.Revoking{
		Revocation: membership.Revoke(s.env.Identity, membership.Revocation{Cloud: s.env.Authority.Cloud(), Subject: subject, Before: s.env.Loop.Now().Unix()}),
		Issuer:     s.env.Authority.Issuer(),
	}
}

// know makes this node know of a revocation.
func (s *Service) know(r membership.Revoking) error {
	news, err := s.env.Authority.Revoke(r)
	if len(news) > 0 {
		s.env.Observe("revocation-known", node.F("subject", r.Subject()))
	}
	return err
}

func (s *Service) write(r membership.Revoking) error {
	return storage.Put(s.store, revokedKey(r.Subject(), r.Revocation.By), transport.Encode(r))
}

// learnRevocation takes over a revocation. If this auth has signed a certificate of that member
// since, not knowing, it takes that back, too: a revoked key never comes back.
func (s *Service) learnRevocation(r membership.Revoking) {
	subject := r.Subject()
	_ = s.know(r)
	if s.issued[subject] <= r.Date() || r.Revocation.By == s.env.Self {
		return
	}
	again := s.revocationOf(subject)
	if news, _ := s.env.Authority.Revoke(again); len(news) > 0 && s.write(again) == nil {
		s.env.Observe("revoked-again", node.F("subject", subject))
	}
}

// revocations tells what was revoked, in pages.
func (s *Service) revocations(_ context.Context, _ transport.Peer, req authapi.RevocationsRequest) (resp authapi.RevocationsResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	resp.Digest = s.env.Authority.Digest()
	if bytes.Equal(resp.Digest, req.Known) {
		return resp, nil
	}
	all := s.env.Authority.Revocations()
	from := min(max(req.After, 0), len(all))
	to := min(from+authapi.PageMax, len(all))
	resp.List, resp.More = all[from:to], to < len(all)
	return resp, nil
}

// rotate takes the successor of the cloud key over, and gives the auths their certificates by it.
func (s *Service) rotate(ctx context.Context, from transport.Peer, req authapi.RotateRequest) (resp authapi.RotateResponse, err error) {
	op := authapi.Rotate.Name
	if len(req.Issuers) > authapi.IssuersMax {
		return resp, transport.New(transport.Invalid, op, "too many issuers at once")
	}
	if _, err := s.env.Authority.Rotate(req.Rotation); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	batch := &storage.Batch{}
	batch.Put(rotationKey(req.Rotation.By), transport.Encode(req.Rotation))
	for _, signed := range req.Issuers {
		c, err := membership.Presented{Certificate: signed}.Says()
		if err != nil {
			return resp, transport.New(transport.Invalid, op, err.Error())
		}
		if _, err := s.env.Authority.Check(membership.Presented{Certificate: signed}, c.Subject, s.env.Loop.Now()); err != nil {
			return resp, transport.New(transport.Invalid, op, err.Error())
		}
		batch.Put(issuerKey(c.Subject), transport.Encode(signed))
	}
	if err := s.store.Apply(batch); err != nil {
		return resp, err
	}
	if resp.Copies, err = s.replicate(ctx); err != nil {
		return resp, err
	}
	s.env.Observe("rotated", node.F("copies", resp.Copies), node.F("by", from))
	return resp, nil
}

// learnRotations takes over all rotations that there are: one that was heard before the one that it follows
// from counts when that is here. So does this auth's certificate by the key that they lead to.
func (s *Service) learnRotations() {
	var list []membership.Signed // no more than can count: an auth writes what follows from those before
	for _, e := range s.store.Entries(storage.K(rotationPart)) {
		var r membership.Signed
		if transport.Decode(e.Value, &r) == nil {
			list = append(list, r)
		}
	}
	if news, _ := s.env.Authority.Rotate(list...); news {
		s.learn(issuerKey(s.env.Self))
	}
}

// becomeIssuer takes a later certificate of this auth over.
func (s *Service) becomeIssuer(signed membership.Signed) {
	p := membership.Presented{Certificate: signed}
	c, err := p.Says()
	_, own := s.env.Authority.Own()
	if err != nil || c.NotBefore < own.NotBefore {
		return
	}
	if _, err := s.env.Authority.Check(p, s.env.Self, s.env.Loop.Now()); err == nil {
		_ = s.env.Authority.SetOwn(p)
	}
}

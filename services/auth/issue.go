package auth

import (
	"context"
	"errors"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// issuedMax bounds how many members' certificates an auth remembers to have signed.
const issuedMax = 1 << 16

// load reads what this auth has on its disk.
func (s *Service) load() error {
	s.issued = map[transport.Peer]int64{}
	entries, err := s.env.Local.List(storage.K(issuedPart))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if p, err := transport.ParsePeer(e.Key.Parts()[1]); err == nil {
			s.issued[p] = parseNumber(e.Value)
		}
	}
	return s.invited.load(s.env.Local)
}

// certify signs a certificate, and remembers that before anybody has it: so that a revocation of
// which this auth has not heard yet takes it back all the same.
func (s *Service) certify(ctx context.Context, op string, subject transport.Peer, name string, services []string) (p membership.Presented, err error) {
	issuer := s.env.Authority.Issuer()
	switch {
	case issuer == nil:
		return p, transport.New(transport.Refused, op, "this auth has no certificate that lets it sign others")
	case s.env.Authority.Revoked(subject):
		return p, transport.New(transport.Conflict, op, "the key was revoked: whoever is to come back does so with another one")
	case len(s.issued) >= issuedMax && s.issued[subject] == 0:
		return p, transport.New(transport.Refused, op, "it has certified as many as it remembers")
	}
	begins := s.env.Loop.Now().Add(-membership.SkewMax)
	s.serial++
	signed, err := membership.Issue(s.env.Identity, membership.Certificate{
		Cloud: s.env.Authority.Cloud(), Serial: s.env.Incarnation<<32 | s.serial, Subject: subject, Name: name, Services: services,
		NotBefore: begins.Unix(), NotAfter: s.env.Loop.Now().Add(s.settings.Lifetime).Unix(),
	})
	if err != nil {
		return p, transport.New(transport.Invalid, op, err.Error())
	}
	p = membership.Presented{Certificate: signed, Issuer: issuer}
	if _, err := s.env.Authority.Check(p, subject, s.env.Loop.Now()); err != nil {
		return p, transport.New(transport.Refused, op, "others would not take what this auth signs: "+err.Error())
	}
	s.issued[subject] = begins.Unix()
	if err := storage.Put(s.env.Local, storage.K(issuedPart, subject.String()), number(begins.Unix())); err != nil {
		return p, err
	}
	return p, s.env.Local.Sync(ctx)
}

// renew signs anew what a member has. One that has ended is renewed for some time yet: a node may
// have been away. What a replaced cloud key has signed is not, from when that key counts no more.
func (s *Service) renew(ctx context.Context, from transport.Peer, req authapi.RenewRequest) (resp authapi.CertificateResponse, err error) {
	op := authapi.Renew.Name
	if s.env.Authority.Replaced(req.Shown) {
		// Whoever has stolen a key that was replaced dates back what it signs. What an auth of today has
		// signed it has signed itself, whoever vouched for it then.
		if req.Shown.Issuer = s.issuerOfToday(req.Shown.Certificate.By); req.Shown.Issuer == nil {
			return resp, transport.New(transport.Conflict, op, "the key that vouched for it was replaced, and counts no more: come by an invitation")
		}
	}
	end, err := s.env.Authority.EndOf(req.Shown)
	if err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	// As of its last moment: that it counted then is what matters.
	at := s.env.Loop.Now()
	if ended := time.Unix(end, 0); at.After(ended) && at.Sub(ended) <= s.settings.RenewGrace {
		at = ended
	}
	m, err := s.env.Authority.Check(req.Shown, from, at)
	if err != nil {
		return resp, transport.New(transport.Conflict, op, err.Error())
	}
	switch c, _ := req.Shown.Says(); {
	case len(m.Issues) > 0:
		return resp, transport.New(transport.Conflict, op, "the cloud key itself signs the certificates of issuers")
	case !membership.Remembered(c.NotBefore, s.env.Loop.Now()):
		return resp, transport.New(transport.Conflict, op, "it began so long ago that a revocation of it may be forgotten: come by an invitation")
	}
	if resp.Certificate, err = s.certify(ctx, op, from, m.Name, m.Services); err != nil {
		return authapi.CertificateResponse{}, err
	}
	s.env.Observe("renewed", node.F("subject", from), node.F("name", m.Name))
	return resp, nil
}

// issuerOfToday is what says that a peer is an issuer, by the cloud key that counts now; nil: nothing.
func (s *Service) issuerOfToday(p transport.Peer) *membership.Signed {
	var signed membership.Signed
	raw, err := s.store.Get(issuerKey(p))
	if err != nil || transport.Decode(raw, &signed) != nil || s.env.Authority.Replaced(membership.Presented{Certificate: signed}) {
		return nil
	}
	return &signed
}

// admit certifies who comes by an invitation.
func (s *Service) admit(ctx context.Context, from transport.Peer, req authapi.AdmitRequest) (resp authapi.CertificateResponse, err error) {
	op := authapi.Admit.Name
	a, i, err := s.env.Authority.CheckAdmission(req.Request, from, s.invited.usedBy)
	switch {
	case errors.Is(err, membership.ErrMalformed), errors.Is(err, membership.ErrSignature):
		return resp, transport.New(transport.Invalid, op, err.Error())
	case err != nil:
		return resp, transport.New(transport.Conflict, op, err.Error())
	}
	// Counted first, and on disks: whoever crashes then has come.
	if err := s.count(ctx, op, i, from); err != nil {
		return resp, err
	}
	if resp.Certificate, err = s.certify(ctx, op, from, a.Name, a.Services); err != nil {
		return authapi.CertificateResponse{}, err
	}
	s.env.Observe("admitted", node.F("subject", from), node.F("name", a.Name), node.F("invitation", paddedID(i.ID)), node.F("uses", int(i.Uses)))
	return resp, nil
}

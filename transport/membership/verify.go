package membership

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

var (
	// ErrSubject says that a certificate is another node's.
	ErrSubject = errors.New("membership: the certificate of another node")
	// ErrNotYet and ErrExpired say that a certificate does not count at this time.
	ErrNotYet  = errors.New("membership: not valid yet")
	ErrExpired = errors.New("membership: expired")
	// ErrRevoked says that a certificate was taken back.
	ErrRevoked = errors.New("membership: revoked")
)

// Presented is what a node shows of itself: its certificate, and the issuer's that
// has signed it, unless the cloud key has.
type Presented struct {
	Certificate Signed  `cbor:"1,keyasint"`
	Issuer      *Signed `cbor:"2,keyasint,omitempty"`
	// Rotations are those that the node knows, so that who has missed them learns of the
	// present cloud key from whom it meets.
	Rotations []Signed `cbor:"3,keyasint,omitempty"`
}

// Says is the certificate itself, signed by whom it names, whoever that is.
func (p Presented) Says() (Certificate, error) { return openCertificate(p.Certificate) }

// Member is a peer that has proven what it is.
type Member struct {
	Peer     transport.Peer
	Name     string
	Services []string // that it may offer, sorted
	Issues   []string // services that it may grant to others, sorted
	Serial   uint64
	// Until is the last second at which what was presented counts.
	Until int64
}

// MayGrant reports whether the member may sign certificates for all of some services.
func (m Member) MayGrant(services []string) bool {
	return len(m.Issues) > 0 && within(services, m.Issues)
}

// Offers reports whether the member may offer a service.
func (m Member) Offers(service string) bool {
	_, found := slices.BinarySearch(m.Services, service)
	return found
}

// Verify says which member a peer is, whose key the transport has authenticated, by
// what it has presented. It looks at nothing that is not signed.
func Verify(p Presented, peer transport.Peer, t *Trust, revoked *Revocations, now time.Time) (Member, error) {
	c, err := openCertificate(p.Certificate)
	switch {
	case err != nil:
		return Member{}, err
	case c.Subject != peer:
		return Member{}, ErrSubject
	}
	if err := t.counts(c, revoked, now); err != nil {
		return Member{}, err
	}
	m := Member{Peer: peer, Name: c.Name, Services: c.Services, Issues: c.Issues, Serial: c.Serial, Until: c.NotAfter}
	if p.Issuer == nil {
		end, err := t.signs(p.Certificate.By, c.NotBefore, now)
		m.Until = min(m.Until, end)
		return m, err
	}
	end, err := t.issuer(*p.Issuer, p.Certificate.By, c, revoked, now)
	m.Until = min(m.Until, end)
	return m, err
}

// EndOf is the last second at which what is presented counts, if it counts at all: the end of the
// certificate, of the issuer's, or of the cloud key that has signed.
func (t *Trust) EndOf(p Presented) (end int64, err error) {
	c, err := p.Says()
	if err != nil {
		return 0, err
	}
	end, by := c.NotAfter, p.Certificate.By
	if p.Issuer != nil {
		i, err := openCertificate(*p.Issuer)
		if err != nil {
			return 0, err
		}
		end, by = min(end, i.NotAfter), p.Issuer.By
	}
	for _, a := range t.keys {
		if a.key == by {
			end = min(end, a.ends)
		}
	}
	return end, nil
}

// Replaced reports whether the cloud key on which what is presented rests was replaced so long
// ago that nothing counts any more that it has signed, by whichever date.
func (t *Trust) Replaced(p Presented, now time.Time) bool {
	by := p.Certificate.By
	if p.Issuer != nil {
		by = p.Issuer.By
	}
	_, err := t.signs(by, 0, now)
	return errors.Is(err, ErrExpired)
}

// issuer checks the certificate of who has signed c, and says until when it counts.
func (t *Trust) issuer(presented Signed, by transport.Peer, c Certificate, revoked *Revocations, now time.Time) (end int64, err error) {
	i, err := openCertificate(presented)
	if err != nil {
		return 0, fmt.Errorf("of the issuer: %w", err)
	}
	if i.Subject != by || len(c.Issues) > 0 || !within(c.Services, i.Issues) || len(i.Issues) == 0 {
		return 0, ErrNotTrusted
	}
	if err := t.counts(i, revoked, now); err != nil {
		return 0, fmt.Errorf("of the issuer: %w", err)
	}
	end, err = t.signs(presented.By, i.NotBefore, now)
	return min(end, i.NotAfter), err
}

// counts reports whether a certificate is of this cloud, of this time, and not
// taken back.
func (t *Trust) counts(c Certificate, revoked *Revocations, now time.Time) error {
	skew := int64(SkewMax / time.Second)
	switch {
	case c.Cloud != t.Cloud:
		return fmt.Errorf("%w: %q", ErrOtherCloud, c.Cloud)
	case now.Unix() < c.NotBefore-skew:
		return ErrNotYet
	case now.Unix() > c.NotAfter+skew:
		return ErrExpired
	case revoked.has(c):
		return ErrRevoked
	}
	return nil
}

package membership

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// revocationsMax bounds how many revocations are kept.
	revocationsMax = 1 << 16
	// issuersMax bounds how many issuers' revocations are kept of one member.
	issuersMax = 32
)

// Revocation takes back all certificates of a member that begin by Before and, if it
// is an issuer, all that these have signed.
type Revocation struct {
	Cloud   string         `cbor:"1,keyasint"`
	Subject transport.Peer `cbor:"2,keyasint"`
	Before  int64          `cbor:"3,keyasint"` // seconds since 1970, included
}

// Revoke signs a revocation.
func Revoke(key transport.Identity, r Revocation) Signed { return sign(key, forRevocation, r) }

// Revocations is the set of those that still matter. Equal statements make equal
// sets, whatever the order in which they came. The zero value is empty.
type Revocations struct {
	// byCloud has, of each member, the latest that a cloud key has signed, byIssuer
	// the latest of each issuer.
	byCloud  map[transport.Peer]revoked
	byIssuer map[transport.Peer][]revoked // in the order of the issuers
	len      int
}

type revoked struct {
	before int64
	Revoking
}

// Revoking is a revocation with the certificate of the issuer that has signed it,
// unless the cloud key has.
type Revoking struct {
	Revocation Signed  `cbor:"1,keyasint"`
	Issuer     *Signed `cbor:"2,keyasint,omitempty"`
}

// Subject is whose certificates it takes back, as it says itself.
func (s Revoking) Subject() (p transport.Peer) {
	var v Revocation
	if transport.Decode(s.Revocation.Body, &v) == nil {
		p = v.Subject
	}
	return p
}

// Add takes a revocation over and reports whether it is news. The cloud key revokes
// anybody's certificates, an issuer those that are no issuer's.
func (r *Revocations) Add(s Revoking, t *Trust, now time.Time) (news bool, err error) {
	var v Revocation
	if err := s.Revocation.open(forRevocation, &v); err != nil {
		return false, err
	}
	switch {
	case v.Cloud != t.Cloud:
		return false, fmt.Errorf("%w: %q", ErrOtherCloud, v.Cloud)
	case v.Subject.IsZero() || v.Before < 0 || v.Before > now.Add(SkewMax).Unix():
		return false, fmt.Errorf("%w: a revocation of nobody, or of a time to come", ErrMalformed)
	case past(v.Before, now):
		return false, nil // no certificate that it takes back counts any more
	}
	if err := t.revokes(s, v); err != nil {
		return false, err
	}
	return r.add(v, revoked{v.Before, s})
}

// revokes checks who has signed a revocation: who could by the date of it, also if the cloud key was
// replaced since. Otherwise whoever restarts after that would forget it, and what issuers of today have
// signed before would count again. (Who has stolen the replaced key can date one back, too, and so take back
// certificates from before it was replaced; only a member that offers auth is listened to about that.)
// Whether an issuer was itself revoked since matters when certificates are looked at.
func (t *Trust) revokes(s Revoking, v Revocation) (err error) {
	then := time.Unix(v.Before, 0)
	if s.Issuer == nil {
		_, err = t.signs(s.Revocation.By, v.Before, then)
	} else {
		_, err = t.issuer(*s.Issuer, s.Revocation.By, Certificate{}, nil, then)
	}
	return err
}

func (r *Revocations) add(v Revocation, n revoked) (news bool, err error) {
	known, found := r.byCloud[v.Subject]
	at := 0
	if n.Issuer != nil {
		list := r.byIssuer[v.Subject]
		if at, found = slices.BinarySearchFunc(list, n.Revocation.By, func(x revoked, by transport.Peer) int { return x.Revocation.By.Compare(by) }); found {
			known = list[at]
		}
	}
	switch {
	case found && known.before >= n.before:
		return false, nil
	case !found && (r.len >= revocationsMax || len(r.byIssuer[v.Subject]) >= issuersMax):
		return false, fmt.Errorf("%w: over %d revocations, or %d of one member", ErrMalformed, revocationsMax, issuersMax)
	case r.byCloud == nil:
		r.byCloud, r.byIssuer = map[transport.Peer]revoked{}, map[transport.Peer][]revoked{}
	}
	if !found {
		r.len++
	}
	switch {
	case n.Issuer == nil:
		r.byCloud[v.Subject] = n
	case found:
		r.byIssuer[v.Subject][at] = n
	default:
		r.byIssuer[v.Subject] = slices.Insert(r.byIssuer[v.Subject], at, n)
	}
	return true, nil
}

// has reports whether a certificate was taken back. What an issuer has revoked after
// it was itself revoked does not count. Who has stolen an issuer's key can still
// date a revocation back: a certificate of today is not hit by it.
func (r *Revocations) has(c Certificate) bool {
	if r == nil {
		return false
	}
	if v, found := r.byCloud[c.Subject]; found && c.NotBefore <= v.before {
		return true
	}
	return len(c.Issues) == 0 && slices.ContainsFunc(r.byIssuer[c.Subject], func(v revoked) bool {
		issuer, ended := r.byCloud[v.Revocation.By]
		return c.NotBefore <= v.before && (!ended || v.before <= issuer.before)
	})
}

// Names reports whether anybody has revoked certificates of a peer.
func (r *Revocations) Names(p transport.Peer) bool {
	_, found := r.byCloud[p]
	return found || len(r.byIssuer[p]) > 0
}

// Date is up to when it takes certificates back, as it says itself.
func (s Revoking) Date() int64 {
	var v Revocation
	if transport.Decode(s.Revocation.Body, &v) != nil {
		return 0
	}
	return v.Before
}

// Forget drops the revocations of certificates that have ended by themselves.
func (r *Revocations) Forget(now time.Time) {
	for peer, v := range r.byCloud {
		if past(v.before, now) {
			delete(r.byCloud, peer)
			r.len--
		}
	}
	for peer, list := range r.byIssuer {
		left := slices.DeleteFunc(list, func(v revoked) bool { return past(v.before, now) })
		r.len -= len(list) - len(left)
		if r.byIssuer[peer] = left; len(left) == 0 {
			delete(r.byIssuer, peer)
		}
	}
}

// Remembered reports whether each revocation of a certificate that begins at a time is still kept, also by
// who forgets as early as clocks differ: one that is renewed must be so young.
func Remembered(begins int64, now time.Time) bool { return !past(begins, now.Add(2*SkewMax)) }

// past reports whether all certificates that begin by a time have ended.
func past(before int64, now time.Time) bool {
	return now.Unix() > before+int64((ValidityMax+SkewMax)/time.Second)
}

// All lists what proves the set to others: those of the cloud key, then those of
// issuers, each in the order of the members.
func (r *Revocations) All() (list []Revoking) {
	for _, p := range slices.SortedFunc(maps.Keys(r.byCloud), transport.Peer.Compare) {
		list = append(list, r.byCloud[p].Revoking)
	}
	for _, p := range slices.SortedFunc(maps.Keys(r.byIssuer), transport.Peer.Compare) {
		for _, v := range r.byIssuer[p] {
			list = append(list, v.Revoking)
		}
	}
	return list
}

// Len is how many revocations there are.
func (r *Revocations) Len() int { return r.len }

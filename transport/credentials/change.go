package credentials

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// SetOwn makes p what this node shows from now on. Whether it counts, now and later, others
// see for themselves. It fails, and changes nothing, if it is no certificate of this node.
func (a *Authority) SetOwn(p membership.Presented) error {
	c, err := p.Says()
	p.Rotations = nil
	switch {
	case err != nil:
		return err
	case c.Subject != a.self:
		return membership.ErrSubject
	case len(transport.Encode(p)) > ownLenMax:
		return fmt.Errorf("%w: over %d bytes", membership.ErrMalformed, ownLenMax)
	}
	a.mu.Lock()
	a.presented, a.ownIs = p, c
	changed := a.makeOwn()
	a.mu.Unlock()
	if changed {
		a.tell(true)
	}
	a.learned.Tell()
	return nil
}

// ownLenMax is the room for a certificate and that of its issuer, beside rotations.
const ownLenMax = transport.CredentialsLenMax / 2

// makeOwn makes what this node shows, and reports whether it is something else now. If there
// are more rotations than there is room for, the oldest are left out.
func (a *Authority) makeOwn() (changed bool) {
	if a.ownIs.Subject.IsZero() {
		return false
	}
	p := a.presented
	p.Rotations = a.trust.Rotations()
	shown := transport.Encode(p)
	for len(shown) > transport.CredentialsLenMax {
		p.Rotations = p.Rotations[1:]
		shown = transport.Encode(p)
	}
	changed = !bytes.Equal(a.own, shown)
	a.own = shown
	return changed
}

// Own is what this node shows, and what the certificate says; none has the zero values.
func (a *Authority) Own() (membership.Presented, membership.Certificate) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.presented, a.ownIs
}

// OwnCounts reports whether what this node shows makes it a member, as far as it knows.
func (a *Authority) OwnCounts() error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.own == nil {
		return ErrNothing
	}
	_, err := membership.Verify(a.presented, a.self, a.trust, &a.revoked, a.loop.Now())
	return err
}

// Revoke takes over revocations, and returns those that are news. Those whose certificates
// they take back are no members from now on. The error is that of the last one that is
// none; the others count.
func (a *Authority) Revoke(list ...membership.Revoking) (news []membership.Revoking, err error) {
	a.mu.Lock()
	now := a.loop.Now()
	for _, r := range list {
		fresh, failed := a.revoked.Add(r, a.trust, now)
		if failed != nil {
			err = failed
		}
		if fresh {
			news = append(news, r)
		}
	}
	fewer := false
	if len(news) > 0 {
		a.version++
		a.digest = nil
		hit := map[transport.Peer]bool{}
		for _, r := range news {
			hit[r.Subject()] = true
		}
		fewer = a.recheck(now, func(e *entry) bool { return hit[e.member.Peer] || hit[e.issuer] })
	}
	a.mu.Unlock()
	if fewer {
		a.tell(false)
	}
	if len(news) > 0 {
		a.learned.Tell()
	}
	return news, err
}

// Rotate takes over rotations of the cloud key, in any order, and reports whether any is
// news. The error is that of the last one that is none. It looks at RotationsMax of them, and at the
// signature of each once: strangers show some, too.
func (a *Authority) Rotate(list ...membership.Signed) (news bool, err error) {
	a.mu.Lock()
	before := len(a.trust.Rotations())
	left := slices.Clone(list[:min(len(list), membership.RotationsMax)])
	for more := true; more; { // each further round takes those that follow from the one before
		more = false
		left = slices.DeleteFunc(left, func(r membership.Signed) bool {
			failed := a.trust.Apply(r)
			if errors.Is(failed, membership.ErrNotTrusted) {
				return false // perhaps by a key that another one brings
			}
			if failed != nil {
				err = failed
			}
			more = true
			return true
		})
	}
	if len(left) > 0 {
		err = membership.ErrNotTrusted
	}
	changed := false
	if news = len(a.trust.Rotations()) > before; news {
		a.version++
		fewer := a.recheck(a.loop.Now(), func(*entry) bool { return true })
		own := a.makeOwn()
		changed = fewer || own
	}
	a.mu.Unlock()
	if changed {
		a.tell(true)
	}
	if news {
		a.learned.Tell()
	}
	return news, err
}

// Revocations lists what was taken back, as others can check it. What has ended by itself
// is forgotten.
func (a *Authority) Revocations() []membership.Revoking {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.revoked.Len()
	if a.revoked.Forget(a.loop.Now()); a.revoked.Len() != before {
		a.digest = nil
	}
	return a.revoked.All()
}

// Digest is equal for equal Revocations.
func (a *Authority) Digest() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.digest == nil {
		h := sha256.New()
		for _, r := range a.revoked.All() {
			h.Write(r.Revocation.Signature)
		}
		a.digest = h.Sum(nil)
	}
	return a.digest
}

// Revoked reports whether certificates of a peer were taken back.
func (a *Authority) Revoked(p transport.Peer) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.revoked.Names(p)
}

// OwnUntil is the last second at which what this node shows counts; 0 if it does not now.
func (a *Authority) OwnUntil() int64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.own == nil {
		return 0
	}
	m, err := membership.Verify(a.presented, a.self, a.trust, &a.revoked, a.loop.Now())
	if err != nil {
		return 0
	}
	return m.Until
}

// Check is what package membership says of a peer's presented certificate at a time.
func (a *Authority) Check(p membership.Presented, peer transport.Peer, at time.Time) (membership.Member, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return membership.Verify(p, peer, a.trust, &a.revoked, at)
}

// EndOf is the last second at which what is presented counts, if it counts at all.
func (a *Authority) EndOf(p membership.Presented) (int64, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.trust.EndOf(p)
}

// Replaced reports whether the cloud key on which what is presented rests has been replaced, and counts no more.
func (a *Authority) Replaced(p membership.Presented) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.trust.Replaced(p, a.loop.Now())
}

// CheckAdmission is membership.CheckAdmission at this node. used is who has come by the
// invitation.
func (a *Authority) CheckAdmission(request membership.Signed, peer transport.Peer, used func(id uint64) []transport.Peer) (membership.Admission, membership.Invitation, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return membership.CheckAdmission(request, peer, a.self, a.trust, a.issuer(), used, a.loop.Now())
}

// Issuer is this node's certificate if it lets the node sign those of others.
func (a *Authority) Issuer() *membership.Signed {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.issuer()
}

func (a *Authority) issuer() *membership.Signed {
	if len(a.ownIs.Issues) == 0 {
		return nil
	}
	c := a.presented.Certificate
	return &c
}

// Cloud is the name of the cloud.
func (a *Authority) Cloud() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.trust.Cloud
}

// Key is the present key of the cloud, as far as the node knows.
func (a *Authority) Key() transport.Peer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.trust.Key()
}

// Anchor is the key that a new member is told of: the earliest one that counts now.
func (a *Authority) Anchor() transport.Peer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.trust.Anchor(a.loop.Now())
}

// Rotations lists the statements that led to the present cloud key, in order.
func (a *Authority) Rotations() []membership.Signed {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.trust.Rotations()
}

// Member says what a peer has proven to be.
func (a *Authority) Member(p transport.Peer) (m membership.Member, known bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	e := a.members[p]
	if e == nil {
		return m, false
	}
	return e.member, true
}

// AdmittedBy is who has signed the certificate that a member shows: an issuer or a key of the cloud. Zero: it has shown none.
func (a *Authority) AdmittedBy(p transport.Peer) transport.Peer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if p == a.self {
		return a.presented.Certificate.By
	}
	if e := a.members[p]; e != nil {
		return e.presented.Certificate.By
	}
	return transport.Peer{}
}

// Issuing lists the members whose certificates let them sign those of others, as far as the node knows them now, itself among
// them, in the order of their peers. Services are what they may offer.
func (a *Authority) Issuing() (list []membership.Member) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.ownIs.Issues) > 0 {
		list = append(list, membership.Member{Peer: a.self, Name: a.ownIs.Name, Services: a.ownIs.Services, Issues: a.ownIs.Issues})
	}
	for _, e := range a.members {
		if len(e.member.Issues) > 0 {
			list = append(list, e.member)
		}
	}
	slices.SortFunc(list, func(x, y membership.Member) int { return x.Peer.Compare(y.Peer) })
	return list
}

package credentials

import (
	"bytes"
	"fmt"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// SetOwn makes p what this node shows from now on. Whether it counts, now and later, others
// see for themselves. It fails, and changes nothing, if it is no certificate of this node.
func (a *Authority) SetOwn(p membership.Presented) error {
	c, err := p.Says()
	shown := transport.Encode(p)
	switch {
	case err != nil:
		return err
	case c.Subject != a.self:
		return membership.ErrSubject
	case len(shown) > transport.CredentialsLenMax:
		return fmt.Errorf("%w: %d bytes", membership.ErrMalformed, len(shown))
	}
	a.mu.Lock()
	same := bytes.Equal(a.own, shown)
	a.own, a.presented, a.ownIs = shown, p, c
	a.mu.Unlock()
	if !same {
		a.tell(true)
	}
	return nil
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
	return news, err
}

// Rotate takes over rotations of the cloud key, in any order, and reports whether any is
// news. The error is that of the last one that is none.
func (a *Authority) Rotate(list ...membership.Signed) (news bool, err error) {
	a.mu.Lock()
	before := len(a.trust.Rotations())
	for range list { // each further round takes those that follow from the one before
		err = nil
		for _, r := range list {
			if failed := a.trust.Apply(r); failed != nil {
				err = failed
			}
		}
		if err == nil {
			break
		}
	}
	fewer := false
	if news = len(a.trust.Rotations()) > before; news {
		a.version++
		fewer = a.recheck(a.loop.Now(), func(*entry) bool { return true })
	}
	a.mu.Unlock()
	if fewer {
		a.tell(false)
	}
	return news, err
}

// Revocations lists what was taken back, as others can check it. What has ended by itself
// is forgotten.
func (a *Authority) Revocations() []membership.Revoking {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked.Forget(a.loop.Now())
	return a.revoked.All()
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

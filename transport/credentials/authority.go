// Package credentials is how a node of a cloud knows its members: an Authority for the
// protocol engine (transport.Proving), made of what package membership says of
// certificates, revocations and rotations, and of the node's wall clock.
//
// # Time
//
// A certificate counts from NotBefore to NotAfter by the clock of whoever looks at it,
// with membership.SkewMax to either side: so the clocks of two nodes may differ by that
// much. A node whose clock is wrong by more takes others for strangers, and they it, until
// the clock is right again. What has counted once is looked at again every 30 s, so a
// member is taken for one for up to that much longer.
package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// membersMax bounds how many members are remembered; for a further one, the one that has
	// shown its certificate longest ago is forgotten.
	membersMax = 1 << 16
	// LookInterval is how often ends are looked for: wall clocks jump, so no timer tells.
	LookInterval = 30 * time.Second
)

// ErrNothing says that a peer has shown nothing.
var ErrNothing = errors.New("it has shown no certificate")

// Authority knows who has proven to be a member, to one node. It is safe for concurrent use.
type Authority struct {
	loop clock.Loop
	self transport.Peer

	mu        sync.RWMutex
	trust     *membership.Trust
	revoked   membership.Revocations
	version   uint64 // counts the changes of trust and revoked
	digest    []byte // of revoked, nil: not made yet
	own       []byte // what this node shows: presented, with the rotations
	presented membership.Presented
	ownIs     membership.Certificate
	members   map[transport.Peer]*entry
	shows     uint64 // counts what was shown, for the order of it
	looking   bool   // a look is planned
	watchers  []func(own bool)
	learned   transport.Watchers
}

// entry is a member that has proven it.
type entry struct {
	shown     []byte
	presented membership.Presented
	member    membership.Member
	issuer    transport.Peer // zero: the cloud key
	number    uint64         // of the show
}

var _ transport.Proving = (*Authority)(nil)

// New returns an Authority of the node self that trusts trust, which it owns from now on.
func New(loop clock.Loop, self transport.Peer, trust *membership.Trust) *Authority {
	return &Authority{loop: loop, self: self, trust: trust, members: map[transport.Peer]*entry{}}
}

// Present implements transport.Proving.
func (a *Authority) Present() []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.own
}

// Grants implements transport.Authority. Of the node itself it is what its certificate
// says, whether that has ended or not: what a node does with itself is its own affair.
func (a *Authority) Grants(p transport.Peer) (g transport.Grants, known bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if p == a.self {
		return transport.Grants{Services: a.ownIs.Services}, true
	}
	if e := a.members[p]; e != nil {
		return transport.Grants{Services: e.member.Services}, true
	}
	return transport.Grants{}, false
}

// Watch implements transport.Proving.
func (a *Authority) Watch(changed func(own bool)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers = append(a.watchers, changed)
}

// OnLearned has changed called, on any goroutine and with nothing locked, when there is something that outlives
// the node's run: it shows another certificate, or knows of a further revocation or rotation.
func (a *Authority) OnLearned(changed func()) (stop func()) { return a.learned.Add(changed) }

// tell tells those that watch.
func (a *Authority) tell(own bool) {
	a.mu.RLock()
	watchers := slices.Clone(a.watchers)
	a.mu.RUnlock()
	for _, changed := range watchers {
		changed(own)
	}
}

// Admit implements transport.Proving.
func (a *Authority) Admit(p transport.Peer, shown []byte) error {
	if len(shown) == 0 {
		return ErrNothing
	}
	a.mu.RLock()
	known := a.members[p]
	a.mu.RUnlock()
	if known != nil && bytes.Equal(known.shown, shown) {
		return nil // it is looked at when it ends
	}
	presented, err := decode(shown)
	if err != nil {
		return err
	}
	if len(presented.Rotations) > 0 {
		_, _ = a.Rotate(presented.Rotations...) // those that are none are no reason to doubt the rest
		presented.Rotations = nil
	}
	for {
		m, version, err := a.verify(presented, p)
		if err != nil {
			return err
		}
		if a.remember(entry{shown: bytes.Clone(shown), presented: presented, member: m}, version) {
			return nil
		}
	}
}

func decode(shown []byte) (p membership.Presented, err error) {
	if len(shown) > transport.CredentialsLenMax {
		return p, fmt.Errorf("%w: %d bytes", membership.ErrMalformed, len(shown))
	}
	if err := transport.Decode(shown, &p); err != nil {
		return p, fmt.Errorf("%w: %w", membership.ErrMalformed, err)
	}
	return p, nil
}

// verify checks what a peer presents, by what is known at a version.
func (a *Authority) verify(p membership.Presented, peer transport.Peer) (m membership.Member, version uint64, err error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	m, err = membership.Verify(p, peer, a.trust, &a.revoked, a.loop.Now())
	return m, a.version, err
}

// remember keeps what was verified, unless what is trusted has changed since.
func (a *Authority) remember(e entry, version uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.version != version {
		return false
	}
	if a.members[e.member.Peer] == nil && len(a.members) >= membersMax {
		a.forgetOldest()
	}
	a.shows++
	e.number = a.shows
	if e.presented.Issuer != nil {
		e.issuer = e.presented.Certificate.By
	}
	a.members[e.member.Peer] = &e
	a.planLook()
	return true
}

// forgetOldest forgets who has shown its certificate longest ago. It may show it again.
func (a *Authority) forgetOldest() {
	var oldest *entry
	for _, e := range a.members {
		if oldest == nil || e.number < oldest.number {
			oldest = e
		}
	}
	delete(a.members, oldest.member.Peer)
}

// planLook plans the next look at what ends, if anything can.
func (a *Authority) planLook() {
	if a.looking || len(a.members) == 0 {
		return
	}
	a.looking = true
	a.loop.AfterFunc(LookInterval, a.look)
}

// look forgets those whose certificates have ended.
func (a *Authority) look() {
	a.mu.Lock()
	a.looking = false
	now := a.loop.Now()
	fewer := a.recheck(now, func(e *entry) bool { return now.Unix() > e.member.Until })
	a.planLook()
	a.mu.Unlock()
	if fewer {
		a.tell(false)
	}
}

// recheck verifies members again, and reports whether any is none now.
func (a *Authority) recheck(now time.Time, which func(*entry) bool) (fewer bool) {
	for p, e := range a.members {
		if !which(e) {
			continue
		}
		m, err := membership.Verify(e.presented, p, a.trust, &a.revoked, now)
		if err != nil {
			delete(a.members, p)
			fewer = true
			continue
		}
		e.member = m
	}
	return fewer
}

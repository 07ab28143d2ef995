package libp2p

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/taucloud/tau/transport"
)

var (
	errHandshakes = errors.New("too many handshakes are under way")
	errSentAway   = errors.New("the connection gave way to another one, or has lasted too long")
	errOften      = errors.New("too many connections have come lately")
	errStreams    = errors.New("too many streams of a stranger")
)

// limiter is libp2p's resource manager with the limits of limits.go, and some of its own, which are about
// connections that others open. A connection is in one of three states: its handshake is under way,
// its peer is a stranger, or its peer is a member. The first two have doors.
//
// Whether a peer is a member it asks whoever knows, instead of being told: when the handshake is over, when
// room is needed, when the peer opens a stream, and every strangerTime.
type limiter struct {
	network.ResourceManager
	limits hostLimits
	// member reports whether a peer is a member, and whether peers can prove that they are. It may be
	// called on any goroutine and does not wait.
	member func(peer.ID) (is, provable bool)

	mu         sync.Mutex
	handshakes door
	quic       door // handshakes, too
	strangers  door
	visits     *visits
}

func newLimiter(limits hostLimits, member func(peer.ID) (is, provable bool)) (*limiter, error) {
	m, err := newManager(filesMax())
	if err != nil {
		return nil, err
	}
	return &limiter{
		ResourceManager: m, limits: limits, member: member,
		handshakes: newDoor(handshakesMax, handshakesPerAddressMax),
		quic:       newDoor(quicHandshakesMax, quicHandshakesPerAddressMax),
		strangers:  newDoor(limits.strangers, limits.strangersPerAddress),
		visits:     newVisits(limits.membersRates, limits.announcedRates, limits.rates, limits.newcomers),
	}, nil
}

// OpenConnection implements network.ResourceManager. Over TCP, usesFile is true.
func (l *limiter) OpenConnection(dir network.Direction, usesFile bool, remote multiaddr.Multiaddr) (network.ConnManagementScope, error) {
	if dir == network.DirOutbound {
		return l.ResourceManager.OpenConnection(dir, usesFile, remote)
	}
	address := addressOf(remote)
	if !l.mayCome(address, remote) {
		return nil, errOften
	}
	scope, err := l.ResourceManager.OpenConnection(dir, usesFile, remote)
	if err != nil {
		return nil, err
	}
	s := &inboundScope{ConnManagementScope: scope, limiter: l, address: address}
	l.mu.Lock()
	defer l.mu.Unlock()
	if usesFile {
		l.handshakes.enter(s).sendAway()
		return s, nil
	}
	if l.quic.full(s.address) {
		scope.Done()
		return nil, errHandshakes
	}
	l.quic.enter(s)
	return s, nil
}

// mayCome counts a connection that comes from an address, before anything is spent on it.
func (l *limiter) mayCome(address string, remote multiaddr.Multiaddr) bool {
	if !l.limits.loopback && manet.IsIPLoopback(remote) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.visits.allow(address, time.Now())
}

// areMembers says that members announce addresses.
func (l *limiter) areMembers(at []multiaddr.Multiaddr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range at {
		if _, err := manet.ToIP(a); err == nil {
			l.visits.isAnnounced(addressOf(a), time.Now())
		}
	}
}

// VerifySourceAddress implements network.ResourceManager, for QUIC.
func (l *limiter) VerifySourceAddress(addr net.Addr) bool {
	l.mu.Lock()
	many := len(l.quic.inside) >= quicVerifyMin
	l.mu.Unlock()
	return many || l.ResourceManager.VerifySourceAddress(addr)
}

// OpenStream implements network.ResourceManager. It counts the streams of strangers.
func (l *limiter) OpenStream(p peer.ID, dir network.Direction) (network.StreamManagementScope, error) {
	if dir == network.DirInbound {
		if is, provable := l.member(p); provable && !is && !l.countStream(p) {
			return nil, errStreams
		}
	}
	return l.ResourceManager.OpenStream(p, dir)
}

// countStream counts a stream of a stranger. It reports whether it may have one more, and sends it away
// otherwise.
func (l *limiter) countStream(p peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var of *inboundScope
	for _, s := range l.strangers.inside {
		if s.peer == p && (of == nil || s.streams < of.streams) {
			of = s
		}
	}
	if of == nil {
		return true // its last connection has just ended, or its membership
	}
	if of.streams++; of.streams > strangerStreamsMax {
		l.strangers.leave(of)
		of.sendAway()
		return false
	}
	return true
}

// stranger lets a connection of one in. Those who are members by now give way first.
func (l *limiter) stranger(s *inboundScope) {
	if l.strangers.full(s.address) {
		for _, other := range append([]*inboundScope(nil), l.strangers.inside...) {
			if is, _ := l.member(other.peer); is {
				l.strangers.leave(other)
			}
		}
	}
	l.strangers.enter(s).sendAway()
}

// addressOf is the address without its port, or its site with IPv6.
func addressOf(a multiaddr.Multiaddr) string {
	ip, err := manet.ToIP(a)
	if err != nil {
		return a.String()
	}
	if ip.To4() == nil {
		return ip.Mask(net.CIDRMask(56, 128)).String()
	}
	return ip.String()
}

// inboundScope is the resource scope of a connection that a peer opened. The peer is known after
// the handshake only. The limiter's mutex guards all of it.
type inboundScope struct {
	network.ConnManagementScope
	limiter *limiter
	address string

	peer    peer.ID
	at      *door  // nil: of a member, or over
	close   func() // nil: not known yet
	streams int    // opened while it is a stranger's
	away    bool   // sent away
	done    bool
	look    *time.Timer
}

// SetPeer implements network.ConnManagementScope.
func (s *inboundScope) SetPeer(p peer.ID) error {
	if err := s.authenticated(p); err != nil {
		return err
	}
	return s.ConnManagementScope.SetPeer(p)
}

func (s *inboundScope) authenticated(p peer.ID) error {
	l := s.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.done || s.away {
		return errSentAway
	}
	s.at.leave(s)
	s.peer = p
	if is, _ := l.member(p); is {
		l.visits.ofMember(s.address, time.Now())
	} else {
		l.stranger(s)
	}
	s.look = time.AfterFunc(l.limits.strangerTime, s.lookAgain)
	return nil
}

// lookAgain ends a connection that is still a stranger's, and begins to count one that has become a
// stranger's.
func (s *inboundScope) lookAgain() {
	l := s.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.done || s.away {
		return
	}
	is, provable := l.member(s.peer)
	switch {
	case is && s.at != nil:
		l.strangers.leave(s)
		l.visits.ofMember(s.address, time.Now())
	case !is && s.at == nil:
		s.streams = 0
		l.stranger(s)
	case !is && provable:
		l.strangers.leave(s)
		s.sendAway()
		return
	}
	s.look.Reset(l.limits.strangerTime)
}

// sendAway closes a connection that is at no door any more, as soon as it is known how. A nil scope is nobody's.
func (s *inboundScope) sendAway() {
	if s == nil {
		return
	}
	s.away = true
	if s.close != nil {
		go s.close()
	}
}

// closeBy says how a connection is closed. What was said first counts.
func (s *inboundScope) closeBy(f func() error) {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	if s.close != nil {
		return
	}
	s.close = func() { _ = f() }
	if s.away {
		go s.close()
	}
}

// connected tells the scope of a connection how to close it: one of QUIC learns it here.
func connected(_ network.Network, c network.Conn) {
	if s, ok := c.Scope().(*inboundScope); ok {
		s.closeBy(c.Close)
	}
}

// Done implements network.ResourceScopeSpan.
func (s *inboundScope) Done() {
	l := s.limiter
	l.mu.Lock()
	if s.at != nil {
		s.at.leave(s)
	}
	if s.look != nil {
		s.look.Stop()
	}
	s.done = true
	l.mu.Unlock()
	s.ConnManagementScope.Done()
}

// SetMembers implements transport.Doorkeeper.
func (h *Host) SetMembers(proven func(transport.Peer) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proven = proven
}

// member reports whether a peer is a member, and whether peers can prove that they are.
func (h *Host) member(id peer.ID) (is, provable bool) {
	h.mu.Lock()
	learned, proven := h.learned[id], h.proven
	h.mu.Unlock()
	if proven == nil {
		return learned, false
	}
	p, err := FromPeerID(id)
	return err == nil && proven(p), true
}

package transport

import "fmt"

const (
	// VersionMin and VersionMax are the versions of the protocol that this release
	// speaks. A conn speaks the highest one that both ends do.
	VersionMin = 1
	VersionMax = 1

	// greetingLenMax bounds a hello, in bytes, with all that later releases add.
	greetingLenMax = 16 << 10
	// CredentialsLenMax bounds what a node shows of itself, in bytes.
	CredentialsLenMax = 8 << 10
	// sessionsPerPeerMax bounds the conns of one peer: two of each class when both
	// have dialed, as many that are on their way out, and those of before a restart.
	sessionsPerPeerMax = 16
)

// Hello is the first frame that each end of a conn sends, and nothing else is sent before that of
// the other end has come. A later release may add fields: unknown ones are skipped.
type Hello struct {
	// VersionMin and VersionMax are the range of versions that the sender speaks.
	VersionMin uint64
	VersionMax uint64
	// Class is the class of the conn. The dialer decides it.
	Class Class
	// Retired: who has dialed it has retired the one before, which is not closed yet. The
	// word of that may come later, since it goes another way.
	Retired bool `cbor:",omitempty"`
	// Credentials are what the sender shows to prove that it is a member; none from a stranger.
	Credentials []byte `cbor:",omitempty"`
}

// Versions makes an engine speak other versions than this release does. It is for
// tests of nodes of different releases.
func Versions(lowest, highest uint64) Option {
	return func(e *Engine) { e.versionMin, e.versionMax = lowest, highest }
}

// greet says hello on a new conn.
func (e *Engine) greet(s *session, class Class, a *actions) {
	retired := s.dialed && s.link.retired > 0
	hello := Encode(Hello{VersionMin: e.versionMin, VersionMax: e.versionMax, Class: class, Retired: retired, Credentials: e.shown()})
	if e.meddler != nil {
		hello = e.meddler.Written(hello)
	}
	e.urgent(s, encodeHello(hello), a)
	e.watchParts(a)
}

// greeted handles the first frame on a conn, the peer's hello.
func (e *Engine) greeted(s *session, f frame, a *actions) error {
	if s.refused {
		return nil // ignored: the peer is about to receive our refusal
	}
	if f.typ != frameHello {
		return fmt.Errorf("a frame of type %d instead of a hello", f.typ)
	}
	h := f.hello
	version, refusal := e.common(h)
	switch {
	case refusal == nil && h.Class >= classCount:
		return fmt.Errorf("a conn for traffic of class %d", h.Class)
	case refusal == nil && s.dialed && e.isStranger(s.remote.peer):
		e.drop(s, notMember(f.doubt), a)
	case refusal == nil:
		s.greeted, s.version = true, version
		s.doubt = f.doubt
		e.leaves(s)
		e.assign(s, h, a)
	case s.dialed:
		e.drop(s, refusal, a)
	default:
		s.refused = true // the dialer closes it, when it has read our hello
	}
	return nil
}

// common is the highest version that a peer and this node speak, or an error if there is none.
func (e *Engine) common(h Hello) (uint64, *Error) {
	version := min(h.VersionMax, e.versionMax)
	if version < max(h.VersionMin, e.versionMin) {
		return 0, &Error{Kind: Refused, Text: fmt.Sprintf("the peer speaks versions %d to %d of the protocol, and this node %d to %d",
			h.VersionMin, h.VersionMax, e.versionMin, e.versionMax)}
	}
	return version, nil
}

// assign gives a conn on which both ends have said hello to the link of its class.
func (e *Engine) assign(s *session, h Hello, a *actions) {
	if s.dialed {
		s.link.dialing = false
		s.link.dialed = s
	} else {
		s.link = &s.remote.links[h.Class]
		if before := s.link.accepted; before != nil && h.Retired {
			e.retiredByPeer(before, a)
		}
		e.replace(s.link, a)
		s.link.accepted = s
	}
	e.established(s, a)
}

// replace drops the conns before one that the peer has just dialed: they are
// dead, or the peer would have used them.
func (e *Engine) replace(l *link, a *actions) {
	if l.accepted != nil {
		e.drop(l.accepted, unreachable("the peer opened another conn"), a)
	}
	if l.dialed != nil && e.loop.Elapsed()-l.dialed.since > staleAfter {
		e.drop(l.dialed, unreachable("the peer opened another conn"), a)
	}
}

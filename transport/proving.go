package transport

import (
	"fmt"
	"strings"
	"time"
)

// Proving is an Authority whose members prove what they are: each end of a conn shows
// its credentials in its hello, before anything else is read of it, and again on the
// conns that there are when it has others.
//
// Who shows none, or none that count, is a stranger. A node calls no strangers: a dial
// ends when the other end turns out to be one. It serves them what is for anyone, within
// narrow bounds (see strangersMax). Whose membership ends loses its conns with all that
// goes on there: handlers are cancelled, and nobody hears what they answer.
type Proving interface {
	Authority
	// Present is what this node shows of itself, of at most CredentialsLenMax bytes; empty
	// if it has nothing. It is called with the engine locked, and returns the same bytes
	// until it reports others.
	Present() []byte
	// Admit is told what an authenticated peer shows. After nil, Grants has that; otherwise
	// Grants tells what it did before, and the error says why. It is called on any
	// goroutine, with nothing locked.
	Admit(p Peer, shown []byte) error
	// Watch has changed called, with nothing locked, when what Grants tells of somebody was
	// changed by something else than Admit, and with own when Present returns something else.
	Watch(changed func(own bool))
}

const (
	// showsMax is how often a peer may show credentials on one conn, and showPause the time
	// after which it may once more: each costs signatures to check.
	showsMax  = 8
	showPause = 10 * time.Second
)

// shown is what this node shows of itself.
func (e *Engine) shown() []byte {
	if e.proving == nil {
		return nil
	}
	return e.proving.Present()
}

// Credentials are what the node shows of itself, for programs that open conns of their own.
func (ep *Endpoint) Credentials() []byte { return ep.engine.shown() }

// isStranger reports whether a peer has not proven that it is a member, where that is asked for.
func (e *Engine) isStranger(p Peer) bool {
	if e.proving == nil || p == e.self {
		return false
	}
	_, known := e.proving.Grants(p)
	return !known
}

// mayServe reports whether a peer may offer the service of a method, where members prove
// that. The peer has answered, so it has been met.
func (e *Engine) mayServe(p Peer, method string) bool {
	if e.proving == nil || p == e.self {
		return true
	}
	service, _, _ := strings.Cut(method, "/")
	g, known := e.proving.Grants(p)
	return known && g.Offers(service)
}

func notMember(doubt error) *Error {
	return &Error{Kind: NotAllowed, Text: "the peer has not proven that it is a member" + because(doubt)}
}

func because(doubt error) string {
	if doubt == nil {
		return ""
	}
	return ": " + doubt.Error()
}

// examine reads what a peer says or shows of itself, with nothing locked: to check
// signatures takes time. An error is a breach of the protocol.
func (e *Engine) examine(c Conn, f *frame) error {
	shown := f.message
	switch f.typ {
	case frameHello:
		if err := Decode(f.message, &f.hello); err != nil {
			return err
		}
		if shown = f.hello.Credentials; len(shown) > CredentialsLenMax {
			return fmt.Errorf("credentials of %d bytes", len(shown))
		}
	case frameCredentials:
	default:
		return nil
	}
	if e.proving == nil {
		return nil
	}
	if !e.mayShow(c) {
		return fmt.Errorf("the peer shows credentials too often")
	}
	f.doubt = e.proving.Admit(c.Remote(), shown)
	return nil
}

// mayShow reports whether a peer may show something on a conn now, and counts that.
func (e *Engine) mayShow(c Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[c]
	if s == nil {
		return false
	}
	s.shows++
	return s.shows <= showsMax+int((e.loop.Elapsed()-s.since)/showPause)
}

// shownAgain handles other credentials on a conn.
func (e *Engine) shownAgain(s *session, f frame, a *actions) {
	s.doubt = f.doubt
	for _, of := range e.sessionsInOrder() {
		if of.remote == s.remote {
			e.review(of, a)
		}
	}
}

// membershipChanged shows what this node has now, and looks at who is still a member.
func (e *Engine) membershipChanged(own bool) {
	e.do(func(a *actions) {
		shown := e.shown()
		for _, s := range e.sessionsInOrder() {
			if own && s.greeted && s.remote.peer != e.self {
				e.urgent(s, encodeCredentials(shown), a)
			}
			e.review(s, a)
		}
	})
}

// review compares a session with what its peer is now.
func (e *Engine) review(s *session, a *actions) {
	stranger := e.isStranger(s.remote.peer)
	switch {
	case s.over || !s.greeted || s.stranger == stranger:
	case stranger:
		e.drop(s, &Error{Kind: NotAllowed, Text: "it is no member any more"}, a)
	default:
		e.leaves(s)
		e.established(s, a)
	}
}

package transport

import (
	"time"

	"github.com/taucloud/tau/clock"
)

const (
	// dialQueueLenMax and dialQueueBytesMax bound what waits for a dial.
	dialQueueLenMax   = 1024
	dialQueueBytesMax = 8 << 20

	// backoffMin and backoffMax bound the time between two dials that fail.
	backoffMin = 200 * time.Millisecond
	backoffMax = 5 * time.Second
	// deadMemory is how long after its last failed dial a peer is remembered as dead, and
	// deadLenMax how many such peers are remembered.
	deadMemory = time.Minute
	deadLenMax = 1024

	// staleAfter is the age from which our conn to a peer counts as dead when the peer dials us: a
	// peer dials only without a conn to us, and dials that cross each other begin within a short
	// time.
	staleAfter = 10 * time.Second
)

// remote is another node: how to reach it, and a link to it for each class.
type remote struct {
	peer     Peer
	links    [classCount]link
	sessions int // all that are not over

	// The memory of dials that failed, of whatever class.
	backoff  time.Duration // 0: the last dial did not fail
	retryAt  time.Duration // in the engine's loop.Elapsed
	failedAt time.Duration
	refusal  *Error // why the peer refuses us, if that is known
}

// idle remotes need not be remembered.
func (r *remote) idle() bool {
	for i := range r.links {
		if l := &r.links[i]; l.dialing || l.handlers > 0 {
			return false
		}
	}
	return r.sessions == 0 && r.backoff == 0
}

// link is the state of one class between this node and a peer: at most one conn in each direction
// of dialing, and the frames that wait for a dial.
//
// New traffic goes over current: the first conn that was established, for as long as it lasts, so
// that notes stay in order. Responses go over the conn of their request.
type link struct {
	remote   *remote
	class    Class
	current  *session
	accepted *session
	dialed   *session
	retired  int // sessions that we dialed and have retired, and that are not over

	dialing      bool
	waiting      []outbound
	waitingBytes int

	handlers int // calls and streams of the peer that we serve
	serving  int // the bytes of their requests
}

// forget takes a session out of the link.
func (l *link) forget(s *session) {
	if l.accepted == s {
		l.accepted = nil
	}
	if l.dialed == s {
		l.dialed = nil
	}
	if l.current == s {
		l.current = l.dialed
		if l.current == nil && l.accepted != nil && !l.accepted.stranger {
			l.current = l.accepted
		}
	}
}

// originate sends a frame of ours to a peer, dialing it if need be.
func (e *Engine) originate(to Peer, class Class, o outbound, a *actions) *Error {
	if e.closed {
		return stoppedError
	}
	l := e.linkTo(to, e.classTo(to, class))
	if l.current == nil && to == e.self {
		e.loopback(l)
	}
	if s := l.current; s != nil {
		if o.stream == nil && !e.fits(s, len(o.frame)) {
			return errNoRoom
		}
		e.bind(s, o, a)
		return nil
	}
	if err := e.dial(l, a); err != nil {
		e.forgetIdle(l.remote)
		return err
	}
	if l.remote.backoff > 0 && !o.oneWay() {
		return l.remote.failure("the last dial failed, and the next one goes on")
	}
	size := len(o.frame)
	if len(l.waiting) >= dialQueueLenMax || l.waitingBytes+size > dialQueueBytesMax {
		return &Error{Kind: Refused, Text: "too much waits for the conn"}
	}
	l.waiting = append(l.waiting, o)
	l.waitingBytes += size
	return nil
}

// dial starts a dial, unless there is a conn or it is too early after a failed one.
func (e *Engine) dial(l *link, a *actions) *Error {
	r := l.remote
	switch {
	case l.dialing:
		return nil
	case !e.admit(r.peer):
		return unreachable("not admitted")
	case e.loop.Elapsed() < r.retryAt:
		return r.failure("a dial failed just now")
	}
	l.dialing = true
	a.add(func() { e.host.Open(r.peer, l.class, func(c Conn, err error) { e.opened(l, c, err) }) })
	return nil
}

// failure is why the peer cannot be reached.
func (r *remote) failure(text string) *Error {
	if r.refusal != nil {
		return r.refusal
	}
	return unreachable(text)
}

// errNoRoom: too much waits for this peer or for all of them.
var errNoRoom = &Error{Kind: Refused, Text: "too much waits to be sent"}

// bind ties an outbound frame to a session.
func (e *Engine) bind(s *session, o outbound, a *actions) {
	if o.call != nil {
		o.call.session = s
		s.calls++
	}
	if o.stream != nil {
		o.frame = o.stream.bind(s, o.frame, a)
	}
	e.queue(s, o, a)
}

// opened handles the end of a dial.
func (e *Engine) opened(l *link, c Conn, err error) {
	e.do(func(a *actions) {
		switch {
		case err != nil:
			e.dialFailed(l, unreachable(err.Error()), a)
		case e.closed:
			a.add(c.Close)
		default:
			s := e.newSession(l.remote, c, true)
			s.link = l
			e.greet(s, l.class, a)
		}
	})
}

// dialFailed ends a dial, before there was a conn or before the peer has said hello.
func (e *Engine) dialFailed(l *link, cause *Error, a *actions) {
	l.dialing = false
	e.failed(l.remote, cause, a)
	e.dropWaiting(l, cause, a)
}

// accepted handles a conn that a peer dialed. Its class is in its hello.
func (e *Engine) accepted(c Conn, a *actions) {
	r := e.remoteOf(c.Remote())
	if r.sessions >= sessionsPerPeerMax {
		a.add(c.Close)
		return
	}
	s := e.newSession(r, c, false)
	e.atTheDoor(s, a)
	e.greet(s, Control, a)
}

// established sends the frames that wait for the link over a new session.
func (e *Engine) established(s *session, a *actions) {
	l := s.link
	if e.isStranger(l.remote.peer) {
		e.strangerCame(s, a)
		return
	}
	e.alive(l.remote)
	if l.class == Bulk {
		e.watchIdle(s, a)
	}
	if l.current == nil {
		l.current = s
	}
	waiting := l.waiting
	l.waiting, l.waitingBytes = nil, 0
	for _, o := range waiting {
		switch {
		case l.current == nil: // it broke while the frames were sent
			e.failOutbound(o, unreachable("the conn broke"), a)
			continue
		case o.call != nil && o.call.done, o.stream != nil && o.stream.err != nil:
			continue
		case o.oneWay() && !e.fits(l.current, len(o.frame)):
			continue
		case o.call != nil:
			setLeft(o.frame, o.call.deadline-o.call.ep.loop.Elapsed())
		}
		e.bind(l.current, o, a)
	}
}

// dropWaiting fails everything that waits for a conn after its dial has failed.
func (e *Engine) dropWaiting(l *link, cause *Error, a *actions) {
	waiting := l.waiting
	l.waiting, l.waitingBytes = nil, 0
	for _, o := range waiting {
		e.failOutbound(o, cause, a)
	}
}

// failOutbound fails the call or stream of a frame that will not be sent.
func (e *Engine) failOutbound(o outbound, cause *Error, a *actions) {
	if o.call != nil {
		e.finish(o.call, nil, cause, a)
	}
	if o.stream != nil {
		o.stream.end(cause, a)
	}
}

// loopback gives a link to this node itself its two sessions.
func (e *Engine) loopback(l *link) {
	near, far := &loopConn{engine: e}, &loopConn{engine: e}
	near.other, far.other = far, near
	l.dialed = e.newSession(l.remote, near, true)
	l.accepted = e.newSession(l.remote, far, false)
	for _, s := range []*session{l.dialed, l.accepted} {
		s.link, s.greeted, s.version = l, true, e.versionMax
	}
	l.current = l.dialed
}

// loopConn is one end of the conn of a node to itself. It delivers at once:
// whatever a frame causes happens in a later turn anyway.
type loopConn struct {
	engine *Engine
	other  *loopConn
}

func (c *loopConn) Remote() Peer { return c.engine.self }

func (c *loopConn) Send(frame []byte) error {
	(*receiver)(c.engine).Frame(c.other, frame)
	return nil
}

func (c *loopConn) Close() { (*receiver)(c.engine).Closed(c.other, clock.ErrStopped) }

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
	// deadMemory is how long after its last failed dial a peer is known to be dead,
	// and deadLenMax of how many that is known.
	deadMemory = time.Minute
	deadLenMax = 1024

	// staleAfter is the age from which our conn to a peer is dead when the peer
	// dials us: a peer dials only when it has no conn to us, and only a dial
	// that began before ours was accepted, and a dial is soon over, can cross it.
	staleAfter = 10 * time.Second
)

// link is all that there is between this node and a peer: at most one conn in
// each direction of dialing, what waits for a dial, and the memory of dials
// that failed.
//
// What we originate goes over current: the first conn that was established, for
// as long as it lasts, so that notes stay in order. Responses go over the conn
// of their request.
type link struct {
	peer     Peer
	current  *session
	accepted *session
	dialed   *session

	dialing      bool
	waiting      []outbound
	waitingBytes int

	backoff  time.Duration // 0: the last dial did not fail
	retryAt  time.Duration // in the engine's loop.Elapsed
	failedAt time.Duration

	handlers int // calls and streams of the peer that we serve
	serving  int // the bytes of their requests
}

func (e *Engine) linkTo(p Peer) *link {
	l := e.links[p]
	if l == nil {
		l = &link{peer: p}
		e.links[p] = l
	}
	return l
}

// idle links need not be remembered.
func (l *link) idle() bool {
	return l.accepted == nil && l.dialed == nil && !l.dialing && l.handlers == 0 && l.backoff == 0
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
		if l.current == nil {
			l.current = l.accepted
		}
	}
}

// originate sends a frame of ours to a peer, dialing it if need be.
func (e *Engine) originate(to Peer, o outbound, a *actions) *Error {
	if e.closed {
		return stoppedError
	}
	l := e.linkTo(to)
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
	if !l.dialing {
		if !e.admit(to) {
			return unreachable("not admitted")
		}
		if e.loop.Elapsed() < l.retryAt {
			return unreachable("a dial failed just now")
		}
		l.dialing = true
		a.add(func() { e.host.Open(to, func(c Conn, err error) { e.opened(l, c, err) }) })
	}
	if l.backoff > 0 && !o.oneWay() {
		return unreachable("the last dial failed, and the next one goes on")
	}
	size := len(o.frame)
	if len(l.waiting) >= dialQueueLenMax || l.waitingBytes+size > dialQueueBytesMax {
		return &Error{Kind: Refused, Text: "too much waits for the conn"}
	}
	l.waiting = append(l.waiting, o)
	l.waitingBytes += size
	return nil
}

// errNoRoom: too much waits for this peer or for all of them.
var errNoRoom = &Error{Kind: Refused, Text: "too much waits to be sent"}

// bind ties an outbound frame to a session.
func (e *Engine) bind(s *session, o outbound, a *actions) {
	if o.call != nil {
		o.call.session = s
	}
	if o.stream != nil {
		o.frame = o.stream.bind(s, o.frame, a)
	}
	e.queue(s, o, a)
}

// opened is the end of a dial.
func (e *Engine) opened(l *link, c Conn, err error) {
	e.do(func(a *actions) {
		l.dialing = false
		switch {
		case err != nil:
			e.failed(l, a)
			e.dropWaiting(l, unreachable(err.Error()), a)
		case e.closed:
			a.add(c.Close)
		default:
			s := e.newSession(l, c, true)
			l.dialed = s
			e.established(s, a)
		}
	})
}

// accepted is a conn that a peer dialed. Its predecessors are dead: the peer
// would have used them.
func (e *Engine) accepted(c Conn, a *actions) {
	l := e.linkTo(c.Remote())
	if l.accepted != nil {
		e.drop(l.accepted, unreachable("the peer opened another conn"), a)
	}
	if l.dialed != nil && e.loop.Elapsed()-l.dialed.since > staleAfter {
		e.drop(l.dialed, unreachable("the peer opened another conn"), a)
	}
	e.links[l.peer] = l // it may have been idle for a moment
	s := e.newSession(l, c, false)
	l.accepted = s
	e.established(s, a)
}

// established lets a new session carry what waits for the link.
func (e *Engine) established(s *session, a *actions) {
	l := s.link
	e.alive(l)
	if l.current == nil {
		l.current = s
	}
	waiting := l.waiting
	l.waiting, l.waitingBytes = nil, 0
	for _, o := range waiting {
		switch {
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

// dropWaiting ends what waits for a conn that will not come.
func (e *Engine) dropWaiting(l *link, cause *Error, a *actions) {
	waiting := l.waiting
	l.waiting, l.waitingBytes = nil, 0
	for _, o := range waiting {
		if o.call != nil {
			e.finish(o.call, nil, cause, a)
		}
		if o.stream != nil {
			o.stream.end(cause, a)
		}
	}
}

// loopback gives a link to this node itself its two sessions.
func (e *Engine) loopback(l *link) {
	near, far := &loopConn{engine: e}, &loopConn{engine: e}
	near.other, far.other = far, near
	l.dialed = e.newSession(l, near, true)
	l.accepted = e.newSession(l, far, false)
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

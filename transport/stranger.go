package transport

import (
	"fmt"
	"time"
)

const (
	// halfOpenMax bounds the conns whose dialer has not said hello yet. For a further one,
	// the oldest is closed, of a peer that has the most: a hello takes one way over the network.
	halfOpenMax = 256
	// strangersMax bounds the conns of those who are no members. For a further one, the oldest
	// is closed, of a peer that has the most, so that whoever comes to join has its turn also in a crowd. Members
	// need none of this room.
	strangersMax = 64
	// strangerTime is how long such a conn lasts; who has proven membership meanwhile keeps it.
	strangerTime = 30 * time.Second
	// strangerBytesMax bounds what a stranger may send on one conn, and strangerHandlersMax
	// how many of its calls and streams of one class are served at once.
	strangerBytesMax    = 256 << 10
	strangerHandlersMax = 4
)

// atTheDoor counts a conn that was accepted, whose peer is to say who it is.
func (e *Engine) atTheDoor(s *session, a *actions) {
	s.halfOpen = true
	if e.halfOpen++; e.halfOpen > halfOpenMax {
		e.dropOldest(func(s *session) bool { return s.halfOpen }, "too many wait to say hello", a)
	}
}

// strangerCame counts a conn of one who is no member.
func (e *Engine) strangerCame(s *session, a *actions) {
	s.stranger = true
	if e.strangers++; e.strangers > strangersMax {
		e.dropOldest(func(s *session) bool { return s.stranger }, "too many strangers", a)
	}
	e.watchParts(a)
}

// leaves takes a session out of what is counted here.
func (e *Engine) leaves(s *session) {
	if s.halfOpen {
		s.halfOpen = false
		e.halfOpen--
	}
	if s.stranger {
		s.stranger = false
		e.strangers--
	}
}

// dropOldest drops a session: of the peers with the most, the oldest. So one peer that opens many does not
// push out others.
func (e *Engine) dropOldest(is func(*session) bool, why string, a *actions) {
	counts, most := map[Peer]int{}, 0
	for _, s := range e.sessions {
		if is(s) {
			counts[s.remote.peer]++
			most = max(most, counts[s.remote.peer])
		}
	}
	var oldest *session
	for _, s := range e.sessions {
		if is(s) && counts[s.remote.peer] == most && (oldest == nil || s.number < oldest.number) {
			oldest = s
		}
	}
	if oldest != nil {
		e.drop(oldest, unreachable(why), a)
	}
}

// countStrange counts what a stranger sends.
func (s *session) countStrange(bytes int) error {
	if s.strange += bytes; s.strange > strangerBytesMax {
		return fmt.Errorf("more than %d bytes of a stranger", strangerBytesMax)
	}
	return nil
}

// timeLeft is what a session has to say hello, or as a stranger's, and what is said at the
// end of it; timed is false if there is no such end.
func (s *session) timeLeft(now time.Duration) (left time.Duration, timed bool, why string) {
	switch {
	case !s.greeted:
		return s.since + FrameTimeout - now, true, fmt.Sprintf("no hello for %s", FrameTimeout)
	case s.stranger:
		return s.since + strangerTime - now, true, fmt.Sprintf("no proof of membership for %s", strangerTime)
	}
	return 0, false, ""
}

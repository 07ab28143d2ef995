package transport

import "time"

// BulkIdleTime is how long a conn for bulk stays open after it was last used, at
// least; it may be twice that.
const BulkIdleTime = 30 * time.Second

// watchIdle schedules the next check whether a session is used.
func (e *Engine) watchIdle(s *session, a *actions) {
	a.add(func() { e.loop.AfterFunc(BulkIdleTime, func() { e.do(func(a *actions) { e.lookIdle(s, a) }) }) })
}

// lookIdle retires a session that was not used since the last check. The dialer announces that and
// begins nothing new on it; the other end, which may have begun something meanwhile, closes it when
// that is done.
func (e *Engine) lookIdle(s *session, a *actions) {
	unused := !s.busy() && s.moves == s.seen
	s.seen = s.moves
	switch {
	case s.over:
		return
	case unused && s.retired:
		e.drop(s, unreachable("the conn was not used"), a)
		return
	case unused && s.dialed:
		s.link.retired++
		e.retire(s)
		e.urgent(s, []byte{byte(frameRetire)}, a)
	}
	e.watchIdle(s, a)
}

// retire stops the use of a session for anything new.
func (e *Engine) retire(s *session) {
	s.retired = true
	s.link.forget(s)
}

// retiredByPeer handles the peer's frame that it begins nothing new on a conn.
func (e *Engine) retiredByPeer(s *session, a *actions) {
	e.retire(s)
	if !s.busy() {
		e.drop(s, unreachable("the conn was not used"), a)
	}
}

// busy reports whether a session has calls, streams, handlers or frames under way.
func (s *session) busy() bool {
	return s.calls > 0 || len(s.serving) > 0 || len(s.streams) > 0 || s.out.bytes > 0 || len(s.in.open) > 0
}

package transport

import "time"

// BulkIdleTime is how long a conn for bulk stays open after it was last used, at
// least; it may be twice that.
const BulkIdleTime = 30 * time.Second

// watchIdle has somebody look whether a session is still used.
func (e *Engine) watchIdle(s *session, a *actions) {
	a.add(func() { e.loop.AfterFunc(BulkIdleTime, func() { e.do(func(a *actions) { e.lookIdle(s, a) }) }) })
}

// lookIdle retires a session that nobody has used since it was last looked at. Who
// has dialed it says so and sends nothing new on it; the other end, which may have
// sent something meanwhile, closes it when that is done.
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
		e.retire(s)
		e.urgent(s, []byte{byte(frameRetire)}, a)
	}
	e.watchIdle(s, a)
}

// retire takes a session out of use for what is new.
func (e *Engine) retire(s *session) {
	s.retired = true
	s.link.forget(s)
}

// retiredByPeer is the peer's word that it sends nothing new on a conn.
func (e *Engine) retiredByPeer(s *session, a *actions) {
	e.retire(s)
	if !s.busy() {
		e.drop(s, unreachable("the conn was not used"), a)
	}
}

// busy reports whether anything goes on on a session.
func (s *session) busy() bool {
	return s.calls > 0 || len(s.serving) > 0 || len(s.streams) > 0 || s.out.bytes > 0 || len(s.in.open) > 0
}

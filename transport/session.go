package transport

import (
	"maps"
	"slices"
	"time"
)

// session is the protocol's state over one conn.
type session struct {
	link   *link
	conn   Conn
	number uint64
	dialed bool
	since  time.Duration
	over   bool

	out      []outbound
	flushing bool
	flush    func() // e.pass(s), made once

	serving      map[uint64]*serving
	streams      map[uint64]*Stream
	streamOurs   uint64 // the last id that we opened
	streamTheirs uint64 // the last id that the peer opened
}

// outbound is a frame on its way to a conn, and who waits for it: the call of a
// request, the stream of an open frame.
type outbound struct {
	frame  []byte
	call   *call
	stream *Stream
}

// droppable frames may be lost without anybody having to hear of it.
func (o outbound) droppable() bool {
	t := frameType(o.frame[0])
	return t == frameNote || t == framePublication
}

func (e *Engine) newSession(l *link, c Conn, dialed bool) *session {
	e.sessionCount++
	s := &session{
		link: l, conn: c, number: e.sessionCount, dialed: dialed, since: e.loop.Elapsed(),
		serving: map[uint64]*serving{},
		streams: map[uint64]*Stream{},
	}
	s.flush = func() { e.pass(s) }
	e.sessions[c] = s
	return s
}

// queue passes a frame on to the conn when the lock is free. Frames reach the
// conn in the order in which they were queued, whoever queued them.
func (e *Engine) queue(s *session, o outbound, a *actions) {
	if s.over {
		return
	}
	s.out = append(s.out, o)
	if !s.flushing {
		s.flushing = true
		a.add(s.flush)
	}
}

// pass empties a session's queue. One goroutine at a time does so for one
// session: others leave it their frames.
func (e *Engine) pass(s *session) {
	var spare []outbound
	for {
		e.mu.Lock()
		batch := s.out
		if len(batch) == 0 {
			s.flushing = false
			s.out = spare[:0]
			e.mu.Unlock()
			return
		}
		s.out = spare[:0]
		e.mu.Unlock()
		for i, o := range batch {
			batch[i] = outbound{}
			if err := s.conn.Send(o.frame); err != nil {
				e.notSent(s, o, err)
			}
		}
		spare = batch
	}
}

// notSent decides what a conn's full queue costs: a note is lost, a call ends,
// and when a response or a part of a stream is lost, so is the conn.
func (e *Engine) notSent(s *session, o outbound, err error) {
	e.do(func(a *actions) {
		switch {
		case o.droppable():
		case o.call != nil:
			e.finish(o.call, nil, unreachable(err.Error()), a)
		default:
			e.drop(s, unreachable(err.Error()), a)
		}
	})
}

// drop ends a session: calls and streams that wait on it end with cause, the
// handlers that serve it are cancelled, the conn is closed.
func (e *Engine) drop(s *session, cause *Error, a *actions) {
	if s.over {
		return
	}
	s.over = true
	s.out = nil
	delete(e.sessions, s.conn)
	s.link.forget(s)
	a.add(s.conn.Close)
	for _, id := range slices.Sorted(maps.Keys(e.calls)) {
		if c := e.calls[id]; c != nil && c.session == s {
			e.finish(c, nil, cause, a)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.serving)) {
		e.cancelServing(s, id, a)
	}
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		s.streams[id].end(cause, a)
	}
	if s.link.idle() {
		delete(e.links, s.link.peer)
	}
}

package transport

import (
	"maps"
	"slices"
	"time"
)

// session is the protocol's state over one conn.
type session struct {
	remote *remote
	link   *link // nil until a peer that has dialed has said hello
	conn   Conn
	number uint64
	dialed bool
	since  time.Duration
	over   bool

	greeted bool // the peer has said hello

	halfOpen bool  // it is accepted, and counted while its peer has not said hello
	stranger bool  // its peer has not proven that it is a member, and may do little
	strange  int   // bytes that a stranger has sent
	doubt    error // why it is taken for one
	shows    int   // how often the peer has shown credentials

	version uint64 // that both speak
	refused bool   // there is none: the peer will close the conn
	retired bool   // nothing new is sent on it
	calls   int    // of ours that wait on it
	moves   uint64 // counts frames in and out,
	seen    uint64 // up to when it was last looked at

	out      outbox
	in       inparts
	flushing bool
	flush    func() // e.pass(s), made once

	serving      map[uint64]*serving
	streams      map[uint64]*Stream
	streamOurs   uint64    // the last id that we opened
	streamTheirs uint64    // the last id that the peer opened
	closed       []*Stream // that we opened and closed, and the peer may not have ended

	// The windows of all streams together, see credit.go.
	streamWindow int // what we may send
	inflow       inflow
	windows      int // the sum of the streams' own windows
}

// outbound is a frame to be sent, its flow, and what waits for it: the call of a request, the
// stream of an open frame.
type outbound struct {
	frame  []byte
	flow   flowKey
	call   *call
	stream *Stream
}

// oneWay frames may be lost without notice.
func (o outbound) oneWay() bool {
	t := frameType(o.frame[0])
	return t == frameNote || t == framePublication
}

func (e *Engine) newSession(r *remote, c Conn, dialed bool) *session {
	e.sessionCount++
	e.remotes[r.peer] = r // it may have been idle for a moment
	r.sessions++
	s := &session{
		remote: r, conn: c, number: e.sessionCount, dialed: dialed, since: e.loop.Elapsed(),
		out:          newOutbox(),
		serving:      map[uint64]*serving{},
		streams:      map[uint64]*Stream{},
		streamWindow: ConnWindowMin,
		inflow:       newInflow(ConnWindowMin),
	}
	s.flush = func() { e.pass(s) }
	e.sessions[c] = s
	return s
}

// queue passes a frame on to the conn as soon as its turn comes.
func (e *Engine) queue(s *session, o outbound, a *actions) {
	if s.over {
		return
	}
	before := s.out.weight()
	s.out.push(o)
	e.weigh(s, before)
	if s.out.urgentBytes > urgentBytesMax {
		e.drop(s, unreachable("the peer asks and does not read"), a)
		return
	}
	e.flushSoon(s, a)
}

// urgent queues a frame that the protocol depends on.
func (e *Engine) urgent(s *session, frame []byte, a *actions) {
	e.queue(s, outbound{frame: frame, flow: flowKey{lane: laneUrgent}}, a)
}

// named queues a small frame, or one whose name's order matters.
func (e *Engine) named(s *session, name string, frame []byte, a *actions) {
	e.queue(s, outbound{frame: frame, flow: flowKey{lane: laneNamed, name: name}}, a)
}

// class is the class of the conn, as far as it is known.
func (s *session) class() Class {
	if s.link == nil {
		return Control
	}
	return s.link.class
}

// weigh counts by how much a session's weight has changed.
func (e *Engine) weigh(s *session, before int) { e.outbound[s.class()] += s.out.weight() - before }

func (e *Engine) flushSoon(s *session, a *actions) {
	if !s.flushing {
		s.flushing = true
		a.add(s.flush)
	}
}

// takeBack drops the waiting frames of a flow, and reports whether there were none. The peer will
// grant no credit for them, so their share of the conn's window is returned here.
func (e *Engine) takeBack(s *session, key flowKey, a *actions) (wasSent bool) {
	before := s.out.weight()
	s.streamWindow += s.out.credit(key)
	wasSent = s.out.drop(key)
	e.weigh(s, before)
	if !wasSent && !s.over {
		e.flushSoon(s, a)
		e.wakeWaiting(a)
	}
	return wasSent
}

// passLen is how many frames are taken from an outbox at once.
const passLen = 16

// pass sends what may be sent. One goroutine at a time does so for one session:
// others leave it their frames.
func (e *Engine) pass(s *session) {
	var batch [passLen][]byte
	for {
		n, woken := e.takeBatch(s, &batch)
		if woken {
			e.do(e.wakeWaiting)
		}
		if n == 0 {
			return
		}
		for i, frame := range batch[:n] {
			batch[i] = nil
			if err := s.conn.Send(frame); err != nil {
				e.do(func(a *actions) { e.drop(s, unreachable(err.Error()), a) })
			}
		}
	}
}

// takeBatch takes the next frames. It reports whether calls or streams wait for the room.
func (e *Engine) takeBatch(s *session, batch *[passLen][]byte) (n int, others bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := s.out.weight()
	for n < passLen && !s.over {
		frame, of := s.out.next(e.loop)
		if frame == nil {
			break
		}
		if of.call != nil {
			of.call.moved = e.loop.Elapsed()
		}
		batch[n] = frame
		n++
	}
	s.flushing = n > 0
	s.moves += uint64(n)
	if !s.over {
		e.weigh(s, before)
	}
	return n, len(e.waiting) > 0
}

// answeredTo handles the peer's ack of everything up to a position.
func (e *Engine) answeredTo(s *session, position uint64, a *actions) error {
	before := s.out.weight()
	err := s.out.window.answer(position, e.loop.Elapsed())
	e.weigh(s, before)
	if s.out.bytes > 0 || len(s.out.urgent) > 0 {
		e.flushSoon(s, a)
	}
	return err
}

// drop ends a session: calls and streams that wait on it end with cause, the
// handlers that serve it are cancelled, the conn is closed.
func (e *Engine) drop(s *session, cause *Error, a *actions) {
	if s.over {
		return
	}
	s.over = true
	before := s.out.weight()
	s.out = outbox{}
	e.weigh(s, before)
	for _, number := range slices.Sorted(maps.Keys(s.in.open)) {
		e.forgetPart(s, number)
	}
	delete(e.sessions, s.conn)
	s.remote.sessions--
	e.leaves(s)
	a.add(s.conn.Close)
	if s.link != nil {
		s.link.forget(s)
		if s.dialed && s.retired {
			s.link.retired--
		}
		if !s.greeted && !e.closed {
			e.dialFailed(s.link, cause, a)
		}
	}
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
	e.windows -= s.inflow.size - ConnWindowMin
	e.wakeWaiting(a)
	e.forgetIdle(s.remote)
}

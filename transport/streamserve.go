package transport

import (
	"context"
	"fmt"
)

// receiveStream dispatches the frames that belong to a stream.
func (e *Engine) receiveStream(s *session, f frame, a *actions) error {
	if f.typ == frameOpen {
		return e.openedByPeer(s, f, a)
	}
	if f.typ == frameCredit && f.id == 0 {
		return e.connCredit(s, f.credit, a)
	}
	if f.typ == frameData {
		if !s.inflow.receive(cost(len(f.message))) {
			return fmt.Errorf("more stream data than there was credit for")
		}
	}
	st := s.streams[f.id]
	if st == nil {
		if !s.wasStream(f.id) {
			return fmt.Errorf("stream %d was never opened", f.id)
		}
		if f.typ == frameData {
			e.taken(s, cost(len(f.message)), a)
		}
		return nil // we ended it before this arrived
	}
	switch f.typ {
	case frameData:
		return st.receive(f.message, a)
	case frameCredit:
		if st.window += f.credit; st.window > StreamWindowMax {
			return fmt.Errorf("stream %d got more credit than a stream has", f.id)
		}
		st.changed(a)
		e.wakeWaiting(a)
	case frameEnd:
		if st.recvClosed {
			return fmt.Errorf("stream %d was closed twice", f.id)
		}
		st.recvClosed = true
		st.forgetIfOver(a)
		st.changed(a)
	case frameReset:
		st.end(f.err(), a)
	}
	return nil
}

// connCredit lets all streams of a session go on.
func (e *Engine) connCredit(s *session, credit int, a *actions) error {
	if s.streamWindow += credit; s.streamWindow > ConnWindowMax {
		return fmt.Errorf("the streams got more credit than a conn has")
	}
	e.wakeWaiting(a)
	return nil
}

// wasStream reports whether a stream with this id was ever opened.
func (s *session) wasStream(id uint64) bool {
	if s.isOurs(id) {
		return id != 0 && id <= s.streamOurs
	}
	return id <= s.streamTheirs
}

// isOurs: the ids of the side that dialed are odd.
func (s *session) isOurs(id uint64) bool { return id%2 == 1 == s.dialed }

// receive takes a message that the peer sent.
func (st *Stream) receive(message []byte, a *actions) error {
	if st.recvClosed {
		return fmt.Errorf("stream %d had data after its end", st.id)
	}
	if len(message) > StreamMessageLenMax || !st.inflow.receive(cost(len(message))) {
		return fmt.Errorf("stream %d had more data than it was given credit for", st.id)
	}
	if st.discard {
		st.consume(len(message), a)
		return nil
	}
	st.received = append(st.received, message)
	st.changed(a)
	return nil
}

// openedByPeer starts the handler of a stream.
func (e *Engine) openedByPeer(s *session, f frame, a *actions) error {
	if f.id == 0 || s.isOurs(f.id) || f.id <= s.streamTheirs {
		return fmt.Errorf("stream %d cannot be opened", f.id)
	}
	s.streamTheirs = f.id
	m := e.methods[string(f.name)]
	if m != nil && m.stream == nil {
		m = nil
	}
	if err := e.allowed(s.remote.peer, m.who()); err != nil {
		e.refuse(s, frameReset, f, err, a)
		return nil
	}
	sv := e.newServing(m, s, f, frameReset, a)
	if sv == nil {
		return nil
	}
	ep := m.ep
	if m.apart {
		ep = ep.branch()
	}
	sv.loop = ep.loop
	st := newStream(ep, s.remote.peer, m.name)
	st.session, st.id, st.serving = s, f.id, sv
	s.streams[f.id] = st
	st.opened(a)
	a.add(func() {
		ep.loop.Go(m.task, func(ctx context.Context) { e.runStream(ctx, st, f.message) })
	})
	return nil
}

func (e *Engine) runStream(ctx context.Context, st *Stream, hello []byte) {
	ctx, cancel := context.WithCancel(ctx)
	sv := st.serving
	if e.begin(sv, cancel) {
		sv.method.stream(ctx, st.remote, hello, st)
		e.do(func(a *actions) { e.streamServed(st, a) })
	}
	cancel()
}

// streamServed ends what the handler left open. A handler that closed the stream need not have read
// all: what the peer still sends is dropped. The stream keeps its place until the peer has ended
// it, too, so that a peer has no more streams than places.
func (e *Engine) streamServed(st *Stream, a *actions) {
	st.serving.over = true
	st.served = true
	if st.sendClosed {
		st.discardAll(a)
	} else {
		st.abort(&Error{Kind: Stopped, Op: st.method, Text: "the handler returned"}, a)
	}
	if st.settled {
		e.uncount(st.serving)
	}
}

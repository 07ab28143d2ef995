package transport

const (
	// StreamWindowMin is how many bytes one direction of a new stream may have in flight,
	// StreamWindowMax how many when its reader keeps up: 40 MB/s at 100 ms. The last message may
	// exceed it.
	StreamWindowMin = 16 << 10
	StreamWindowMax = 4 << 20
	// ConnWindowMin is the same bound for all streams of a conn together. It grows with the windows
	// of its streams, including the excess of their last messages, up to ConnWindowMax; those grow
	// up to a third of that on a bulk conn and to the node itself, and up to ConnWindowMin on a control conn. The rest is
	// left to streams that have not grown: so streams that nobody reads do not hold up the others,
	// as long as their messages are no longer than StreamWindowMin or than what is left of their
	// window.
	ConnWindowMin = 256 << 10
	ConnWindowMax = 24 << 20
	// ownWindow is up to which size windows grow for readers that do not wait, of this node itself.
	ownWindow = 128 << 10
	// windowBytesMax bounds the windows of all conns of a node beyond ConnWindowMin each.
	windowBytesMax = 128 << 20
	// messageCost is added to a message's bytes, so that empty messages are bounded as well.
	messageCost = 64
)

// cost is how much of a window a stream message of a length takes.
func cost(length int) int { return length + messageCost }

// inflow is the receiver's side of a window: it grants credit for messages that were taken.
type inflow struct {
	size int // what the peer may have sent before it is taken
	open int // of that, what it may still send; slightly negative if the last message exceeded it
	held int // what has come and was not taken
}

func newInflow(size int) inflow { return inflow{size: size, open: size} }

// receive counts an arrived message, and reports whether the peer had credit for it.
func (f *inflow) receive(n int) bool {
	if f.open <= 0 {
		return false
	}
	f.open -= n
	f.held += n
	return true
}

// take counts a taken message and returns the credit to grant, 0 below half a window: that is not
// worth a frame.
func (f *inflow) take(n int) (grant int) {
	f.held -= n
	if due := f.due(); 2*due >= f.size {
		return f.grant()
	}
	return 0
}

func (f *inflow) due() int { return f.size - f.open - f.held }

// grant gives all the credit that there is.
func (f *inflow) grant() int {
	due := max(0, f.due())
	f.open += due
	return due
}

// grow makes the window larger and returns the credit to give.
func (f *inflow) grow(by int) int {
	f.size += by
	return f.grant()
}

// shrink makes the window smaller, but not below size nor below the granted credit, and returns by
// how much.
func (f *inflow) shrink(size int) (by int) {
	by = max(0, min(f.size-size, f.due()))
	f.size -= by
	return by
}

// taken counts stream data of a session that was taken or discarded.
func (e *Engine) taken(s *session, cost int, a *actions) {
	if s.over {
		return
	}
	s.inflow.held -= cost
	e.windows -= s.inflow.shrink(max(ConnWindowMin, s.windows))
	if grant := s.inflow.take(0); grant > 0 {
		e.urgent(s, encodeCredit(0, grant), a)
	}
}

// widen grows the window of a session for streams whose windows grow by more bytes, if it may, and
// reports whether they fit into it.
func (e *Engine) widen(s *session, by int, a *actions) bool {
	s.windows += by
	more := s.windows - s.inflow.size
	switch {
	case more <= 0:
		return true
	case s.windows > ConnWindowMax || e.windows+more > windowBytesMax:
		return false
	}
	e.windows += more
	if grant := s.inflow.grow(more); grant > 0 {
		e.urgent(s, encodeCredit(0, grant), a)
	}
	return true
}

// opened counts the window of a new stream of a session.
func (st *Stream) opened(a *actions) { st.ep.engine.widen(st.session, st.share(), a) }

// share is what a stream may take of the window of its session: a message that does
// not fit may exceed its own.
func (st *Stream) share() int { return st.inflow.size + cost(StreamWindowMin) }

// consume counts a message that was taken, and gives the peer credit. A window
// doubles when half of it was taken and the reader waits for more.
func (st *Stream) consume(length int, a *actions) {
	e, s, size := st.ep.engine, st.session, cost(length)
	if !st.settled {
		e.taken(s, size, a)
	}
	grant := st.inflow.take(size)
	if grant == 0 || st.recvClosed || st.err != nil {
		return
	}
	more := min(st.inflow.size, StreamWindowMax-st.inflow.size)
	if st.keepsUp() && more > 0 && s.windows+more <= s.growthMax() {
		if e.widen(s, more, a) {
			grant += st.inflow.grow(more)
		} else {
			s.windows -= more
		}
	}
	e.urgent(s, encodeCredit(st.id, grant), a)
}

// keepsUp reports whether the reader waits for more. Nothing is under way between a node and itself, so that a reader there never waits for long: one whose
// window is small keeps up if half of it is taken, as each message costs what it is worth.
func (st *Stream) keepsUp() bool {
	return st.inflow.held == 0 || st.inflow.size < ownWindow && 2*st.inflow.held <= st.inflow.size && st.own()
}

// growthMax bounds the sum of the windows of a session's streams.
func (s *session) growthMax() int {
	if _, own := s.conn.(*loopConn); own || s.class() == Bulk {
		return ConnWindowMax / 3
	}
	return ConnWindowMin
}

// settle grants the conn credit for data that was received and not taken: a finished stream must
// not hold up the others. It gives back the place of a handler that has returned before the peer
// ended the stream.
func (st *Stream) settle(a *actions) {
	if st.settled {
		return
	}
	st.settled = true
	st.session.windows -= st.share()
	st.ep.engine.taken(st.session, st.inflow.held, a)
	if st.served {
		st.ep.engine.uncount(st.serving)
	}
}

package transport

import (
	"context"
	"fmt"
	"io"
	"slices"
)

const (
	// StreamMessageLenMax bounds a message of a stream, in bytes: it fits into a
	// frame, so that a window is exceeded by little.
	StreamMessageLenMax = 60 << 10
	// StreamPartLen is how long a message is that takes all of the least window.
	StreamPartLen = StreamWindowMin - messageCost
	// HelloLenMax bounds the first message of a stream.
	HelloLenMax = 1 << 10
	// closedMax bounds the streams of a conn that were opened and closed here, in both
	// directions, and that the peer does not end. It is more than the peer serves at
	// once, with as many whose end is on its way.
	closedMax = 2 * HandlersPerPeerMax
)

// Stream is an ordered, flow-controlled sequence of messages in both directions.
// The errors of its operations have a Kind: Unreachable when the conn broke or
// the peer reset the stream, Refused when the peer does not serve it, Stopped
// when it was reset here or the wait was given up, Timeout after ctx's deadline.
type Stream struct {
	ep     *Endpoint
	remote Peer
	method string

	// The rest is guarded by the engine's mu.
	session *session // nil while the conn is dialed
	id      uint64
	serving *serving // on the accepting side
	served  bool     // its handler has returned
	err     *Error   // why both directions are over
	changes uint64   // counts what may end a wait
	waiters []*streamWaiter

	window     int // how much we may send, see cost
	sendClosed bool
	sendBy     deadline
	waits      bool // is in engine.waiting

	received   [][]byte
	inflow     inflow
	recvClosed bool
	recvBy     deadline
	discard    bool // nobody will Recv
	settled    bool // the conn was granted credit for all that was received
}

type streamWaiter struct{ wake func() }

func newStream(ep *Endpoint, remote Peer, method string) *Stream {
	return &Stream{ep: ep, remote: remote, method: method, window: StreamWindowMin, inflow: newInflow(StreamWindowMin)}
}

// OpenStream opens a stream of messages; hello is delivered to the handler. It
// waits for the conn, not for the handler: that the peer refuses is the error of
// a later Recv or Send.
func (ep *Endpoint) OpenStream(ctx context.Context, to Peer, method string, hello []byte) (*Stream, error) {
	return ep.OpenStreamOn(ctx, Control, to, method, hello)
}

// OpenStreamOn is OpenStream over the conn of a class.
func (ep *Endpoint) OpenStreamOn(ctx context.Context, class Class, to Peer, method string, hello []byte) (*Stream, error) {
	if err := checkMessage(method, hello); err != nil {
		return nil, err
	}
	if len(hello) > HelloLenMax {
		return nil, &Error{Kind: Invalid, Op: method, Text: fmt.Sprintf("a hello has at most %d bytes, not %d", HelloLenMax, len(hello))}
	}
	s := newStream(ep, to, method)
	var refused *Error
	ep.engine.do(func(a *actions) {
		refused = stoppedError
		if !ep.closed {
			// The frame is complete only when there is a session: see bind.
			refused = ep.engine.originate(to, class, outbound{frame: encodeOpen(0, method, hello), flow: flowKey{lane: laneUrgent}, stream: s}, a)
		}
	})
	if refused != nil {
		return nil, refused.withOp(method)
	}
	err := s.wait(ctx, func(*actions) (bool, error) { return s.session != nil, nil })
	if err != nil {
		s.Reset()
		return nil, err
	}
	return s, nil
}

// Remote is the peer at the other end.
func (s *Stream) Remote() Peer { return s.remote }

// Endpoint is the service's, on the loop whose tasks use the stream: that of whoever has
// opened it, or of its handler.
func (s *Stream) Endpoint() *Endpoint { return s.ep }

// Send queues a message of at most StreamMessageLenMax bytes, parking while the
// peer's window is closed or too much waits to be sent. The message still belongs to
// the caller.
func (s *Stream) Send(ctx context.Context, message []byte) error {
	if len(message) > StreamMessageLenMax {
		return &Error{Kind: Invalid, Op: s.method, Text: fmt.Sprintf("a message of a stream has at most %d bytes, not %d", StreamMessageLenMax, len(message))}
	}
	frame := s.encodeData(message)
	return s.wait(ctx, func(a *actions) (bool, error) {
		if s.err != nil {
			return false, s.err
		}
		if s.sendClosed {
			return false, &Error{Kind: Invalid, Op: s.method, Text: "send after close"}
		}
		if err := s.deadlineError(&s.sendBy); err != nil {
			return false, err
		}
		if !s.maySend(len(frame)) {
			s.waitForRoom(len(frame))
			return false, nil
		}
		s.window -= cost(len(message))
		s.session.streamWindow -= cost(len(message))
		s.ep.engine.queue(s.session, outbound{frame: frame, flow: flowKey{lane: laneStream, id: s.id}}, a)
		return true, nil
	})
}

// fitting is how long a message may be that takes no more of the window than there is
// left, or than StreamWindowMin.
func (s *Stream) fitting() (length int) {
	s.ep.engine.do(func(*actions) {
		length = min(StreamMessageLenMax, max(s.window, StreamWindowMin)-messageCost)
	})
	return length
}

// maySend reports whether the peer's windows and the bounds of waiting frames allow a frame of size
// bytes.
func (s *Stream) maySend(size int) bool {
	return s.window > 0 && s.session.streamWindow > 0 &&
		s.session.out.streamBytes < streamBytesMax && s.ep.engine.fits(s.session, size)
}

func (s *Stream) waitForRoom(size int) {
	if !s.waits {
		s.waits = true
		s.ep.engine.waiting = append(s.ep.engine.waiting, waiting{session: s.session, stream: s, size: size})
	}
}

// Recv waits for the next message, which belongs to the caller. It returns
// io.EOF after the peer's CloseWrite, whether we still send or not.
func (s *Stream) Recv(ctx context.Context) (message []byte, err error) {
	err = s.wait(ctx, func(a *actions) (bool, error) {
		if err := s.deadlineError(&s.recvBy); err != nil {
			return false, err
		}
		if len(s.received) > 0 {
			message = s.received[0]
			s.received[0] = nil
			s.received = s.received[1:]
			s.consume(len(message), a)
			return true, nil
		}
		if s.recvClosed {
			return false, io.EOF
		}
		if s.discard {
			return false, &Error{Kind: Invalid, Op: s.method, Text: "receive after close"}
		}
		return false, nil
	})
	return message, err
}

// ready reports whether a message has come.
func (s *Stream) ready() bool {
	s.ep.engine.mu.Lock()
	defer s.ep.engine.mu.Unlock()
	return len(s.received) > 0
}

// CloseWrite ends our direction in order; what was sent is still delivered, and what
// the peer sends can still be received.
func (s *Stream) CloseWrite() error {
	s.ep.engine.do(func(a *actions) {
		if s.err != nil || s.sendClosed {
			return
		}
		s.sendClosed = true
		s.ep.engine.queue(s.session, outbound{frame: encodeID(frameEnd, s.id), flow: flowKey{lane: laneStream, id: s.id}}, a)
		s.forgetIfOver(a)
		s.boundClosed(a)
	})
	return nil
}

// CloseRead drops what the peer has sent and sends. Of streams that were opened here and
// closed in both directions, no more than 512 of a conn wait for the peer to end them,
// too: the oldest is reset.
func (s *Stream) CloseRead() {
	s.ep.engine.do(func(a *actions) {
		if s.discard {
			return
		}
		s.discardAll(a)
		s.boundClosed(a)
	})
}

// boundClosed counts a stream that was closed, and resets the oldest of too many.
func (s *Stream) boundClosed(a *actions) {
	on := s.session
	if s.serving != nil || !s.sendClosed || !s.discard || s.settled {
		return
	}
	if len(on.closed) >= closedMax {
		on.closed = slices.DeleteFunc(on.closed, func(st *Stream) bool { return st.settled })
	}
	if len(on.closed) >= closedMax {
		on.closed[0].abort(&Error{Kind: Stopped, Text: "the peer does not end it"}, a)
		on.closed = on.closed[1:]
	}
	on.closed = append(on.closed, s)
}

func (s *Stream) discardAll(a *actions) {
	s.discard = true
	for _, message := range s.received {
		s.consume(len(message), a)
	}
	s.received = nil
}

// Reset ends both directions at once.
func (s *Stream) Reset() {
	s.ep.engine.do(func(a *actions) {
		s.abort(&Error{Kind: Stopped, Op: s.method, Text: "the stream was reset here"}, a)
	})
}

// wait parks until ready returns true or an error, or the stream or ctx ends. What the peer sent
// before the stream ended can still be received.
func (s *Stream) wait(ctx context.Context, ready func(a *actions) (bool, error)) error {
	e := s.ep.engine
	for {
		var ok bool
		var err error
		var seen uint64
		e.do(func(a *actions) {
			ok, err = ready(a)
			if !ok && err == nil && s.err != nil {
				err = s.err
			}
			seen = s.changes
		})
		if ok || err != nil {
			return err
		}
		if err := s.park(ctx, seen); err != nil {
			return waitError(err).withOp(s.method)
		}
	}
}

// park parks until something has changed since seen.
func (s *Stream) park(ctx context.Context, seen uint64) error {
	e := s.ep.engine
	w := &streamWaiter{}
	err := s.ep.loop.Park(ctx, func(wake func()) {
		e.mu.Lock()
		changed := s.changes != seen
		w.wake = wake
		s.waiters = append(s.waiters, w)
		e.mu.Unlock()
		if changed {
			wake()
		}
	})
	e.mu.Lock()
	s.waiters = slices.DeleteFunc(s.waiters, func(v *streamWaiter) bool { return v == w })
	e.mu.Unlock()
	return err
}

// changed wakes the tasks that wait on the stream.
func (s *Stream) changed(a *actions) {
	s.changes++
	for _, w := range s.waiters {
		a.add(w.wake)
	}
	s.waiters = nil
}

// bind gives a stream that we open its session and id, and completes its open
// frame.
func (s *Stream) bind(on *session, frame []byte, a *actions) []byte {
	if s.session != nil {
		return frame
	}
	on.streamOurs += 2
	s.session, s.id = on, on.streamOurs
	if on.dialed {
		s.id--
	}
	on.streams[s.id] = s
	s.opened(a)
	s.changed(a)
	f, err := decodeFrame(frame)
	if err != nil {
		panic(fmt.Sprintf("transport: own open frame: %v", err))
	}
	return encodeOpen(s.id, string(f.name), f.message)
}

// end finishes both directions without telling the peer.
func (s *Stream) end(cause *Error, a *actions) {
	if s.err != nil {
		return
	}
	s.err = cause
	if cause.Op == "" {
		s.err = cause.withOp(s.method)
	}
	if s.session != nil {
		delete(s.session.streams, s.id)
		s.ep.engine.takeBack(s.session, flowKey{lane: laneStream, id: s.id}, a)
		s.settle(a)
	}
	if s.serving != nil {
		s.serving.stop(s.ep.engine, a)
	}
	s.changed(a)
}

// abort ends both directions and tells the peer, unless both were closed.
func (s *Stream) abort(cause *Error, a *actions) {
	if s.err != nil {
		return
	}
	if s.session != nil && s.session.streams[s.id] == s {
		told := &Error{Kind: Unreachable, Op: s.method, Text: "the peer reset the stream"}
		s.ep.engine.urgent(s.session, encodeFailure(frameReset, s.id, told), a)
	}
	s.end(cause, a)
	s.received = nil
}

// forgetIfOver forgets a stream that both sides have closed.
func (s *Stream) forgetIfOver(a *actions) {
	if s.sendClosed && s.recvClosed {
		delete(s.session.streams, s.id)
		s.settle(a)
	}
}

package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/taucloud/tau/clock"
)

// method is a handler of an endpoint. One of request, note and stream is set.
type method struct {
	ep      *Endpoint
	name    string
	rule    Rule
	task    string // the name of its tasks
	request func(ctx context.Context, from Peer, request []byte) ([]byte, error)
	note    func(ctx context.Context, from Peer, message []byte)
	stream  func(ctx context.Context, from Peer, hello []byte, s *Stream)
	apart   bool // each stream has a loop of its own
}

// serving is a request or a stream of a peer that is being served.
type serving struct {
	method   *method
	loop     clock.Loop // of the handler
	session  *session
	id       uint64
	over     bool // nobody waits for the outcome
	counted  bool // in link.handlers
	bytes    int  // of the request, in link.serving and engine.serving
	declined bool // nobody waits for the response, but the handler may go on
	cancel   context.CancelFunc
}

// serve starts the handler of a request.
func (e *Engine) serve(s *session, f frame, a *actions) error {
	if s.serving[f.id] != nil {
		return fmt.Errorf("request %d came twice", f.id)
	}
	m := e.methods[string(f.name)]
	if m != nil && m.request == nil {
		m = nil
	}
	if err := e.allowed(s.remote.peer, m.who()); err != nil {
		e.refuse(s, frameFailure, f, err, a)
		return nil
	}
	sv := e.newServing(m, s, f, frameFailure, a)
	if sv == nil {
		return nil
	}
	s.serving[f.id] = sv
	e.startRequest(sv, f, a)
	return nil
}

func (e *Engine) startRequest(sv *serving, f frame, a *actions) {
	m := sv.method
	a.add(func() {
		m.ep.loop.Go(m.task, func(ctx context.Context) { e.runRequest(ctx, sv, f.left, f.message) })
	})
}

// who is the rule of a method; of none it is none.
func (m *method) who() Rule {
	if m == nil {
		return Rule{}
	}
	return m.rule
}

func (e *Engine) refuse(s *session, typ frameType, f frame, err *Error, a *actions) {
	if err = err.withOp(printable(f.name)); s.stranger && err.Kind == NotAllowed {
		err.Text += because(s.doubt)
	}
	failure := encodeFailure(typ, f.id, err)
	if typ == frameReset {
		e.urgent(s, failure, a)
	} else {
		e.named(s, string(f.name), failure, a)
	}
}

var errBusy = &Error{Kind: Refused, Text: "busy"}

// newServing takes one of the peer's places, or refuses and returns nil.
func (e *Engine) newServing(m *method, s *session, f frame, refusal frameType, a *actions) *serving {
	if e.crowded(s.link, len(f.message)) || s.stranger && s.link.handlers >= strangerHandlersMax {
		e.refuse(s, refusal, f, errBusy, a)
		return nil
	}
	return e.take(m, s, f)
}

// crowded reports whether a peer has no place left for a request of a size.
func (e *Engine) crowded(l *link, size int) bool {
	return l.handlers >= HandlersPerPeerMax ||
		size > smallLenMax && (l.serving+size > servingPerPeerMax || e.serving+size > servingBytesMax)
}

// take takes one of the peer's places.
func (e *Engine) take(m *method, s *session, f frame) *serving {
	e.handled(s.remote.peer, m)
	size := len(f.message)
	s.link.handlers++
	s.link.serving += size
	e.serving += size
	return &serving{method: m, loop: m.ep.loop, session: s, id: f.id, counted: true, bytes: size}
}

// handled tells the witness who is served with what.
func (e *Engine) handled(from Peer, m *method) {
	if e.witness != nil {
		e.witness.Handled(from, m.name)
	}
}

func (e *Engine) runRequest(ctx context.Context, sv *serving, left time.Duration, request []byte) {
	ctx, cancel := clock.WithTimeout(ctx, sv.loop, left)
	if e.begin(sv, cancel) {
		response, err := sv.method.request(ctx, sv.session.remote.peer, request)
		answer := encodeAnswer(sv, e.meddled(sv, response, err), err)
		e.do(func(a *actions) { e.complete(sv, answer, a) })
	}
	cancel()
}

// begin reports whether somebody still waits for the handler.
func (e *Engine) begin(sv *serving, cancel context.CancelFunc) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	sv.cancel = cancel
	if sv.over {
		e.uncount(sv)
	}
	return !sv.over
}

func encodeAnswer(sv *serving, response []byte, err error) []byte {
	if err == nil && len(response) > MessageLenMax {
		err = &Error{Kind: Internal, Op: sv.method.name, Text: fmt.Sprintf("a response of %d bytes", len(response))}
	}
	if err != nil {
		return encodeFailure(frameFailure, sv.id, wireError(sv.method.name, err))
	}
	return encodeMessage(frameResponse, sv.id, response)
}

// wireError converts a handler's error to the one that its caller receives.
func wireError(op string, err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	kind := KindOf(err)
	return &Error{Kind: kind, Op: op, Text: err.Error()}
}

// complete sends a handler's response. One for which there is no room is lost: the peer does not
// read, or too many do not.
func (e *Engine) complete(sv *serving, answer []byte, a *actions) {
	e.uncount(sv)
	if sv.over {
		return
	}
	s := sv.session
	if s.serving[sv.id] == sv { // and not the first of two deliveries
		delete(s.serving, sv.id)
	}
	if sv.declined {
		return
	}
	key := flowKey{lane: laneResponse, id: sv.id}
	if len(answer) <= smallLenMax {
		key = flowKey{lane: laneNamed, name: sv.method.name}
	} else if !e.fits(s, len(answer)) {
		e.named(s, sv.method.name, encodeFailure(frameFailure, sv.id, errNoRoom.withOp(sv.method.name)), a)
		return
	}
	e.queue(s, outbound{frame: answer, flow: key}, a)
}

// uncount gives the peer's place back.
func (e *Engine) uncount(sv *serving) {
	if !sv.counted {
		return
	}
	sv.counted = false
	l := sv.session.link
	l.handlers--
	l.serving -= sv.bytes
	e.serving -= sv.bytes
	e.forgetIdle(l.remote)
}

// cancelServing ends the context of a handler whose caller is gone, in a turn
// of the handler's loop.
func (e *Engine) cancelServing(s *session, id uint64, a *actions) {
	sv := s.serving[id]
	if sv == nil {
		return
	}
	delete(s.serving, id)
	sv.stop(e, a)
}

// declined drops a response, sent in part or not at all: nobody waits for it.
func (e *Engine) declined(s *session, id uint64, a *actions) {
	if sv := s.serving[id]; sv != nil {
		sv.declined = true
		return
	}
	e.takeBack(s, flowKey{lane: laneResponse, id: id}, a)
}

func (sv *serving) stop(e *Engine, a *actions) {
	if sv.over {
		return
	}
	sv.over = true
	a.add(func() {
		sv.loop.Go("cancel", func(context.Context) {
			e.mu.Lock()
			cancel := sv.cancel
			e.mu.Unlock()
			if cancel != nil {
				cancel()
			}
		})
	})
}

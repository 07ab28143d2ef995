package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/taucloud/tau/clock"
)

// call is a request of ours that waits for its response.
type call struct {
	ep       *Endpoint
	id       uint64
	name     string
	to       Peer
	class    Class
	frame    []byte        // until it is sent
	session  *session      // nil until there is a conn
	deadline time.Duration // in ep.loop.Elapsed
	moved    time.Duration // when a part of it was last sent or a part of its answer arrived
	wake     func()

	done     bool
	response []byte
	err      *Error
}

// callTotalMax bounds a call without a deadline that keeps making progress: it is the time of a
// message of MessageLenMax at 8 kB/s.
const callTotalMax = 10 * time.Minute

// rateMin is the slowest accepted rate of a transfer, in bytes a second, transferMax its longest
// duration.
const (
	rateMin     = 4 << 10
	transferMax = time.Hour
)

// TransferTime is how long the transfer of content of a size may take, for the timeouts of calls
// that wait for one without making progress themselves. A transfer without progress ends long
// before that.
func TransferTime(bytes int64) time.Duration {
	return min(time.Duration(max(0, bytes)/rateMin), transferMax/time.Second) * time.Second
}

// patienceKey is the context key of Patient's value.
type patienceKey struct{}

// Patient returns a context for calls that end after d without progress, instead of CallTimeout: no
// part of the request was sent and none of the response arrived. d is also the handler's time. A
// deadline of ctx still holds.
func Patient(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}

// Call sends a request and waits for the response. The deadline is ctx's. If ctx has none, or was
// made by Patient, the call ends after CallTimeout (or that patience) without progress, and after
// 10 minutes in any case: so a big answer may be slow, while a lost one is noticed soon. The time
// left until the deadline is sent and bounds the handler's context, and when ctx ends before that,
// so does the handler's. A call to Self is delivered without the network, in a later turn.
//
// The response belongs to the caller, as does the request. Call waits while too much else waits to
// be sent. A call that cannot be sent, because a dial has just failed or too much waits for one,
// fails without parking: wait before trying again. An error has a Kind: Unreachable when there is
// no conn or it broke, Timeout after the deadline, Stopped when ctx or the loop ended, Refused when
// the peer does not serve the method or is busy, Invalid when the request is longer than
// MessageLenMax, or whatever the handler returned.
func (ep *Endpoint) Call(ctx context.Context, to Peer, method string, request []byte) ([]byte, error) {
	return ep.CallOn(ctx, Control, to, method, request)
}

// CallOn is Call over the conn of a class.
func (ep *Endpoint) CallOn(ctx context.Context, class Class, to Peer, method string, request []byte) ([]byte, error) {
	patience, patient := ctx.Value(patienceKey{}).(time.Duration)
	left, bounded := clock.Remaining(ctx)
	if !patient {
		patience = CallTimeout
	}
	if !bounded || patient && patience < left {
		left = patience
	}
	if left <= 0 {
		return nil, &Error{Kind: Timeout, Op: method, cause: context.DeadlineExceeded}
	}
	if err := checkMessage(method, request); err != nil {
		return nil, err
	}
	now := ep.loop.Elapsed()
	c := &call{ep: ep, name: method, to: to, class: ep.engine.classTo(to, class), deadline: now + left, moved: ep.engine.loop.Elapsed()}
	ep.engine.prepare(c, left, request)
	if !bounded || patient {
		stop := ep.engine.watchSilence(c, patience, now+callTotalMax)
		defer stop()
	}
	if err := ep.engine.await(ctx, c); err != nil {
		if err.Op == "" {
			err = err.withOp(method)
		}
		if c.session == nil { // it is not shared any more
			failed := *err
			failed.unsent = true
			err = &failed
		}
		return nil, err
	}
	return c.response, nil
}

// watchSilence ends a call after patience without progress, or at an instant of its loop in any
// case.
func (e *Engine) watchSilence(c *call, patience, last time.Duration) (stop func()) {
	var timer clock.Timer
	var look func()
	look = func() {
		var quiet time.Duration
		e.do(func(a *actions) {
			quiet = e.loop.Elapsed() - c.moved
			if quiet >= patience || c.ep.loop.Elapsed() >= last {
				e.abandon(c, &Error{Kind: Timeout, cause: context.DeadlineExceeded}, a)
			}
		})
		if left := min(patience-quiet, last-c.ep.loop.Elapsed()); left > 0 {
			timer = c.ep.loop.AfterFunc(left, look)
		}
	}
	timer = c.ep.loop.AfterFunc(patience, look)
	return func() { timer.Stop() }
}

func checkMessage(name string, message []byte) error {
	if len(name) == 0 || len(name) > nameLenMax {
		return &Error{Kind: Invalid, Op: "call", Text: fmt.Sprintf("a method's name has 1 to %d bytes, not %d", nameLenMax, len(name))}
	}
	if len(message) > MessageLenMax {
		return &Error{Kind: Invalid, Op: name, Text: fmt.Sprintf("a message has at most %d bytes, not %d", MessageLenMax, len(message))}
	}
	return nil
}

func (e *Engine) prepare(c *call, left time.Duration, request []byte) {
	e.mu.Lock()
	e.callCount++
	c.id = e.callCount
	e.mu.Unlock()
	c.frame = encodeRequest(c.id, left, c.name, request)
}

// trySend sends the request, unless there is no room: then the call is woken
// when there may be.
func (e *Engine) trySend(c *call, a *actions) {
	if c.done || c.frame == nil {
		return
	}
	err := stoppedError
	if !c.ep.closed {
		setLeft(c.frame, c.deadline-c.ep.loop.Elapsed())
		err = e.originate(c.to, c.class, outbound{frame: c.frame, flow: requestFlow(c), call: c}, a)
	}
	switch err {
	case nil:
		c.frame = nil
		c.moved = e.loop.Elapsed()
		e.calls[c.id] = c
	case errNoRoom:
		e.waiting = append(e.waiting, waiting{session: e.linkTo(c.to, c.class).current, call: c, size: len(c.frame)})
	default:
		e.finish(c, nil, err, a)
	}
}

// requestFlow: small requests of a name are sent in order, big ones share.
func requestFlow(c *call) flowKey {
	if len(c.frame) > smallLenMax {
		return bigRequest(c.id)
	}
	return flowKey{lane: laneNamed, name: c.name}
}

func bigRequest(id uint64) flowKey { return flowKey{lane: laneRequest, id: id} }

// await sends a call and parks until it is done or ctx ends.
func (e *Engine) await(ctx context.Context, c *call) *Error {
	for {
		over := false
		e.do(func(a *actions) {
			e.trySend(c, a)
			over = c.done
		})
		if over {
			return c.err
		}
		parkErr := c.ep.loop.Park(ctx, func(wake func()) {
			e.mu.Lock()
			c.wake = wake
			done := c.done
			e.mu.Unlock()
			if done {
				wake()
			}
		})
		if parkErr != nil {
			e.do(func(a *actions) { e.abandon(c, waitError(parkErr), a) })
		}
	}
}

// abandon ends a call that its caller gave up, and takes back the unsent part of it. A handler
// whose deadline has passed needs no cancel.
func (e *Engine) abandon(c *call, cause *Error, a *actions) {
	if c.done {
		return
	}
	sent := c.frame == nil
	e.finish(c, nil, cause, a)
	s := c.session
	if !sent || s == nil || s.over {
		return
	}
	if wasSent := e.takeBack(s, bigRequest(c.id), a); !wasSent {
		return
	}
	typ := frameCancel
	if cause.Kind == Timeout {
		typ = frameDecline
	}
	e.named(s, c.name, encodeID(typ, c.id), a)
}

// finish ends a call, once.
func (e *Engine) finish(c *call, response []byte, err *Error, a *actions) {
	if c.done {
		return
	}
	c.done, c.response, c.err = true, response, err
	if c.session != nil {
		c.session.calls--
	}
	delete(e.calls, c.id)
	if c.wake != nil {
		a.add(c.wake)
	}
}

// answered is a response or a failure from the peer. An unknown call was abandoned.
func (e *Engine) answered(s *session, id uint64, response []byte, err *Error, a *actions) {
	if c := e.calls[id]; c != nil && c.session == s {
		e.finish(c, response, err, a)
	}
}

// waitError is the error of a wait that ended early.
func waitError(cause error) *Error {
	kind := KindOf(cause)
	if kind == Internal {
		kind = Stopped // ctx was cancelled with a cause of its own
	}
	return &Error{Kind: kind, Text: cause.Error(), cause: cause}
}

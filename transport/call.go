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
	session  *session      // nil until there is a conn
	deadline time.Duration // in ep.loop.Elapsed
	wake     func()

	done     bool
	response []byte
	err      *Error
}

// Call sends a request and waits for the response. The deadline is ctx's, or
// CallTimeout; what is left of it crosses the wire and bounds the handler's
// context, and when ctx ends before that, so does the handler's. A call to Self
// is delivered without the network, in a later turn.
//
// The response belongs to the caller, the request still does. A call that cannot
// be sent, because a dial has just failed or too much waits for one, fails
// without parking: wait before trying again. An error has a Kind: Unreachable when there is no conn or it broke, Timeout after the
// deadline, Stopped when ctx or the loop ended, Refused when the peer does not
// serve the method or is busy, Invalid when the request is longer than
// MessageLenMax, or whatever the handler returned.
func (ep *Endpoint) Call(ctx context.Context, to Peer, method string, request []byte) ([]byte, error) {
	left, bounded := clock.Remaining(ctx)
	if !bounded {
		left = CallTimeout
	}
	if left <= 0 {
		return nil, &Error{Kind: Timeout, Op: method, cause: context.DeadlineExceeded}
	}
	if err := checkMessage(method, request); err != nil {
		return nil, err
	}
	c := &call{ep: ep, deadline: ep.loop.Elapsed() + left}
	if err := ep.engine.start(c, to, left, method, request); err != nil {
		return nil, err.withOp(method)
	}
	if !bounded {
		timer := ep.loop.AfterFunc(left, func() {
			ep.engine.do(func(a *actions) {
				ep.engine.finish(c, nil, &Error{Kind: Timeout, cause: context.DeadlineExceeded}, a)
			})
		})
		defer timer.Stop()
	}
	if err := ep.engine.await(ctx, c); err != nil {
		if err.Op == "" {
			err = err.withOp(method)
		}
		return nil, err
	}
	return c.response, nil
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

func (e *Engine) start(c *call, to Peer, left time.Duration, method string, request []byte) (err *Error) {
	e.mu.Lock()
	e.callCount++
	c.id = e.callCount
	e.mu.Unlock()
	frame := encodeRequest(c.id, left, method, request)
	e.do(func(a *actions) {
		if c.ep.closed {
			err = stoppedError
			return
		}
		if err = e.originate(to, outbound{frame: frame, call: c}, a); err == nil {
			e.calls[c.id] = c
		}
	})
	return err
}

// await parks until c is done or ctx ends.
func (e *Engine) await(ctx context.Context, c *call) *Error {
	for {
		parkErr := c.ep.loop.Park(ctx, func(wake func()) {
			e.mu.Lock()
			c.wake = wake
			done := c.done
			e.mu.Unlock()
			if done {
				wake()
			}
		})
		var err *Error
		over := false
		e.do(func(a *actions) {
			if parkErr != nil && !c.done {
				e.abandon(c, waitError(parkErr), a)
			}
			over, err = c.done, c.err
		})
		if over {
			return err
		}
	}
}

// abandon ends a call that its caller does not want any more. A handler whose
// deadline has passed knows that by itself.
func (e *Engine) abandon(c *call, cause *Error, a *actions) {
	e.finish(c, nil, cause, a)
	if c.session != nil && cause.Kind != Timeout {
		e.queue(c.session, outbound{frame: encodeID(frameCancel, c.id)}, a)
	}
}

// finish ends a call, once.
func (e *Engine) finish(c *call, response []byte, err *Error, a *actions) {
	if c.done {
		return
	}
	c.done, c.response, c.err = true, response, err
	delete(e.calls, c.id)
	if c.wake != nil {
		a.add(c.wake)
	}
}

// answered is a response or a failure from the peer. A call that is not known
// any more was abandoned.
func (e *Engine) answered(s *session, id uint64, response []byte, err *Error, a *actions) {
	if c := e.calls[id]; c != nil && c.session == s {
		e.finish(c, response, err, a)
	}
}

// waitError is what a wait that ended early returns.
func waitError(cause error) *Error {
	kind := KindOf(cause)
	if kind == Internal {
		kind = Stopped // ctx was cancelled with a cause of its own
	}
	return &Error{Kind: kind, Text: cause.Error(), cause: cause}
}

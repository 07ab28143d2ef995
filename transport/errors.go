package transport

import (
	"context"
	"errors"

	"github.com/taucloud/tau/clock"
)

// Kind is an error's kind, the only part on which callers should decide. It survives the wire.
type Kind uint8

// The kinds of error. Zero is never sent.
const (
	Internal    Kind = iota + 1 // a bug or an unexpected condition at the callee
	Unreachable                 // no conn to the peer, or it broke; the call may or may not have run
	Timeout                     // the deadline passed; the call may or may not have run
	NotFound                    // the requested thing does not exist
	Conflict                    // the state of things does not allow it (stale token, lost race)
	Refused                     // the callee will not: busy, over capacity, not its job
	Invalid                     // the request makes no sense; trying again is useless
	Stopped                     // this node, or its loop, has stopped
	NotAllowed                  // the method's rule is for others: no handler has heard of it
)

var kindNames = [...]string{"unknown", "internal", "unreachable", "timeout", "not found", "conflict", "refused", "invalid", "stopped", "not allowed"}

func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		k = 0
	}
	return kindNames[k]
}

// Error is an error with a Kind, on either side of the wire.
type Error struct {
	Kind Kind
	// Op is the method or operation, "patrick/push".
	Op string
	// Text says what happened; it never holds a secret.
	Text string
	// cause is this node's own reason, a context's end or a stopped loop.
	cause error
	// answered: the peer's handler returned it.
	answered bool
	// unsent: nothing of the call has left this node.
	unsent bool
}

// Answered reports whether err was returned by the called peer's handler, rather than caused by the
// transport: an answered Unreachable is about a third peer that the handler called.
func Answered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.answered
}

// MayHaveRun reports whether a call that failed with err may have done at the peer what
// it was to do, or a part of that. It has not after NotFound, Conflict, Refused, Invalid and NotAllowed,
// and if there was no conn to send it on.
func MayHaveRun(err error) bool {
	var e *Error
	switch KindOf(err) {
	case 0, NotFound, Conflict, Refused, Invalid, NotAllowed:
		return false
	}
	return !errors.As(err, &e) || !e.unsent
}

func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap is the end of the context or of the loop that made this node give up. An error that came
// over the wire has none.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, &Error{Kind: k}) compare kinds.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind
}

// New returns an *Error: New(transport.NotFound, "tns/get", "no such branch").
func New(k Kind, op, text string) error { return &Error{Kind: k, Op: op, Text: text} }

// KindOf classifies any error: nil is 0, a context's deadline is Timeout, a stopped loop is
// Stopped, any other error is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, clock.ErrStopped), errors.Is(err, context.Canceled):
		return Stopped
	}
	return Internal
}

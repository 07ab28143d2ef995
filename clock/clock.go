// Package clock owns time and turns.
//
// A [Loop] is the one thread of control of a service instance: at most one of
// its tasks runs at a time, and another may run only while the current one is
// parked. The rule that makes service code readable follows from it:
//
//	a function that takes a context may park; one that does not is atomic.
//
// Whatever was read before a park must be read again after it.
//
// This package holds the two interfaces, everything that can be written once
// over them (Sleep, WithTimeout, First, Queue, Every, Do, Offload, Within, Owned) and the
// live loop. The simulated loop lives in package sim; both pass the same
// conformance suite, clock/clocktest.
package clock

import (
	"context"
	"errors"
	"time"
)

// ErrStopped is returned by every operation of a stopped or crashed loop.
var ErrStopped = errors.New("clock: stopped")

// Clock tells the time of one node and calls back later.
type Clock interface {
	// Now is the node's wall clock. It may be wrong, and it may jump: use it
	// for stamps that people read and for total orders, never for durations.
	Now() time.Time
	// Elapsed is the node's monotonic clock: the time since some fixed instant
	// of this process. It never jumps; its rate may drift a little.
	Elapsed() time.Duration
	// AfterFunc runs f as a turn of its own, d from now (at once if d <= 0).
	// f must not park: it is given no context.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a pending AfterFunc.
type Timer interface {
	// Stop prevents the call and reports whether it did: after Stop returned
	// true, f will not run. It must be called in a turn of the timer's loop.
	Stop() bool
}

// Loop runs tasks, one at a time.
type Loop interface {
	Clock
	// Go starts a task in a later turn. It may be called in a turn of any loop, and by callers from
	// the network (in a simulation, the world itself). ctx ends when the loop stops. A task that is
	// started between the stop and the return of the loop's last task still runs, so that its
	// waiters learn of the stop; after that it does not.
	Go(name string, f func(ctx context.Context))
	// Park gives up the turn until wake is called, ctx ends or the loop stops, and then takes the
	// turn again. arm runs before the turn is given up, so no wake is lost; wake may be called from
	// anywhere, any number of times, also by arm itself. Park returns nil after a wake, else
	// ErrStopped if the loop has stopped, else the cause of ctx's end: this precedence does not
	// depend on which happened first. It must be called by a task of this loop.
	Park(ctx context.Context, arm func(wake func())) error
	// Enter is Go for a goroutine that has no turn of any loop. lost ends if the task will never
	// run, because the loop is over; it may be nil. A simulated world orders foreign goroutines
	// deterministically, unless two of them enter one loop between the same two events.
	Enter(name string, f func(ctx context.Context)) (lost <-chan struct{})
	// Leave implements Offload. It must be called by a task of this loop.
	Leave(ctx context.Context, f func()) error
	// Branch returns a loop whose tasks share nothing with those of this one, so that
	// live they may run at once, on several cores. It stops with this loop, which is
	// over only when the branch's tasks have returned, too. A simulated branch has its
	// turns among those of this loop. What its tasks and others have in common, they
	// reach with [Within]: see [Owned]. It may be called from anywhere.
	Branch() Loop
}

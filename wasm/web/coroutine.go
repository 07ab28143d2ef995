package web

import (
	"context"
	"iter"
	"sync"
)

// coroutine runs calls of guests, one after another: each stands still at what it waits for, and goes on when its task has done that. Its stack is as
// large as calls need it: a new one would grow with each request.
type coroutine struct {
	next  func() (wish, bool)
	stop  func() // ends it, where its call stands
	yield func(wish) bool
	ctx   context.Context
	call  *call
}

// coroutinesMax is how many are kept at rest, by all runners of a process together. They know nothing of what they have run.
const coroutinesMax = 64

var coroutines struct {
	mu   sync.Mutex
	idle []*coroutine
}

// newCoroutine takes one at rest, or makes one. Whoever got it gives it back at rest, or stops it.
func newCoroutine() *coroutine {
	coroutines.mu.Lock()
	defer coroutines.mu.Unlock()
	if last := len(coroutines.idle) - 1; last >= 0 {
		o := coroutines.idle[last]
		coroutines.idle = coroutines.idle[:last]
		return o
	}
	o := &coroutine{}
	o.next, o.stop = iter.Pull(iter.Seq[wish](o.run))
	return o
}

func (o *coroutine) run(yield func(wish) bool) {
	o.yield = yield
	for {
		o.call.guest(o.ctx)
		o.call, o.ctx = nil, nil
		if !yield(wish{kind: rests}) {
			return
		}
	}
}

// rest gives one back whose call has ended.
func (o *coroutine) rest() {
	coroutines.mu.Lock()
	full := len(coroutines.idle) == coroutinesMax
	if !full {
		coroutines.idle = append(coroutines.idle, o)
	}
	coroutines.mu.Unlock()
	if full {
		o.stop()
	}
}

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

// coroutines are those at rest, at most so many. They know nothing of what they have run.
type coroutines struct {
	max  int
	mu   sync.Mutex
	idle []*coroutine
}

// take takes one at rest, or makes one. Whoever got it gives it back at rest, or stops it.
func (l *coroutines) take() *coroutine {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := len(l.idle) - 1; last >= 0 {
		o := l.idle[last]
		l.idle = l.idle[:last]
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

// put gives one back whose call has ended.
func (l *coroutines) put(o *coroutine) {
	l.mu.Lock()
	full := len(l.idle) >= l.max
	if !full {
		l.idle = append(l.idle, o)
	}
	l.mu.Unlock()
	if full {
		o.stop()
	}
}

// close ends those at rest.
func (l *coroutines) close() {
	l.mu.Lock()
	idle := l.idle
	l.idle, l.max = nil, 0
	l.mu.Unlock()
	for _, o := range idle {
		o.stop()
	}
}

package sim

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/taucloud/tau/clock"
)

// loop is the simulated clock.Loop of one service instance. One task runs at a
// time in the whole world, so a loop needs no lock: it only has to find its way
// back to the task that parked.
type loop struct {
	w      *World
	life   *incarnation
	name   string
	id     uint64 // unique in the world, the same in every run
	ctx    context.Context
	cancel context.CancelCauseFunc
	seq    atomic.Uint64 // numbers tasks, timers and parks
	// parked holds the tasks that wait, in the order of their parks.
	parked  []*parking
	stopped bool
}

// task is a goroutine that runs when the world resumes it.
type task struct {
	loop   *loop
	name   string
	resume chan error
}

// parking is one Park of a task.
type parking struct {
	task  *task
	seq   uint64
	woken atomic.Bool // a wake or a cancel has been registered
	over  bool
}

// errCrashed resumes a task that must not run on.
var errCrashed = fmt.Errorf("sim: the node crashed")

func (life *incarnation) newLoop(name string) *loop {
	w := life.node.w
	life.loopCount++
	l := &loop{
		w:    w,
		life: life,
		name: name,
		id:   uint64(life.node.index)<<40 | uint64(life.number)<<20 | uint64(life.loopCount),
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	life.loops = append(life.loops, l)
	return l
}

// Now implements clock.Clock: the node's wall clock, skewed and drifting.
func (l *loop) Now() time.Time { return l.life.node.wallClock() }

// Elapsed implements clock.Clock.
func (l *loop) Elapsed() time.Duration { return l.life.node.elapsed() }

// AfterFunc implements clock.Clock. The function runs on the world's thread, and
// never early by this node's own clock, even if that has slowed down meanwhile.
func (l *loop) AfterFunc(d time.Duration, f func()) clock.Timer {
	clocks := &l.life.node.clocks
	due := clocks.elapsedAt(l.w.nowNS()) + int64(max(0, d))
	e := &event{
		at:    clocks.virtualAt(due),
		node:  l.life.node,
		life:  l.life,
		kind:  kindTimer,
		a:     l.id,
		b:     l.seq.Add(1),
		label: l.name,
	}
	var fire func()
	fire = func() {
		if at := clocks.virtualAt(due); at > l.w.nowNS() {
			e.at, e.fire = at, fire
			l.w.register(e)
			return
		}
		e.fire = nil
		if !l.stopped {
			f()
		}
	}
	e.fire = fire
	l.w.register(e)
	return (*timer)(&timerState{w: l.w, e: e})
}

type timerState struct {
	w *World
	e *event
}

type timer timerState

func (t *timer) Stop() bool {
	if t.e.fire == nil {
		return false
	}
	t.w.cancel(t.e)
	return true
}

// Go implements clock.Loop.
func (l *loop) Go(name string, f func(ctx context.Context)) {
	l.w.register(&event{
		at:    l.w.nowNS(),
		node:  l.life.node,
		life:  l.life,
		kind:  kindStart,
		a:     l.id,
		b:     l.seq.Add(1),
		label: name,
		fire:  func() { l.w.startTask(l, name, f) },
	})
}

// startTask runs f as the current task until it parks or ends.
func (w *World) startTask(l *loop, name string, f func(ctx context.Context)) {
	var r *runner
	if n := len(w.idle); n > 0 {
		r, w.idle = w.idle[n-1], w.idle[:n-1]
	} else {
		r = &runner{jobs: make(chan job), resume: make(chan error)}
		go r.run(w)
	}
	t := &task{loop: l, name: name, resume: r.resume}
	w.current = t
	r.jobs <- job{task: t, f: f}
}

// runner is a goroutine that runs one task after the other: stacks that have
// grown are kept.
type runner struct {
	jobs   chan job
	resume chan error
}

type job struct {
	task *task
	f    func(ctx context.Context)
}

func (r *runner) run(w *World) {
	busy := false
	defer func() {
		if busy { // a task of a crashed node exits the goroutine
			w.current = nil
		}
	}()
	for j := range r.jobs {
		busy = true
		j.f(j.task.loop.ctx)
		busy = false
		w.current = nil
		w.idle = append(w.idle, r)
	}
}

// Park implements clock.Loop.
func (l *loop) Park(ctx context.Context, arm func(wake func())) error {
	t := l.w.current
	if t == nil || t.loop != l {
		panic(fmt.Sprintf("sim: Park on loop %s of %s by what is not its running task", l.name, l.life.node.name))
	}
	if l.life.ended() {
		runtime.Goexit()
	}
	if err := l.endedBy(ctx); err != nil {
		arm(func() {})
		return err
	}
	p := &parking{task: t, seq: l.seq.Add(1)}
	l.parked = append(l.parked, p)
	arm(func() { l.unpark(p, nil) })
	stop := func() bool { return true }
	if ctx != l.ctx && ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { l.unpark(p, ctx) })
	}
	l.w.current = nil
	err := <-t.resume
	stop()
	if err == errCrashed {
		runtime.Goexit()
	}
	return err
}

func (l *loop) endedBy(ctx context.Context) error {
	if l.stopped {
		return clock.ErrStopped
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// unpark registers the end of a park: a wake, or the end of ctx if it is not
// nil. It may be called from any goroutine.
func (l *loop) unpark(p *parking, ctx context.Context) {
	if !p.woken.CompareAndSwap(false, true) {
		return
	}
	l.w.register(&event{
		at:    l.w.nowNS(),
		node:  l.life.node,
		life:  l.life,
		kind:  kindWake,
		a:     l.id,
		b:     p.seq,
		label: p.task.name,
		fire: func() {
			var err error
			if ctx != nil {
				err = context.Cause(ctx)
			}
			l.resume(p, err)
		},
	})
}

// resume hands the turn to a parked task.
func (l *loop) resume(p *parking, err error) {
	if p.over {
		return
	}
	p.over = true
	l.parked = slices.DeleteFunc(l.parked, func(q *parking) bool { return q == p })
	l.w.current = p.task
	p.task.resume <- err
}

// stop ends the loop in order: parked tasks return ErrStopped, each in an event.
func (l *loop) stop() {
	if l.stopped {
		return
	}
	l.stopped = true
	l.cancel(clock.ErrStopped)
	for _, p := range slices.Clone(l.parked) {
		p.woken.Store(true)
		l.w.register(&event{
			at: l.w.nowNS(), node: l.life.node, life: l.life, kind: kindWake, a: l.id, b: l.seq.Add(1), label: p.task.name,
			fire: func() { l.resume(p, clock.ErrStopped) },
		})
	}
}

// kill ends all tasks at once, one after the other. World's thread only.
func (l *loop) kill() {
	l.stopped = true
	l.cancel(clock.ErrStopped)
	for len(l.parked) > 0 {
		l.resume(l.parked[0], errCrashed)
		l.w.settle()
	}
}

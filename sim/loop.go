package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/taucloud/tau/clock"
)

// loop is the simulated clock.Loop of one service instance. One task runs at a time in the whole
// world, so a loop needs no lock: it only has to resume the task that parked.
type loop struct {
	w      *World
	life   *incarnation
	name   string
	id     uint64 // unique in the world, the same in every run
	ctx    context.Context
	cancel context.CancelCauseFunc
	seq    uint64 // numbers tasks, timers and parks; given in turns only
	parked parkedTasks
	// open is how many tasks were started and have not returned.
	open    int
	stopped bool

	enteringMu sync.Mutex
	entered    uint64          // numbers the tasks of foreign goroutines
	entering   []chan struct{} // those that have not started
}

// task is a goroutine that runs when the world resumes it.
type task struct {
	loop   *loop
	on     clock.Loop // loop, or the branch of it that it is a task of
	name   string
	resume chan error
	runner *runner
	id     uint64 // for a schedule: that of the event that began it
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

// AfterFunc implements clock.Clock.
func (l *loop) AfterFunc(d time.Duration, f func()) clock.Timer { return l.afterFunc(l, d, f) }

// afterFunc has f run on the world's thread, in a turn of on, and never early by this
// node's own clock, even if that has slowed down meanwhile.
func (l *loop) afterFunc(on clock.Loop, d time.Duration, f func()) clock.Timer {
	clocks := &l.life.node.clocks
	due := clocks.elapsedAt(l.w.nowNS()) + int64(max(0, d))
	l.w.mustHaveTurn("AfterFunc")
	l.seq++
	e := &event{
		at:    clocks.virtualAt(due),
		node:  l.life.node,
		life:  l.life,
		kind:  kindTimer,
		a:     l.id,
		b:     l.seq,
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
			l.w.timerOn = on
			f()
			l.w.timerOn = nil
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
func (l *loop) Go(name string, f func(ctx context.Context)) { l.start(l, name, f) }

func (l *loop) start(on clock.Loop, name string, f func(ctx context.Context)) {
	l.w.mustHaveTurn("Go")
	if l.stopped && l.open == 0 {
		return
	}
	l.open++
	l.seq++
	l.w.register(&event{
		at: l.w.nowNS(), node: l.life.node, life: l.life, kind: kindStart, a: l.id, b: l.seq, label: name,
		fire: func() { l.w.startTask(l, on, name, f) },
	})
}

// Enter implements clock.Loop. The tasks of foreign goroutines are numbered separately, so that
// concurrent actions of the turn's owner do not matter.
func (l *loop) Enter(name string, f func(ctx context.Context)) <-chan struct{} {
	return l.startForeign(l, name, f)
}

func (l *loop) startForeign(on clock.Loop, name string, f func(ctx context.Context)) <-chan struct{} {
	w := l.w
	w.disturb()
	w.mustEnterAlone(l)
	lost := make(chan struct{})
	l.enteringMu.Lock()
	defer l.enteringMu.Unlock()
	if l.life.ended() {
		close(lost)
		return lost
	}
	l.entered++
	l.entering = append(l.entering, lost)
	w.register(&event{
		at: w.nowNS(), node: l.life.node, life: l.life, kind: kindEnter, a: l.id, b: l.entered, label: name,
		fire: func() { l.enter(on, lost, name, f) },
	})
	return lost
}

// enter starts the task of a foreign goroutine, unless the loop is over.
func (l *loop) enter(on clock.Loop, lost chan struct{}, name string, f func(ctx context.Context)) {
	l.enteringMu.Lock()
	l.entering = slices.DeleteFunc(l.entering, func(c chan struct{}) bool { return c == lost })
	l.enteringMu.Unlock()
	if l.stopped && l.open == 0 {
		close(lost)
		return
	}
	l.open++
	l.w.startTask(l, on, name, f)
}

// startTask runs f as the current task until it parks or ends.
func (w *World) startTask(l *loop, on clock.Loop, name string, f func(ctx context.Context)) {
	var r *runner
	if n := len(w.idle); n > 0 {
		r, w.idle = w.idle[n-1], w.idle[:n-1]
	} else {
		r = &runner{jobs: make(chan job), resume: make(chan error)}
		go r.run(w)
	}
	t := &task{loop: l, on: on, name: name, resume: r.resume, runner: r}
	if w.firing != nil {
		t.id = w.firing.task
	}
	w.current = t
	r.jobs <- job{task: t, f: f}
}

// runner is a goroutine that runs one task after the other: stacks that have
// grown are kept.
type runner struct {
	jobs   chan job
	resume chan error
	id     uint64 // of the goroutine, under perturbation
}

type job struct {
	task *task
	f    func(ctx context.Context)
}

func (r *runner) run(w *World) {
	if w.perturbation != nil {
		r.id = goroutineID()
	}
	var running *task
	defer func() {
		if running == nil {
			return
		}
		// a task of a crashed node exits the goroutine, one that panics ends the run
		if v := recover(); v != nil {
			w.Fail(w.panicked(v))
		}
		running.end()
	}()
	for j := range r.jobs {
		running = j.task
		running.hasTurn()
		j.f(j.task.loop.ctx)
		w.idle = append(w.idle, r)
		running = nil
		j.task.end()
	}
}

// end gives up the turn for good.
func (t *task) end() {
	t.loop.open--
	t.givesUp()
}

// hasTurn and givesUp tell the perturbation whose turn it is.
func (t *task) hasTurn() {
	if p := t.loop.w.perturbation; p != nil {
		p.owner.Store(t.runner.id)
		p.disturb()
	}
}

func (t *task) givesUp() {
	w := t.loop.w
	if w.perturbation != nil {
		w.perturbation.disturb()
		w.perturbation.owner.Store(0)
	}
	w.current = nil
}

// stop ends the loop in order: parked tasks return ErrStopped, each in an event.
func (l *loop) stop() {
	if l.stopped {
		return
	}
	l.stopped = true
	l.cancel(clock.ErrStopped)
	for p := l.parked.first; p != nil; p = p.after {
		if p.ctx != nil {
			p.signal(signalStop)
		}
	}
}

// kill ends all tasks at once, one after the other, and tells those that wait
// for tasks that will not start. World's thread only.
func (l *loop) kill() {
	l.stopped = true
	l.cancel(clock.ErrStopped)
	for l.parked.first != nil {
		l.resume(l.parked.first, errCrashed)
		l.w.settle()
	}
	l.enteringMu.Lock()
	entering := l.entering
	l.entering = nil
	l.enteringMu.Unlock()
	for _, e := range entering {
		close(e)
		l.w.settle()
	}
}

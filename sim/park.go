package sim

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/taucloud/tau/clock"
)

// parking is one Park of a task, or its leave.
//
// A reason for its end is only recorded as a signal when it occurs: in a turn, or on any goroutine
// of a library or the standard library's contexts. The world decides the result when the turn is
// over and every goroutine is blocked, from the set of signals (see outcome). So the order of
// signals makes no difference, and only the world orders events.
type parking struct {
	task *task
	seq  uint64
	ctx  context.Context // what may end it, nil: nothing but a wake
	// signals is the set of signals so far.
	signals atomic.Uint32
	decided bool // its wake is an event
	over    bool
	wake    event
	result  error // what Park returns
	// neighbours among the parked tasks of the loop
	before, after *parking
}

// The signals.
const (
	signalWake  uint32 = 1 << iota // wake was called
	signalStop                     // its loop stops in order
	signalEnded                    // its context has ended
)

// signal records a signal. It may be called from any goroutine.
func (p *parking) signal(s uint32) {
	w := p.task.loop.w
	w.disturb()
	if p.signals.Or(s) != 0 {
		return // the world has been told already
	}
	w.pendingMu.Lock()
	w.signalled = append(w.signalled, p)
	w.pendingMu.Unlock()
}

// outcome is what a park returns for the signals of one turn. A wake comes first, because its
// caller relies on it; a stop precedes the end of the contexts that it causes.
func outcome(signals uint32, ctx context.Context) error {
	switch {
	case signals&signalWake != 0:
		return nil
	case signals&signalStop != 0:
		return clock.ErrStopped
	default:
		return context.Cause(ctx)
	}
}

// decide makes an event of the last turn's signals of a park. It is called between two turns, when
// every goroutine is blocked.
func (p *parking) decide(w *World) {
	if p.over || p.decided {
		return
	}
	p.decided = true
	p.result = outcome(p.signals.Load(), p.ctx)
	l := p.task.loop
	p.wake = event{
		at: w.nowNS(), node: l.life.node, life: l.life, kind: kindWake, a: l.id, b: p.seq, label: p.task.name, fire: p.resume, task: p.task.id,
	}
	w.rank(&p.wake)
	w.events.push(&p.wake)
}

// resume hands the turn to the parked task.
func (p *parking) resume() { p.task.loop.resume(p, p.result) }

// Park implements clock.Loop.
func (l *loop) Park(ctx context.Context, arm func(wake func())) error { return l.park(l, ctx, arm) }

func (l *loop) park(on clock.Loop, ctx context.Context, arm func(wake func())) error {
	t := l.runningTask(on, "Park")
	if err := l.endedBy(ctx); err != nil {
		arm(func() {})
		return err
	}
	p := l.newParking(t, ctx)
	arm(func() { p.signal(signalWake) })
	if ctx == l.ctx || ctx.Done() == nil { // the loop itself ends its parks
		return l.wait(p)
	}
	stop := context.AfterFunc(ctx, func() { p.signal(signalEnded) })
	defer stop()
	return l.wait(p)
}

// Leave implements clock.Loop. Nothing else happens in the world until f has returned or blocks.
func (l *loop) Leave(ctx context.Context, f func()) error { return l.leave(l, ctx, f) }

func (l *loop) leave(on clock.Loop, ctx context.Context, f func()) error {
	t := l.runningTask(on, "Leave")
	if err := l.endedBy(ctx); err != nil {
		return err
	}
	p := l.newParking(t, nil)
	go func() {
		defer p.signal(signalWake)
		l.w.disturb()
		f()
	}()
	if err := l.wait(p); err != nil {
		return err
	}
	return l.endedBy(ctx)
}

// runningTask is the task that calls an operation of the loop or a branch. It does not
// return if the node has crashed.
func (l *loop) runningTask(on clock.Loop, operation string) *task {
	t := l.w.current
	if t == nil || t.on != on {
		panic(fmt.Sprintf("sim: %s on loop %s of %s by what is not its running task", operation, l.name, l.life.node.name))
	}
	l.w.mustHaveTurn(operation)
	if l.life.ended() {
		runtime.Goexit()
	}
	return t
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

func (l *loop) newParking(t *task, ctx context.Context) *parking {
	l.seq++
	p := &parking{task: t, seq: l.seq, ctx: ctx}
	l.parked.add(p)
	return p
}

// wait gives up the turn until the world resumes the task.
func (l *loop) wait(p *parking) error {
	p.task.givesUp()
	err := <-p.task.resume
	p.task.hasTurn()
	if err == errCrashed {
		runtime.Goexit()
	}
	return err
}

// resume hands the turn to a parked task.
func (l *loop) resume(p *parking, err error) {
	if p.over {
		return
	}
	p.over = true
	l.parked.remove(p)
	l.w.current = p.task
	p.task.resume <- err
}

// parkedTasks are the tasks of a loop that wait, in the order of their parks.
type parkedTasks struct{ first, last *parking }

func (l *parkedTasks) add(p *parking) {
	if p.before = l.last; p.before == nil {
		l.first = p
	} else {
		p.before.after = p
	}
	l.last = p
}

func (l *parkedTasks) remove(p *parking) {
	if p.before == nil {
		l.first = p.after
	} else {
		p.before.after = p.after
	}
	if p.after == nil {
		l.last = p.before
	} else {
		p.after.before = p.before
	}
	p.before, p.after = nil, nil
}

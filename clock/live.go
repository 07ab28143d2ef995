package clock

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

var processStart = time.Now()

// Live is the loop of a real node: a mutex, held while service code runs and
// released while it is parked. It measures how long its turns are.
type Live struct {
	*liveTree
	name string

	turn    sync.Mutex
	running *liveTask     // whose turn it is
	began   time.Duration // when the running task took it
	turns   *turnMeter    // nil: nobody else waits for them
}

// liveTree is what a loop and its branches have in common: they end together, and
// what runs on any of them is counted in one place.
type liveTree struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	ends   chan struct{} // closed when the loop has been stopped and all contexts below ctx have ended

	mu      sync.Mutex
	open    int // tasks and timer calls that were let in and have not returned
	stopped bool
	over    chan struct{} // closed when the loop has stopped and nothing is open
}

// liveTask is a holder of the turn: a task, or a timer's call.
type liveTask struct {
	name string
	call func() // of a timer, which has no name
}

func (t *liveTask) String() string {
	if t.call == nil {
		return t.name
	}
	return "timer " + runtime.FuncForPC(reflect.ValueOf(t.call).Pointer()).Name()
}

// NewLive returns a running loop that does not log.
func NewLive() *Live { return NewNamedLive("", nil) }

// NewNamedLive returns a running loop that warns of long turns (see
// LongTurn) in log, by its name and the task's; log may be nil.
func NewNamedLive(name string, log *slog.Logger) *Live {
	tree := &liveTree{ends: make(chan struct{}), over: make(chan struct{})}
	tree.ctx, tree.cancel = context.WithCancelCause(context.Background())
	return &Live{liveTree: tree, name: name, turns: &turnMeter{log: log}}
}

// Branch implements Loop. Turns of a branch are not measured, since they hold up
// nobody else. Nothing is left of it when its last task has returned.
func (l *Live) Branch() Loop { return &Live{liveTree: l.liveTree, name: l.name} }

// Now implements Clock.
func (l *Live) Now() time.Time { return time.Now() }

// Elapsed implements Clock.
func (l *Live) Elapsed() time.Duration { return time.Since(processStart) }

// Turns implements TurnMeter.
func (l *Live) Turns() TurnStats {
	if l.turns == nil {
		return TurnStats{}
	}
	return l.turns.stats()
}

// AfterFunc implements Clock.
func (l *Live) AfterFunc(d time.Duration, f func()) Timer {
	t := &liveTimer{}
	t.timer = time.AfterFunc(d, func() {
		if !l.letIn(true) {
			return
		}
		defer l.letOut()
		l.take(&liveTask{call: f})
		defer l.giveUp()
		if !t.over {
			t.over = true
			f()
		}
	})
	return t
}

// liveTimer's field over is guarded by the turn.
type liveTimer struct {
	timer *time.Timer
	over  bool
}

func (t *liveTimer) Stop() bool {
	t.timer.Stop()
	was := t.over
	t.over = true
	return !was
}

// Go implements Loop.
func (l *Live) Go(name string, f func(ctx context.Context)) { l.start(name, f) }

// Enter implements Loop.
func (l *Live) Enter(name string, f func(ctx context.Context)) (lost <-chan struct{}) {
	if l.start(name, f) {
		return nil
	}
	return l.over
}

// start reports whether the task will run. That is decided here and not on the task's goroutine,
// which may be scheduled long after the loop is over.
func (l *Live) start(name string, f func(ctx context.Context)) bool {
	if !l.letIn(false) {
		return false
	}
	go func() {
		defer l.letOut()
		l.take(&liveTask{name: name})
		defer l.giveUp()
		f(l.ctx)
	}()
	return true
}

// doTask is whoever enters with [Do].
var doTask = &liveTask{name: "do"}

// do is [Do] on the goroutine of whoever calls: no task of its own has to be started, nor its stack to grow. Whoever holds the
// turn of another loop has given it up.
func (l *Live) do(ctx context.Context, f func(ctx context.Context)) error {
	return l.enter(func() {
		inner, cancel := context.WithCancelCause(entered{l.ctx, ctx})
		defer cancel(context.Canceled)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
		if ctx.Err() != nil {
			cancel(context.Cause(ctx))
		}
		f(inner)
	})
}

// enter runs f in a turn, on the goroutine of whoever calls. What f panics with ends the process, as that of a task does: whoever
// called cannot know what is left of what the loop owns.
func (l *Live) enter(f func()) error {
	if !l.letIn(false) {
		return ErrStopped
	}
	defer l.letOut()
	l.take(doTask)
	defer l.giveUp()
	whole := false
	defer func() {
		if whole {
			return
		}
		if p := recover(); p != nil {
			stack := debug.Stack()
			go panic(fmt.Sprintf("%v\n\n%s", p, stack))
			select {}
		}
	}()
	f()
	whole = true
	return nil
}

// Park implements Loop.
func (l *Live) Park(ctx context.Context, arm func(wake func())) error {
	if err := l.ended(ctx); err != nil {
		arm(func() {})
		return err
	}
	woken := make(chan struct{})
	var once sync.Once
	arm(func() { once.Do(func() { close(woken) }) })
	t := l.giveUp()
	select {
	case <-woken:
	case <-ctx.Done():
	case <-l.ends:
	}
	l.take(t)
	select {
	case <-woken:
		return nil
	default:
		return l.ended(ctx)
	}
}

// Leave implements Loop.
func (l *Live) Leave(ctx context.Context, f func()) error {
	if err := l.ended(ctx); err != nil {
		return err
	}
	t := l.giveUp()
	defer func() { l.take(t) }() // also if f ends the goroutine
	f()
	return l.ended(ctx)
}

// Stop ends the loop and its branches: parked tasks return ErrStopped. It waits until
// all tasks have returned or grace has passed, and reports whether they have: then none
// will ever run again.
func (l *Live) Stop(grace time.Duration) bool {
	l.mu.Lock()
	first := !l.stopped
	if first {
		l.stopped = true
		l.closeIfOver()
	}
	l.mu.Unlock()
	if first {
		l.cancel(ErrStopped)
		close(l.ends)
	}
	select {
	case <-l.over:
	case <-time.After(grace):
	}
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// ended tells of the loop's end before ctx's. Contexts end one after another, the loop's first; who
// hears of the loop's end finds all of them ended.
func (l *liveTree) ended(ctx context.Context) error {
	if l.ctx.Err() != nil {
		<-l.ends
		return ErrStopped
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// letIn counts a task or a timer's call, unless it is too late: a timer's once the loop has
// stopped, a task once it is over.
func (l *liveTree) letIn(timer bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped && (timer || l.open == 0) {
		return false
	}
	l.open++
	return true
}

func (l *liveTree) letOut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	l.closeIfOver()
}

// closeIfOver is called when stopped or open has changed: the loop cannot be
// over before, nor be over twice.
func (l *liveTree) closeIfOver() {
	if l.stopped && l.open == 0 {
		close(l.over)
	}
}

// take waits for the turn.
func (l *Live) take(t *liveTask) {
	l.turn.Lock()
	l.running, l.began = t, l.Elapsed()
}

// giveUp ends the turn and returns whose it was.
func (l *Live) giveUp() *liveTask {
	t, took := l.running, l.Elapsed()-l.began
	l.turn.Unlock()
	if l.turns != nil && l.turns.add(took) {
		l.turns.warn(l.name, t, took)
	}
	return t
}

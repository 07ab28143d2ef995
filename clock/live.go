package clock

import (
	"context"
	"sync"
	"time"
)

var processStart = time.Now()

// Live is the loop of a real node: a mutex, held while service code runs and
// released while it is parked.
type Live struct {
	turn    sync.Mutex
	ctx     context.Context
	cancel  context.CancelCauseFunc
	tasks   sync.WaitGroup
	stopMu  sync.Mutex // orders tasks.Add before tasks.Wait
	stopped bool
}

// NewLive returns a running loop.
func NewLive() *Live {
	l := &Live{}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// Now implements Clock.
func (l *Live) Now() time.Time { return time.Now() }

// Elapsed implements Clock.
func (l *Live) Elapsed() time.Duration { return time.Since(processStart) }

// AfterFunc implements Clock.
func (l *Live) AfterFunc(d time.Duration, f func()) Timer {
	t := &liveTimer{}
	t.timer = time.AfterFunc(d, func() {
		if !l.enter() {
			return
		}
		defer l.leave()
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
func (l *Live) Go(_ string, f func(ctx context.Context)) {
	go func() {
		if !l.enter() {
			// The task still runs, so that whoever waits for it hears of the
			// stop from its first operation; it runs in a turn like any other.
			l.turn.Lock()
			defer l.turn.Unlock()
			f(l.ctx)
			return
		}
		defer l.leave()
		f(l.ctx)
	}()
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
	l.turn.Unlock()
	defer l.turn.Lock()
	select {
	case <-woken:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.ctx.Done():
		return ErrStopped
	}
}

// Stop ends the loop: parked tasks return ErrStopped. It waits until all tasks
// have returned or grace has passed, and reports whether they have.
func (l *Live) Stop(grace time.Duration) bool {
	l.stopMu.Lock()
	l.stopped = true
	l.stopMu.Unlock()
	l.cancel(ErrStopped)
	done := make(chan struct{})
	go func() {
		l.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(grace):
		return false
	}
}

func (l *Live) ended(ctx context.Context) error {
	if l.ctx.Err() != nil {
		return ErrStopped
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// enter takes the turn unless the loop has stopped.
func (l *Live) enter() bool {
	l.stopMu.Lock()
	if l.stopped {
		l.stopMu.Unlock()
		return false
	}
	l.tasks.Add(1)
	l.stopMu.Unlock()
	l.turn.Lock()
	return true
}

func (l *Live) leave() {
	l.turn.Unlock()
	l.tasks.Done()
}

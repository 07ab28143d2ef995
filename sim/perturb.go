package sim

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// perturbation disturbs the real-time order of goroutines, which must not matter: it yields or
// delays at random wherever a goroutine calls into the world, and keeps the processors busy. A
// world under perturbation must keep its digest; one whose order depends on which goroutine is
// faster soon gets another.
//
// It also enforces the underlying rule: the numbers of events are given in turns only. A goroutine
// without the turn that gives one panics, also if the order would have been right this time.
type perturbation struct {
	state atomic.Uint64
	spun  atomic.Uint64
	calls atomic.Uint64 // of disturb
	world uint64        // the goroutine of the world's thread
	owner atomic.Uint64 // the goroutine that has the turn, if it is a task's

	mu      sync.Mutex
	entered map[*loop]entry
}

// entry is the last time that a foreign goroutine entered a loop.
type entry struct{ fired, goroutine uint64 }

func newPerturbation(seed uint64) *perturbation {
	p := &perturbation{entered: map[*loop]entry{}}
	p.state.Store(seed)
	return p
}

// draw is a random number that, unlike all draws of the world, differs from run to run.
func (p *perturbation) draw() uint64 { return mix(p.state.Add(0x9e3779b97f4a7c15)) }

// The bounds of delays, in turns of spin, each about a nanosecond. A goroutine
// switch takes a few hundred.
const (
	spinMax     = 10_000
	distractMax = 50_000
)

// distractEach is how many calls of disturb a distraction takes at least: on a busy
// machine, where the world gets on slowly, it would otherwise have most of the time.
const distractEach = 64

// disturb is called where the order of goroutines must not matter.
func (w *World) disturb() {
	if w.perturbation != nil {
		w.perturbation.disturb()
	}
}

func (p *perturbation) disturb() {
	p.calls.Add(1)
	d := p.draw()
	switch d % 8 {
	case 0:
		p.spin(d >> 8 % spinMax)
	case 1, 2, 3:
		for range d>>8%4 + 1 {
			runtime.Gosched()
		}
	}
}

// spin takes real time. It cannot look at a clock: the bubble's stands still.
func (p *perturbation) spin(turns uint64) {
	x := turns
	for range turns {
		x = mix(x)
	}
	p.spun.Store(x) // keeps the loop from being optimised away
}

// distract occupies a processor at random times until done is closed. It must
// be started outside of the bubble.
func (p *perturbation) distract(done <-chan struct{}) {
	for last := uint64(0); ; {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(p.draw() % uint64(500*time.Microsecond))):
		}
		if p.calls.Load()-last < distractEach {
			continue
		}
		last = p.calls.Load()
		p.spin(p.draw() % distractMax)
		if p.draw()%1000 == 0 {
			runtime.GC() // stops the world, and lets others go first after it
		}
	}
}

// mustHaveTurn panics if the caller is neither the running task nor the world's
// thread between turns.
func (w *World) mustHaveTurn(operation string) {
	if w.perturbation != nil {
		w.perturbation.mustHaveTurn(operation)
	}
}

func (p *perturbation) mustHaveTurn(operation string) {
	switch g := goroutineID(); g {
	case p.world, p.owner.Load():
	default:
		panic(fmt.Sprintf("sim: %s by a goroutine that has no turn: a library's goroutine may wake a park, hand something to a task that waits, or enter with clock.Do", operation))
	}
}

// mustEnterAlone panics if two goroutines enter a loop between the same two
// events.
func (w *World) mustEnterAlone(l *loop) {
	p := w.perturbation
	if p == nil {
		return
	}
	now := entry{fired: w.fired.Load(), goroutine: goroutineID()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, found := p.entered[l]; found && last.fired == now.fired && last.goroutine != now.goroutine {
		panic(fmt.Sprintf("sim: two foreign goroutines enter loop %s of %s at once: the world cannot know which is first", l.name, l.life.node.name))
	}
	p.entered[l] = now
}

// goroutineID reads the number of the calling goroutine from its stack trace;
// there is no other way, and it takes about a microsecond.
func goroutineID() uint64 {
	var buf [64]byte
	text := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	text, _, _ = bytes.Cut(text, []byte(" "))
	id, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		panic(err) // the form of a stack trace has changed
	}
	return id
}

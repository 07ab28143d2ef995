// Package sim is the other world: a whole cloud in one process, in virtual
// time, from one seed. Nodes are the real node code over simulated clocks,
// networks and disks. It knows no service.
//
// # How it stays the same
//
// Everything runs in a testing/synctest bubble, so that libraries' own timers are virtual too.
// Every injected operation that must wait registers an [event] and blocks. The world's thread waits
// until every goroutine is blocked, takes the earliest event by (virtual time, seeded tie-break of
// the event's canonical key), fires exactly that one, and waits again. Goroutines of libraries run
// freely between two events; their requests to the world are ordered by key, not by arrival.
package sim

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// WireKind chooses the carrier of the bytes between nodes. The choice does not change a run's
// digest.
type WireKind string

// The wires.
const (
	// Mocknet carries them over libp2p's mocknet, through transport/libp2p.
	Mocknet WireKind = "mocknet"
	// Direct hands them over in memory, for size and speed.
	Direct WireKind = "direct"
)

// Config describes a world.
type Config struct {
	Seed uint64
	// Wire is Direct if empty.
	Wire WireKind
	// Schedule chooses between what happens at the same instant.
	Schedule Schedule
	// Network is the shape of links without faults.
	Network Network
	// Trace receives one JSON line per event, see package tracefile; nil for none.
	Trace io.Writer
	// Scenario is named in the trace's first line.
	Scenario string
	// EventsMax ends a run that does not end; 0 means 500 million.
	EventsMax uint64
	// StallTimeout is the real time without any event after which the world counts as stuck. 0
	// means 10 s.
	StallTimeout time.Duration
	// Stuck is called after a breakdown that makes it impossible to leave the bubble, with the
	// run's outcome; it must end the process. It may be called on any goroutine. nil prints all
	// goroutines and exits with 70.
	Stuck func(Outcome, *Breakdown)
	// Progress, if set, is called about every 1,000 events on the world's thread.
	Progress func(virtual time.Duration, events uint64)
	// Perturb, if not 0, disturbs goroutines in real time, in a way drawn from
	// it. The digest must not notice. It is slow.
	Perturb uint64
}

// Outcome is the result of a run.
type Outcome struct {
	// Digest is the SHA-256 of all trace lines, in hexadecimal.
	Digest string
	Events uint64
	// Virtual is the time at which the run ended.
	Virtual time.Duration
}

// World is one run.
type World struct {
	cfg     Config
	virtual atomic.Int64 // nanoseconds since the start
	events  eventHeap
	// schedule is nil for the uniform one, which is in the order of the heap.
	schedule *scheduler
	current  *task      // the one that runs now, nil between turns
	timerOn  clock.Loop // whose timer runs now
	firing   *event     // the one that fires now
	idle     []*runner  // goroutines without a task

	pendingMu sync.Mutex
	pending   []*event
	spare     []*event
	// signalled are the parks with signals from the last turn.
	signalled      []*parking
	spareSignalled []*parking

	perturbation *perturbation // nil: none
	guarded      goroutineGuard

	nodes  []*Node
	byName map[string]*Node
	byPeer map[transport.Peer]*Node
	clouds map[string]*cloud
	net    *network
	trace  *trace

	seq      uint64        // numbers the world's own events
	fired    atomic.Uint64 // events, with the one whose turn it is: its number
	stuckAt  int64         // virtual time of the last event, and how many came then
	stuckFor int
	bubble   time.Time // the bubble's clock at the start
	failure  error
	onFact   []func(check.Fact)
	// onDelivery hears of all that handlers get from other nodes
	onDelivery []func(check.Delivery)
	log        *slog.Logger
}

// epoch is the reading of an unskewed wall clock at the start.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// sameInstantMax is how many events may happen without time moving.
const sameInstantMax = 2_000_000

// Run makes a world and hands it to body on the world's thread: body adds
// nodes, plans what happens and calls RunUntil. When body returns, all nodes
// end. The error is body's, or the first failure of the world.
func Run(cfg Config, body func(w *World) error) (out Outcome, err error) {
	if cfg.EventsMax == 0 {
		cfg.EventsMax = 500_000_000
	}
	if cfg.StallTimeout == 0 {
		cfg.StallTimeout = 10 * time.Second
	}
	if cfg.Wire == "" {
		cfg.Wire = Direct
	}
	w := &World{
		cfg:    cfg,
		byName: map[string]*Node{},
		byPeer: map[transport.Peer]*Node{},
		clouds: map[string]*cloud{},
	}
	w.trace = newTrace(w, cfg.Trace)
	w.trace.head(cfg.Scenario, cfg.Seed)
	w.schedule = newScheduler(w)
	w.log = slog.New(&logHandler{w: w})
	if cfg.Perturb != 0 {
		w.perturbation = newPerturbation(cfg.Perturb)
	}
	stopWatching := w.watch()
	defer stopWatching()
	// testing.T is needed to make the bubble only: nothing is reported on it.
	synctest.Test(&testing.T{}, func(*testing.T) {
		defer func() {
			if v := recover(); v != nil { // the bubble's goroutines cannot be ended any more
				w.stuck(w.first(w.panicked(v)))
			}
		}()
		err = w.runBody(body)
		out = w.outcome()
	})
	return out, err
}

func (w *World) outcome() Outcome {
	return Outcome{Digest: w.trace.digest(), Events: w.fired.Load(), Virtual: w.Now()}
}

// first is the breakdown that the run failed with before b, b if there is none.
func (w *World) first(b *Breakdown) *Breakdown {
	var before *Breakdown
	if errors.As(w.failure, &before) {
		return before
	}
	return b
}

func (w *World) runBody(body func(w *World) error) (err error) {
	w.bubble = time.Now()
	if w.perturbation != nil {
		w.perturbation.world = goroutineID()
	}
	carrier, err := newCarrier(w)
	if err != nil {
		return err
	}
	w.net = newNetwork(w, carrier)
	defer func() {
		if v := recover(); v != nil {
			w.Fail(w.panicked(v))
		}
		w.end()
		if err == nil {
			err = w.failure
		}
	}()
	return body(w)
}

// end ends all nodes, also after a panic: no goroutine may remain in the bubble.
func (w *World) end() {
	for _, n := range w.nodes {
		if n.life != nil {
			n.life.end()
		}
	}
	for _, r := range w.idle {
		close(r.jobs)
	}
	w.net.carrier.close()
	w.settle()
	w.guarded.most = 0 // a last look: whoever is still there keeps the bubble from ending
	w.guarded.look(w)
}

// Now is the virtual time since the start.
func (w *World) Now() time.Duration { return time.Duration(w.virtual.Load()) }

func (w *World) nowNS() int64 { return w.virtual.Load() }

// Events is how many events have fired.
func (w *World) Events() uint64 { return w.fired.Load() }

// At plans f on the world's thread, d after the start. f must not wait.
func (w *World) At(d time.Duration, label string, f func()) {
	w.seq++
	w.register(&event{at: max(int64(d), w.nowNS()), kind: kindWorld, a: w.seq, label: label, fire: f})
}

// After plans f on the world's thread, d from now.
func (w *World) After(d time.Duration, label string, f func()) { w.At(w.Now()+d, label, f) }

// Fail ends the run: RunUntil returns err. The first one counts.
func (w *World) Fail(err error) {
	if w.failure == nil {
		w.failure = err
	}
}

// OnFact adds a listener to the facts that services report.
func (w *World) OnFact(f func(check.Fact)) { w.onFact = append(w.onFact, f) }

// RunUntil fires events until virtual time d. It returns early with the first
// failure; a panic on the world's thread is one.
func (w *World) RunUntil(d time.Duration) (err error) {
	defer func() {
		if v := recover(); v != nil {
			w.Fail(w.panicked(v))
			err = w.failure
		}
	}()
	for w.failure == nil {
		w.settle()
		if w.perturbation != nil {
			w.guarded.look(w)
		}
		w.collect()
		if len(w.events) == 0 || w.events[0].at > int64(d) {
			w.advance(max(int64(d), w.nowNS()))
			return nil
		}
		w.fire(w.next())
	}
	w.settle() // the failure may have occurred in a turn that still runs
	return w.failure
}

// fire lets one event happen.
func (w *World) fire(e *event) {
	if e.life != nil && e.life.ended() {
		return
	}
	if e.node != nil && e.node.frozen() {
		e.node.effects.Deferred++
		e.node.deferred = append(e.node.deferred, e)
		return
	}
	w.advance(max(e.at, w.nowNS()))
	w.guard(e)
	fire := e.fire
	n := w.fired.Add(1)
	w.trace.event(w.nowNS(), e)
	w.firing = e
	fire()
	w.firing = nil
	if n%1024 == 0 && w.cfg.Progress != nil {
		w.cfg.Progress(w.Now(), n)
	}
}

// advance moves virtual time, and the bubble's clock after it. The bubble's clock need not follow
// each nanosecond: only libraries read it.
func (w *World) advance(at int64) {
	w.virtual.Store(at)
	if behind := time.Duration(at) - time.Since(w.bubble); behind >= 100*time.Millisecond {
		time.Sleep(behind)
		synctest.Wait()
	}
}

// settle waits until every goroutine is blocked.
func (w *World) settle() {
	synctest.Wait()
	for i := 0; w.current != nil; i++ {
		if i == 1000 {
			b := w.turnOf(BrokenByStall)
			b.Stack, b.What = stuckFrames()
			b.What = cmp.Or(b.What, "it waits for something that is not of this world")
			w.stuck(w.first(b))
		}
		time.Sleep(time.Nanosecond) // a library's timer may be what it waits for
		synctest.Wait()
	}
}

// guard ends a run that exceeds its bounds.
func (w *World) guard(e *event) {
	if w.fired.Load() >= w.cfg.EventsMax {
		w.Fail(fmt.Errorf("sim: more than %d events", w.cfg.EventsMax))
	}
	if w.nowNS() != w.stuckAt {
		w.stuckAt, w.stuckFor = w.nowNS(), 0
		return
	}
	if w.stuckFor++; w.stuckFor > sameInstantMax {
		w.Fail(fmt.Errorf("sim: %d events without time moving at %v; the last is %s %q", w.stuckFor, w.Now(), kindNames[e.kind], e.label))
	}
}

// watch gives up a world without events for too long in real time, as when a task holds a mutex
// while it waits. It must be started outside of the bubble.
func (w *World) watch() (stop func()) {
	done := make(chan struct{})
	go func() {
		last, since := uint64(0), time.Now()
		for {
			select {
			case <-done:
				return
			case <-time.After(w.cfg.StallTimeout / 10):
			}
			if n := w.fired.Load(); n != last || n == 0 {
				last, since = n, time.Now()
			} else if time.Since(since) > w.cfg.StallTimeout {
				b := w.turnOf(BrokenByStall)
				frames, instead := stuckFrames()
				b.What, b.Stack = fmt.Sprintf("no event for %v of real time", w.cfg.StallTimeout), frames
				if instead != "" {
					b.What += ": " + instead
				}
				w.stuck(b)
			}
		}
	}()
	if w.perturbation != nil {
		go w.perturbation.distract(done)
	}
	return func() { close(done) }
}

// stacksLenMax bounds the traces of all goroutines together.
const stacksLenMax = 16 << 20

// allStacks returns the stack traces of all goroutines.
func allStacks() []byte {
	for size := 64 << 10; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= stacksLenMax {
			return buf[:n]
		}
	}
}

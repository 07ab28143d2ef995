package sim

import "github.com/taucloud/tau/transport"

// eventKind says what an event is; its value is part of every digest.
type eventKind uint8

const (
	kindWorld eventKind = iota + 1
	kindStart
	kindWake
	kindTimer
	kindFrame
	kindDial
	kindDialed
	kindClosed
	kindFlush
	kindCrash
	kindResend
	kindEnter
)

var kindNames = [...]string{"?", "world", "start", "wake", "timer", "frame", "dial", "dialed", "closed", "flush", "crash", "resend", "enter"}

// event is a pending event. (node, kind, a, b) is its canonical key: it is unique, and it does not
// depend on which goroutine registered first.
type event struct {
	at   int64 // virtual nanoseconds
	tie  uint64
	node *Node        // whose event it is; nil: the world's
	life *incarnation // it does not fire when this has ended; nil: always fires
	kind eventKind
	a, b uint64
	// label is for the trace; it is not part of the key.
	label string
	// cause is the number of the event in whose turn this one was registered first,
	// said what a frame is, nil if nobody reads the trace. Neither counts for the digest.
	cause uint64
	said  *transport.FrameLabel
	size  int    // of a frame, in bytes
	sum   uint64 // of a frame's bytes
	fire  func()
	task  uint64   // whose event it is for a schedule, 0 without one
	from  *connEnd // of a frame
	// index in the heap, -1 when not in it.
	index int
}

// register adds an event; it may be called from any goroutine. Its place among
// others depends on its key alone.
func (w *World) register(e *event) {
	w.rank(e)
	w.disturb()
	w.pendingMu.Lock()
	w.pending = append(w.pending, e)
	w.pendingMu.Unlock()
}

// rank gives an event its place among those of its time, and its cause.
func (w *World) rank(e *event) {
	if e.cause == 0 {
		e.cause = w.fired.Load()
	}
	if e.tie == 0 {
		e.tie = w.draw(drawTie, e.nodeNumber()<<8|uint64(e.kind), e.a, e.b)
	}
	if w.schedule != nil && e.task == 0 {
		e.task = w.taskOf(e)
	}
	e.index = -1
}

// nodeNumber counts from 1; 0 is the world's.
func (e *event) nodeNumber() uint64 {
	if e.node == nil {
		return 0
	}
	return uint64(e.node.index) + 1
}

// tieFirst is more than all places that are given and not drawn: what has one comes
// first, in any schedule.
const tieFirst = 1 << 20

// next takes the event that happens next off the heap.
func (w *World) next() *event {
	if w.schedule == nil || w.events[0].tie < tieFirst {
		return w.events.pop()
	}
	return w.schedule.next()
}

// collect moves events and signals registered since the last call to the heap. It is called between
// two turns, when every goroutine is blocked.
func (w *World) collect() {
	if len(w.signalled) > 0 { // nobody else is running
		noted := w.signalled
		w.signalled = w.spareSignalled[:0]
		for i, p := range noted {
			p.decide(w)
			noted[i] = nil
		}
		w.spareSignalled = noted
	}
	w.drain()
}

// drain moves events registered since the last call to the heap. It may be called within a turn.
func (w *World) drain() {
	w.pendingMu.Lock()
	batch := w.pending
	w.pending = w.spare[:0]
	w.pendingMu.Unlock()
	for i, e := range batch {
		if e.fire != nil { // not cancelled meanwhile
			w.events.push(e)
		}
		batch[i] = nil
	}
	w.spare = batch
}

// cancel takes an event back. It must be called on the world's thread or by the
// running task.
func (w *World) cancel(e *event) {
	e.fire = nil
	if e.index >= 0 {
		w.events.remove(e)
	}
}

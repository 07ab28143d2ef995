package transport

import "context"

// notesBytesMax bounds the bytes of one peer's notes that wait at an endpoint.
const notesBytesMax = 16 << 20

// Tell sends a one-way note, best effort, without waiting. The notes of one task to one peer are
// handled in the order in which they were sent; some may be lost: an error says that this one was
// lost for certain.
func (ep *Endpoint) Tell(to Peer, method string, message []byte) error {
	if err := checkMessage(method, message); err != nil {
		return err
	}
	frame := encodeNamed(frameNote, method, message)
	if err := ep.send(to, method, frame); err != nil {
		return err.withOp(method)
	}
	return nil
}

func (ep *Endpoint) send(to Peer, name string, frame []byte) (err *Error) {
	ep.engine.do(func(a *actions) {
		err = stoppedError
		if !ep.closed {
			err = ep.engine.originate(to, Control, outbound{frame: frame, flow: flowKey{lane: laneNamed, name: name}}, a)
		}
	})
	return err
}

// inbox holds the notes of one peer for one endpoint until their tasks start.
// Each note has a task, and each task takes the oldest note: so the handlers
// start in the order of arrival, whatever order the loop starts tasks in.
type inbox struct {
	notes   []note
	bytes   int
	pending int // notes that wait or are handled
	start   func()
}

type note struct {
	method  *method
	message []byte
}

// deliver starts the handler of a note or publication.
func (e *Engine) deliver(m *method, from Peer, message []byte, a *actions) {
	in := m.ep.inboxes[from]
	if in == nil {
		in = e.newInbox(m.ep, from)
	}
	if in.pending >= NotesPerPeerMax || in.bytes+len(message) > notesBytesMax {
		return
	}
	e.handled(from, m)
	in.notes = append(in.notes, note{method: m, message: message})
	in.bytes += len(message)
	in.pending++
	a.add(in.start)
}

func (e *Engine) newInbox(ep *Endpoint, from Peer) *inbox {
	in := &inbox{}
	ep.inboxes[from] = in
	run := func(ctx context.Context) { e.runNote(ctx, ep, from, in) }
	in.start = func() { ep.loop.Go("note", run) }
	return in
}

func (e *Engine) runNote(ctx context.Context, ep *Endpoint, from Peer, in *inbox) {
	e.mu.Lock()
	if ep.closed || len(in.notes) == 0 {
		e.mu.Unlock()
		return
	}
	n := in.notes[0]
	in.notes[0] = note{}
	in.notes = in.notes[1:]
	in.bytes -= len(n.message)
	e.mu.Unlock()

	n.method.note(ctx, from, n.message)

	e.mu.Lock()
	in.pending--
	if in.pending == 0 && ep.inboxes[from] == in {
		delete(ep.inboxes, from)
	}
	e.mu.Unlock()
}

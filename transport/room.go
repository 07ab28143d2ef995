package transport

import "slices"

const (
	// outboundBytesMax bounds what a node holds of one class, over all peers, of
	// frames that have not arrived yet, so that peers that do not read cost no more.
	outboundBytesMax = 64 << 20
	// sessionBytesMax bounds the same for one session, and sessionBytesMin is
	// what each session may have whatever the others use.
	sessionBytesMax = 16 << 20
	sessionBytesMin = 64 << 10
	// streamBytesMax bounds the waiting stream messages of one session; each stream may have one
	// message more.
	streamBytesMax = 1 << 20
)

// fits reports whether a session may take size bytes more. A request or stream message that does
// not fit waits; a note is lost, and a response becomes a refusal.
func (e *Engine) fits(s *session, size int) bool {
	weight := s.out.weight() + size
	return weight <= sessionBytesMin || weight <= sessionBytesMax && e.outbound[s.class()]+size <= outboundBytesMax
}

// waiting is a call or a stream with something to send for which there was no
// room.
type waiting struct {
	session *session
	call    *call
	stream  *Stream
	size    int
}

// may reports whether there is room for it, given that others have been promised some bytes
// already.
func (w waiting) may(e *Engine, given int) bool {
	switch {
	case w.gone():
		return true
	case w.stream != nil:
		return w.stream.maySend(w.size + given)
	}
	return e.fits(w.session, w.size+given)
}

// gone reports whether it will not take the room.
func (w waiting) gone() bool {
	return w.session.over || w.stream != nil && w.stream.err != nil || w.call != nil && w.call.done
}

// wakeWaiting wakes those for which there may be room now, in order.
func (e *Engine) wakeWaiting(a *actions) {
	given := 0
	e.waiting = slices.DeleteFunc(e.waiting, func(w waiting) bool {
		if !w.may(e, given) {
			return false
		}
		if !w.gone() {
			given += w.size
		}
		if w.stream != nil {
			w.stream.waits = false
			w.stream.changed(a)
		} else if w.call.wake != nil {
			a.add(w.call.wake)
		}
		return true
	})
}

package transport

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// inboundBytesMax bounds what a node holds, over all peers, of frames of which parts are missing.
// When it is used up, the peer that has been silent longest loses its conn.
const inboundBytesMax = 64 << 20

// inparts are the frames of a session of which parts are missing.
type inparts struct {
	last   uint64 // the number of the last that began
	open   map[uint64]*inpart
	length int // of all of them together, when they are complete
}

// growth is the allowed ratio of memory held for a frame to its arrived bytes. A frame of a
// megabyte with a usual first part is moved once.
const growth = 20

// inpart is one such frame. Its memory grows as its parts arrive: a peer has to send a twentieth of
// what we hold for it.
type inpart struct {
	length  int
	data    []byte
	got     int
	call    *call // it is the answer to
	useless bool  // nobody waits for it: it is counted but not kept
	moved   time.Duration
}

// add takes a part and returns by how much the memory held has grown.
func (p *inpart) add(part []byte) (grown int) {
	p.got += len(part)
	if p.useless {
		return 0
	}
	if before := cap(p.data); p.got > before {
		data := make([]byte, len(p.data), min(p.length, growth*p.got))
		copy(data, p.data)
		p.data, grown = data, cap(data)-before
	}
	p.data = append(p.data, part...)
	return grown
}

// beginParts takes the first part of a frame.
func (e *Engine) beginParts(s *session, f frame, a *actions) error {
	in := &s.in
	switch {
	case f.id <= in.last:
		return fmt.Errorf("frame %d began twice", f.id)
	case len(f.message) == 0 || len(f.message) >= f.length:
		return fmt.Errorf("%d bytes are no part of a frame of %d", len(f.message), f.length)
	case len(in.open) >= partsMax || in.length+f.length > partsBytesMax:
		return fmt.Errorf("too many frames in parts")
	}
	p := &inpart{length: f.length}
	if in.open == nil {
		in.open = map[uint64]*inpart{}
	}
	in.last = f.id
	in.open[f.id] = p
	in.length += f.length
	p.call, p.useless = e.awaited(s, f.message)
	e.watchParts(a)
	return e.addPart(s, f.id, p, f.message, a)
}

// awaited finds the call that a frame with this beginning answers; answers to unknown calls are
// useless.
func (e *Engine) awaited(s *session, start []byte) (c *call, useless bool) {
	if frameType(start[0]) != frameResponse {
		return nil, false
	}
	id, n := binary.Uvarint(start[1:])
	if c = e.calls[id]; n > 0 && c != nil && c.session == s {
		return c, false
	}
	return nil, true
}

func (e *Engine) part(s *session, f frame, a *actions) error {
	p := s.in.open[f.id]
	if p == nil || len(f.message) == 0 || p.got+len(f.message) > p.length {
		return fmt.Errorf("a part of frame %d that is none", f.id)
	}
	return e.addPart(s, f.id, p, f.message, a)
}

func (e *Engine) addPart(s *session, number uint64, p *inpart, part []byte, a *actions) error {
	p.moved = e.loop.Elapsed()
	if p.call != nil && p.call.done {
		p.call, p.useless = nil, true
		e.inbound -= cap(p.data)
		p.data = nil
	}
	if p.call != nil {
		p.call.moved = p.moved
	}
	e.inbound += p.add(part)
	if p.got == p.length {
		e.forgetPart(s, number)
		return e.completeParts(s, p, a)
	}
	for e.inbound > inboundBytesMax {
		e.drop(e.stalest(), unreachable("the node holds too many unfinished messages"), a)
	}
	return nil
}

// completeParts dispatches a complete frame.
func (e *Engine) completeParts(s *session, p *inpart, a *actions) error {
	if p.useless {
		return nil
	}
	f, err := decodeFrame(p.data)
	if err != nil {
		return err
	}
	if f.typ < frameUnknown && f.message == nil || f.typ == frameBegin || f.typ == framePart {
		return fmt.Errorf("a frame of type %d in parts", f.typ)
	}
	return e.receive(s, f, a)
}

// forgetPart drops a frame that is complete or abandoned.
func (e *Engine) forgetPart(s *session, number uint64) {
	if p := s.in.open[number]; p != nil {
		delete(s.in.open, number)
		s.in.length -= p.length
		e.inbound -= cap(p.data)
	}
}

// stalest is the session of the part that has not moved for longest.
func (e *Engine) stalest() (stalest *session) {
	var moved time.Duration
	for _, s := range e.sessions {
		for _, p := range s.in.open {
			if len(p.data) == 0 {
				continue
			}
			if stalest == nil || cmp.Or(cmp.Compare(p.moved, moved), cmp.Compare(s.number, stalest.number)) < 0 {
				stalest, moved = s, p.moved
			}
		}
	}
	return stalest
}

// watchParts schedules checks of unfinished frames and conns without a hello, or of strangers, while
// there are any.
func (e *Engine) watchParts(a *actions) {
	if !e.watching {
		e.watching = true
		a.add(func() { e.loop.AfterFunc(FrameTimeout, e.dropStalled) })
	}
}

// dropStalled drops the sessions with a frame without progress, or whose peer has not said hello or
// has stayed a stranger for its time, and schedules the next check.
func (e *Engine) dropStalled() {
	e.do(func(a *actions) {
		now := e.loop.Elapsed()
		next := time.Duration(math.MaxInt64) // never
		for _, s := range e.sessionsInOrder() {
			if left, timed, why := s.timeLeft(now); timed && left <= 0 {
				e.drop(s, unreachable(why), a)
			} else if timed {
				next = min(next, left)
			}
			for _, p := range s.in.open {
				if left := p.moved + FrameTimeout - now; left <= 0 {
					e.drop(s, unreachable(fmt.Sprintf("no part of a message for %s", FrameTimeout)), a)
					break
				} else {
					next = min(next, left)
				}
			}
		}
		e.watching = next < math.MaxInt64
		if e.watching {
			a.add(func() { e.loop.AfterFunc(next, e.dropStalled) })
		}
	})
}

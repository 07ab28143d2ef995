package transport

import (
	"math"
	"os"
	"time"

	"github.com/taucloud/tau/clock"
)

// farthest stands for no deadline: it can be added to any Elapsed without overflow.
const farthest = math.MaxInt64 / 2

// deadline is when operations on one direction of a stream time out.
type deadline struct {
	passed bool
	timer  clock.Timer // of the last one that was set
}

// SetReadDeadline makes every Recv that waits or begins at or after an instant of the loop's
// Elapsed end with Timeout, until another one is set. Zero is never, and an instant that has passed
// ends waiting ones at once. It must be called in a turn of the loop.
func (s *Stream) SetReadDeadline(at time.Duration) { s.setDeadline(&s.recvBy, at) }

// SetWriteDeadline is the same for Send.
func (s *Stream) SetWriteDeadline(at time.Duration) { s.setDeadline(&s.sendBy, at) }

func (s *Stream) setDeadline(d *deadline, at time.Duration) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	left := max(at, -farthest) - s.ep.loop.Elapsed()
	s.ep.engine.do(func(a *actions) {
		if d.passed = at != 0 && left <= 0; d.passed {
			s.changed(a)
		}
	})
	if left <= 0 || at == 0 {
		return
	}
	d.timer = s.ep.loop.AfterFunc(left, func() {
		s.ep.engine.do(func(a *actions) {
			d.passed = true
			s.changed(a)
		})
	})
}

// deadlineError is the error of an operation after its deadline.
func (s *Stream) deadlineError(d *deadline) error {
	if !d.passed {
		return nil
	}
	return &Error{Kind: Timeout, Op: s.method, Text: "the stream's deadline has passed", cause: os.ErrDeadlineExceeded}
}

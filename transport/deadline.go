package transport

import (
	"math"
	"os"
	"time"

	"github.com/taucloud/tau/clock"
)

// farthest is how far away a deadline is that never comes: it can be added to any
// Elapsed.
const farthest = math.MaxInt64 / 2

// deadline is when one direction of a stream gives up.
type deadline struct {
	passed bool
	number uint64 // of the last one that was set
	timer  clock.Timer
}

// SetReadDeadline has every Recv that waits or begins at an instant of the loop's
// Elapsed or later end with Timeout, until another one is set. Zero is never, and an
// instant that has passed ends those that wait at once. It must be called in a turn of
// the loop.
func (s *Stream) SetReadDeadline(at time.Duration) { s.setDeadline(&s.recvBy, at) }

// SetWriteDeadline is the same for Send.
func (s *Stream) SetWriteDeadline(at time.Duration) { s.setDeadline(&s.sendBy, at) }

func (s *Stream) setDeadline(d *deadline, at time.Duration) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	left := max(at, -farthest) - s.ep.loop.Elapsed()
	var number uint64
	s.ep.engine.do(func(a *actions) {
		d.number++
		number = d.number
		if d.passed = at != 0 && left <= 0; d.passed {
			s.changed(a)
		}
	})
	if left <= 0 || at == 0 {
		return
	}
	d.timer = s.ep.loop.AfterFunc(left, func() {
		s.ep.engine.do(func(a *actions) {
			if d.number == number {
				d.passed = true
				s.changed(a)
			}
		})
	})
}

// deadlineError is what a direction of a stream ends with when it has given up.
func (s *Stream) deadlineError(d *deadline) error {
	if !d.passed {
		return nil
	}
	return &Error{Kind: Timeout, Op: s.method, Text: "the stream's deadline has passed", cause: os.ErrDeadlineExceeded}
}

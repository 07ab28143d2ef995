package nodetest

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/taucloud/tau/clock"
)

// Silence is a body of which a beginning comes, and then nothing for an hour.
type Silence struct {
	ctx   context.Context
	loop  clock.Loop
	first string
}

// NewSilence begins with first, and is silent on a loop until ctx ends.
func NewSilence(ctx context.Context, loop clock.Loop, first string) *Silence {
	return &Silence{ctx, loop, first}
}

// Read implements io.Reader.
func (s *Silence) Read(p []byte) (int, error) {
	if n := copy(p, s.first); n > 0 {
		s.first = s.first[n:]
		return n, nil
	}
	return 0, errors.Join(clock.Sleep(s.ctx, s.loop, time.Hour), io.ErrUnexpectedEOF)
}

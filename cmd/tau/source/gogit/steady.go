package gogit

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// dialSteady dials a forge, and leaves it once less than SlowMin a second has come for as long as [SlowEnv] says.
func dialSteady(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: connectMax}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	within, err := time.ParseDuration(os.Getenv(SlowEnv))
	if err != nil || within < time.Second {
		within = connectMax
	}
	return &steady{Conn: c, within: within}, nil
}

// steady is a connection by which enough has to come: came in spent, the time in which somebody has waited for it.
type steady struct {
	net.Conn
	within, spent time.Duration
	came          int
}

// Read implements net.Conn.
func (s *steady) Read(p []byte) (n int, err error) {
	for {
		begun := time.Now()
		if err := s.SetReadDeadline(begun.Add(s.within - s.spent)); err != nil {
			return 0, err
		}
		n, err = s.Conn.Read(p)
		s.came, s.spent = s.came+n, s.spent+time.Since(begun)
		if s.spent >= s.within {
			if s.came < int(s.within/time.Second)*SlowMin {
				return n, fmt.Errorf("the forge has sent less than %d bytes a second for %s", SlowMin, s.within)
			}
			s.came, s.spent = 0, 0
		}
		if n > 0 || err == nil || !os.IsTimeout(err) {
			return n, err
		}
	}
}

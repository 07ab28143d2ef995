package libp2p

import "time"

// SetFrameTimeout bounds how long a frame may take, from the next one on.
func (h *Host) SetFrameTimeout(d time.Duration) { h.frameTimeout = d }

// Strangers lets in so many.
func Strangers(n int) Option {
	return func(h *Host) { h.limits = hostLimits{strangers: n, strangersPerAddress: n} }
}

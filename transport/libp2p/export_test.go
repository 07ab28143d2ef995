package libp2p

import "time"

// SetFrameTimeout bounds how long a frame may take, from the next one on.
func (h *Host) SetFrameTimeout(d time.Duration) { h.frameTimeout = d }

// Strangers lets in so many, each for a while.
func Strangers(n int, d time.Duration) Option {
	return func(h *Host) {
		h.limits.strangers, h.limits.strangersPerAddress, h.limits.strangerTime = n, n, d
	}
}

// HandshakesPerAddressMax is for tests outside.
const HandshakesPerAddressMax = handshakesPerAddressMax

// LimitLoopback bounds how often loopback connects, too.
func LimitLoopback() Option { return func(h *Host) { h.limits.loopback = true } }

// StrangersNow is how many connections of strangers there are.
func (h *Host) StrangersNow() int {
	h.limiter.mu.Lock()
	defer h.limiter.mu.Unlock()
	return len(h.limiter.strangers.inside)
}

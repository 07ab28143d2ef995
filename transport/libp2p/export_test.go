package libp2p

import "time"

// SetFrameTimeout bounds how long a frame may take, from the next one on.
func (h *Host) SetFrameTimeout(d time.Duration) { h.frameTimeout = d }

package relay

import (
	"math/rand/v2"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

const (
	// againMin is how long what is lost on its way takes to be sent again, at first; againMax bounds it, as it doubles.
	againMin = 200 * time.Millisecond
	againMax = 3200 * time.Millisecond
)

// course is when that arrives which is sent in one direction of a conn: in order, after the link's latency, as fast as its
// bandwidth lets it pass, and later if it is lost on its way. It is pure: times are counted from any moment.
type course struct {
	rand *rand.Rand
	free time.Duration // when the link has passed on what was sent before
	last time.Duration // when the last of it arrives
}

// arrival is when so many bytes arrive that are sent now over a link of a shape.
func (c *course) arrival(now time.Duration, size int, s fault.Shape) time.Duration {
	c.free = max(c.free, now)
	if s.Bandwidth > 0 {
		c.free += time.Duration(float64(size) / float64(s.Bandwidth) * float64(time.Second))
	}
	at := c.free + c.between(s.LatencyMin, s.LatencyMax)
	for again := againMin; s.Loss > 0 && c.rand.Float64() < s.Loss; again = min(2*again, againMax) {
		at += again
	}
	c.last = max(c.last, at)
	return c.last
}

func (c *course) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(c.rand.Int64N(int64(hi-lo)+1))
}

package sim

import "math/rand/v2"

// Randomness is keyed, not streamed: each draw is a hash of the seed and the subject of the
// decision, so that one more draw in one place changes nothing elsewhere, and traces of similar
// runs stay comparable.

// mix is the finalizer of splitmix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// draw hashes the seed with a subject and its numbers.
func (w *World) draw(subject uint64, numbers ...uint64) uint64 {
	h := mix(w.cfg.Seed ^ mix(subject))
	for _, n := range numbers {
		h = mix(h ^ n)
	}
	return h
}

// The subjects of draws. The values are part of every digest.
const (
	drawTie uint64 = iota + 1
	drawLatency
	drawDisk
	drawCrash
	drawKeepalive
	drawRand
	drawDiskFault
	drawRetry
	drawRetime
	drawAgain
	drawLie
	drawSchedule
	drawLoss
)

// hashText is FNV-1a, for names in keys.
func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// within maps a draw to [lo, hi].
func within(draw uint64, lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	return lo + int64(draw%uint64(hi-lo+1))
}

// chance maps a draw to true with probability p.
func chance(draw uint64, p float64) bool { return float64(draw>>11)/(1<<53) < p }

// Draw is a keyed draw for the scenario's own choices, by name and numbers.
func (w *World) Draw(name string, numbers ...uint64) uint64 {
	return w.draw(hashText(name), numbers...)
}

// newRand is a random source for one service instance, keyed by its name.
func (w *World) newRand(numbers ...uint64) *rand.Rand {
	return rand.New(rand.NewPCG(w.draw(drawRand, numbers...), mix(w.cfg.Seed)))
}

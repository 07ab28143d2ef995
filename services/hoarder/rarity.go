package hoarder

import (
	"math/bits"
	"time"
)

// rarity is how urgently an item needs one more copy: the demand for it times the copies that it
// lacks, 0 if it lacks none. Smaller items come first among equals, since they restore more copies
// per second: each doubling of the size beyond 64 KiB counts as a step of one.
func rarity(demand int64, target, copies int, size int64) int64 {
	lack := int64(target - copies)
	if lack <= 0 || demand <= 0 {
		return 0
	}
	const scale = 64 // keeps the division's fractions
	return demand * lack * scale / int64(1+bits.Len64(uint64(max(0, size))>>16))
}

// The times of a competition.
const (
	// competeWithin is the longest that the best candidate for the least rare
	// item waits.
	competeWithin = 2 * time.Second
	// competeStep is the extra wait per better-ranked candidate, for content of negligible size.
	competeStep = 3 * time.Second
	// competeRate, in bytes a second, stretches the step for large content.
	competeRate = 1 << 20
)

// competeDelay is how long after it became short of copies a candidate fetches
// an item. Candidates ahead of it in the order of the item act before it; as
// many as there are copies lacking act at once but for a draw, which is shorter
// the rarer the item is, so that rare items go first. draw is uniform in
// [0, 1), and the candidate's own.
func competeDelay(score int64, ahead, lack int, size int64, draw float64) time.Duration {
	window := competeWithin / time.Duration(1+bits.Len64(uint64(max(0, score))>>6))
	delay := time.Duration(float64(window) * draw)
	if behind := ahead - lack + 1; behind > 0 {
		step := competeStep + time.Duration(max(0, size))*time.Second/competeRate
		delay += time.Duration(behind) * step
	}
	return delay
}

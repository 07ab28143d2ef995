package fault

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// Draw is a source of choices that is keyed, not streamed: its result depends on the seed and on
// the names it was forked by, never on how much was drawn elsewhere. So one more choice in one
// place changes nothing in another.
type Draw struct{ key [sha256.Size]byte }

// NewDraw returns the draw of a seed.
func NewDraw(seed uint64) Draw {
	return Draw{key: sha256.Sum256(binary.BigEndian.AppendUint64([]byte("draw:"), seed))}
}

// Fork returns the draw for something within this one, named by parts.
func (d Draw) Fork(parts ...any) Draw {
	return Draw{key: sha256.Sum256(fmt.Appendf(d.key[:], "%q", fmt.Sprint(parts...)))}
}

// Uint64 is the one number of this draw; fork for another.
func (d Draw) Uint64() uint64 { return binary.BigEndian.Uint64(d.key[:]) }

// Below returns a number in [0, n). It panics if n <= 0.
func (d Draw) Below(n int) int {
	if n <= 0 {
		panic(fmt.Sprintf("fault: draw below %d", n))
	}
	return int(d.Uint64() % uint64(n)) // the bias is below n / 2^64
}

// Between returns a duration in [lo, hi].
func (d Draw) Between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(d.Uint64()%uint64(hi-lo+1))
}

// Some returns k of names, or all if there are fewer, in the order of names.
func (d Draw) Some(names []string, k int) []string {
	left := make([]int, len(names))
	for i := range left {
		left[i] = i
	}
	taken := make([]bool, len(names))
	for i := range min(k, len(names)) {
		j := d.Fork("some", i).Below(len(left))
		taken[left[j]] = true
		left = append(left[:j], left[j+1:]...)
	}
	var out []string
	for i, name := range names {
		if taken[i] {
			out = append(out, name)
		}
	}
	return out
}

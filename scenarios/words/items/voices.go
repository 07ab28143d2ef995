package items

import (
	"math"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// voice is what one owner has said of one item: what it was heard to send, and
// what was acknowledged to it. Between the two nobody knows what counts.
type voice struct {
	client bool // it is a user of the scenario, whose word is the truth
	// sent is the highest seq with which it marked or tried to, acked the highest
	// that was acknowledged; one more than the seq, 0: never.
	sent, acked uint64
	target      int
	ends        time.Duration // when the acknowledged mark may end by itself, 0 never
	// withdrawing is the highest seq with which it withdrew or tried to, withdrawn
	// the highest that is sure; one more likewise.
	withdrawing, withdrawn uint64
	// by wrote the withdrawal first, at. If it lost its disk soon after, it may be
	// that nobody knows of it any more.
	by string
	at time.Duration
	// alone acknowledged a mark that no other disk had then, aloneAt. If it loses its
	// own soon after, nobody may know of the mark any more.
	alone   string
	aloneAt time.Duration
}

// word is what is known of what an owner wants.
type word uint8

const (
	silent word = iota // it never said anything
	wants              // surely
	unsure             // something that it said may have been heard or not
	done               // surely no longer
)

// oneMore makes room for 0 as never.
func oneMore(seq uint64) uint64 {
	if seq == math.MaxUint64 {
		return seq
	}
	return seq + 1
}

// endsSlack is by how much a mark that ends by itself may do so too late: it is
// noticed by a sweep of the best-ranked hoarder, or of the next one, and the time
// counts anew after a start.
const endsSlack = 2 * time.Minute

func (v *voice) says(now time.Duration) word {
	switch {
	case v.sent == 0 && v.withdrawing == 0:
		return silent
	case v.withdrawn >= v.sent && v.withdrawn > 0:
		return done
	case v.withdrawing >= v.acked, v.acked == 0:
		return unsure
	case v.ends != 0 && now >= v.ends+endsSlack && v.sent == v.acked:
		return done
	case v.ends != 0 && now >= v.ends:
		return unsure
	}
	return wants
}

// hear applies what was said; it reports whether the fact was about a voice.
func (v *voice) hear(f check.Fact) {
	seq := oneMore(uint64(f.Int("seq")))
	switch f.Name {
	case "store-sent":
		v.client = true
		v.sent = max(v.sent, seq)
	case "pin-written":
		v.sent = max(v.sent, seq)
	case "store-acknowledged", "item-pinned":
		v.sent = max(v.sent, seq)
		if seq < v.acked {
			return
		}
		if seq > v.acked {
			v.acked, v.target, v.ends = seq, 0, 0
			if d := time.Duration(f.Int("for")); d > 0 {
				v.ends = f.At + d - ackMaxOf(f.Int("bytes"))
			}
		}
		target := int(f.Int("target"))
		if target == 0 {
			target = hoarderapi.TargetDefault
		}
		v.target = max(v.target, target)
		if f.Name == "item-pinned" && f.Int("records") <= 1 {
			v.alone, v.aloneAt = f.Node, f.At
		} else if f.Name == "item-pinned" {
			v.alone = ""
		}
	case "unmark-sent":
		v.withdrawing = max(v.withdrawing, seq)
	case "unmark-acknowledged":
		v.withdrawing, v.withdrawn = max(v.withdrawing, seq), max(v.withdrawn, seq)
	case "pin-withdrawn":
		if v.withdrawing = max(v.withdrawing, seq); seq > v.withdrawn && !v.client {
			v.withdrawn, v.by, v.at = seq, f.Node, f.At
		}
	}
}

// ackMax is how long an acknowledgement takes at most: the time of a mark began
// when it was written.
const ackMax = hoarderapi.PinTimeout + 5*time.Second

func ackMaxOf(bytes int64) time.Duration { return ackMax + 2*transport.TransferTime(bytes) }

// lose makes unsure what may be lost with its writer: a withdrawal, or a mark that
// no other disk had.
func (v *voice) lose(node string, diskLost bool, now time.Duration) {
	if v.alone == node && diskLost && now-v.aloneAt < aloneFor {
		v.acked, v.alone = 0, ""
	}
	if v.by == node && (diskLost || now-v.at < syncedAfter) {
		v.withdrawn = 0
	}
}

// syncedAfter is how long what was written may not be durable anywhere.
const syncedAfter = 5 * time.Second

// aloneFor is how long a partition may keep a mark on one disk.
const aloneFor = time.Minute

package transport

import (
	"slices"
	"time"
)

const (
	// smallLenMax is the size, in bytes, up to which a frame counts as small; small frames go
	// before bulk.
	smallLenMax = 2 << 10
	// smallShare: while both wait, this many bytes of small frames go for one of
	// bulk.
	smallShare = 4
	// chunkLenMin and chunkLenMax bound the pieces of a frame that is cut.
	chunkLenMin = 2 << 10
	chunkLenMax = FrameLenMax - 32
	// partsMax and partsBytesMax bound the frames of one session that have been
	// sent or received in part.
	partsMax      = 16
	partsBytesMax = 2 * wholeLenMax
	// urgentBytesMax bounds the waiting frames that are not subject to the window. All streams that
	// wait for a dial may be opened at once.
	urgentBytesMax = 2 << 20
)

// lane is the kind of a flow.
type lane uint8

const (
	// laneUrgent is for frames that the protocol depends on. They are sent at once, in order: acks,
	// credit, resets, opens.
	laneUrgent lane = iota
	// laneNamed keeps the order of frames of one name: notes and publications of any size, small
	// requests and responses, cancels.
	laneNamed
	// laneRequest, laneResponse and laneStream are one big request, one big
	// response, and the messages of one stream.
	laneRequest
	laneResponse
	laneStream
)

// flowKey identifies a flow. Frames of different flows may overtake each other.
type flowKey struct {
	lane lane
	id   uint64
	name string
}

// flow is a queue of frames that leave in order.
type flow struct {
	key   flowKey
	queue []outbound
	cut   int    // how much of the first frame has been sent
	part  uint64 // the number under which it is sent in parts
}

// bulk reports whether the first frame has to wait for small ones.
func (f *flow) bulk() bool {
	return f.key.lane == laneStream || len(f.queue[0].frame) > smallLenMax
}

// outbox decides in which order the frames of a session leave and when. It
// knows three classes: urgent frames, which are tiny and leave at once; small
// ones, which leave while at most two windows are on the way; and bulk, which
// leaves in chunks of a quarter of the window, while one window is on the way.
// Within a class, flows take turns, so that no backlog of one name, call or
// stream holds up another. Small frames go before bulk but leave it a share.
type outbox struct {
	window window
	urgent []outbound
	lone   outbound // a small frame that came when nothing waited: it needs no flow
	small  []*flow  // that wait, in the order of their turns
	bulk   []*flow
	flows  map[flowKey]*flow

	urgentBytes int
	bytes       int // that wait, without urgent ones
	streamBytes int // of those, on streams
	debt        int // bytes of small frames that have overtaken bulk
	cuts        uint64
	parts       int // frames sent in part, and their bytes
	partsBytes  int
}

func newOutbox() outbox {
	return outbox{window: newWindow(), flows: map[flowKey]*flow{}}
}

// push queues a frame.
func (b *outbox) push(o outbound) {
	if o.flow.lane == laneUrgent {
		b.urgent = append(b.urgent, o)
		b.urgentBytes += len(o.frame)
		return
	}
	b.count(o, len(o.frame))
	if b.lone.frame == nil && len(b.flows) == 0 && o.flow.lane == laneNamed && len(o.frame) <= smallLenMax {
		b.lone = o
		return
	}
	b.list(b.lone)
	b.lone = outbound{}
	b.list(o)
}

// list puts a frame into its flow.
func (b *outbox) list(o outbound) {
	if o.frame == nil {
		return
	}
	f := b.flows[o.flow]
	if f == nil {
		f = &flow{key: o.flow}
		b.flows[o.flow] = f
	}
	f.queue = append(f.queue, o)
	if len(f.queue) == 1 {
		b.enlist(f)
	}
}

func (b *outbox) count(o outbound, size int) {
	b.bytes += size
	if o.flow.lane == laneStream {
		b.streamBytes += size
	}
}

// enlist gives a flow its next turn.
func (b *outbox) enlist(f *flow) {
	if f.bulk() {
		b.bulk = append(b.bulk, f)
	} else {
		b.small = append(b.small, f)
	}
}

// elapser is the part of a clock that an outbox needs.
type elapser interface{ Elapsed() time.Duration }

// next returns the frame to send now, and the call for which it is progress; nil when nothing may
// be sent before the peer has answered.
func (b *outbox) next(clock elapser) (frame []byte, of outbound) {
	if len(b.urgent) > 0 {
		o := b.urgent[0]
		b.urgent[0] = outbound{}
		b.urgent = b.urgent[1:]
		b.urgentBytes -= len(o.frame)
		return o.frame, o
	}
	onTheWay := b.window.onTheWay()
	waits := len(b.small) > 0 || b.lone.frame != nil
	small := waits && onTheWay < 2*b.window.size
	owed := b.debt >= smallShare*b.chunkLen()
	bulk := len(b.bulk) > 0 && (onTheWay < b.window.size || owed && onTheWay < 2*b.window.size)
	blocked := waits && !small || len(b.bulk) > 0 && !bulk
	b.window.limited = b.window.limited || blocked
	switch {
	case b.window.due(blocked, b.bytes == 0):
		return encodeID(frameAsk, b.window.ask(clock.Elapsed())), outbound{}
	case small && !(bulk && owed):
		return b.nextSmall()
	case bulk:
		return b.nextBulk()
	}
	return nil, outbound{}
}

func (b *outbox) nextSmall() (frame []byte, of outbound) {
	o := b.lone
	b.lone = outbound{}
	if o.frame == nil {
		f := b.small[0]
		b.small = shift(b.small)
		o = f.queue[0]
		b.pop(f)
	}
	if len(b.bulk) > 0 {
		b.debt += len(o.frame)
	}
	b.count(o, -len(o.frame))
	b.window.sent += uint64(len(o.frame))
	return o.frame, o
}

// nextBulk sends a frame, if it fits into a chunk, or the next part of one.
func (b *outbox) nextBulk() (frame []byte, of outbound) {
	at := b.turn()
	f := b.bulk[at]
	b.bulk = slices.Delete(b.bulk, at, at+1)
	o, size := f.queue[0], b.chunkLen()
	whole := len(o.frame)
	switch {
	case f.cut == 0 && whole <= size:
		frame, size = o.frame, whole
	case f.cut == 0:
		b.cuts++
		f.part = b.cuts
		b.parts++
		b.partsBytes += whole
		frame = encodeBegin(f.part, whole, o.frame[:size])
	default:
		size = min(size, whole-f.cut)
		frame = encodeMessage(framePart, f.part, o.frame[f.cut:f.cut+size])
	}
	b.count(o, -size)
	b.window.sent += uint64(size)
	b.debt = max(0, b.debt-smallShare*size)
	if f.cut += size; f.cut == whole {
		b.partOver(f)
		b.pop(f)
	} else {
		b.bulk = append(b.bulk, f)
	}
	return frame, o
}

// turn is the first flow that may continue: a frame is begun only while the number of unfinished
// ones is below the bound, as the peer must keep them.
func (b *outbox) turn() int {
	return max(0, slices.IndexFunc(b.bulk, func(f *flow) bool {
		whole := len(f.queue[0].frame)
		return f.cut > 0 || whole <= b.chunkLen() || b.parts < partsMax && b.partsBytes+whole <= partsBytesMax
	}))
}

func (b *outbox) chunkLen() int { return min(max(b.window.size/4, chunkLenMin), chunkLenMax) }

// partOver counts a frame that was sent in parts, if it was.
func (b *outbox) partOver(f *flow) {
	if f.part != 0 {
		b.parts--
		b.partsBytes -= len(f.queue[0].frame)
	}
	f.part, f.cut = 0, 0
}

// pop takes the first frame of a flow, which is in no list, and lists it again.
func (b *outbox) pop(f *flow) {
	f.queue[0] = outbound{}
	f.queue = f.queue[1:]
	if len(f.queue) > 0 {
		b.enlist(f)
	} else {
		delete(b.flows, f.key)
	}
}

// drop removes a flow and reports whether nothing of it was waiting any more. The peer is told to
// drop a partly sent frame.
func (b *outbox) drop(key flowKey) (wasSent bool) {
	f := b.flows[key]
	if f == nil {
		return true
	}
	delete(b.flows, key)
	is := func(g *flow) bool { return g == f }
	b.small, b.bulk = slices.DeleteFunc(b.small, is), slices.DeleteFunc(b.bulk, is)
	for i, o := range f.queue {
		left := len(o.frame)
		if i == 0 {
			left -= f.cut
		}
		b.count(o, -left)
	}
	if f.part != 0 {
		b.push(outbound{frame: encodeID(frameDrop, f.part)})
		b.partOver(f)
	}
	return false
}

// credit is the window taken by the waiting stream messages of a flow.
func (b *outbox) credit(key flowKey) (n int) {
	if f := b.flows[key]; f != nil && key.lane == laneStream {
		head := len(encodeID(frameData, key.id))
		for _, o := range f.queue {
			if frameType(o.frame[0]) == frameData {
				n += cost(len(o.frame) - head)
			}
		}
	}
	return n
}

// weight is the session's share of the node's memory, in bytes: waiting frames and frames in
// flight.
func (b *outbox) weight() int { return b.bytes + b.window.onTheWay() }

// shift drops the first of a list.
func shift(list []*flow) []*flow {
	list[0] = nil
	return list[1:]
}

package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// Network is the shape of links without faults.
type Network struct {
	// Default holds for every link; a zero latency means 1ms..5ms.
	Default fault.Shape
	// Of returns the shape of one direction; its zero parts mean Default. May
	// be nil.
	Of func(from, to string) fault.Shape
}

// Timeouts of conns when the network does not answer.
const (
	// dialTimeout is when an unanswered dial fails.
	dialTimeout = 5 * time.Second
	// keepaliveMin and keepaliveMax bound how long an end of a conn takes to
	// notice that the other cannot be reached any more.
	keepaliveMin = 10 * time.Second
	keepaliveMax = 12 * time.Second
	// resendMax bounds how long after a heal a stalled conn goes on.
	resendMax = 500 * time.Millisecond
	// retransmitFirst is how long, beyond a round trip, a sender waits before it
	// sends again what was lost, the first time; it gets through after at most
	// retransmitsMax losses.
	retransmitFirst = 200 * time.Millisecond
	retransmitsMax  = 5
)

var defaultLatency = fault.Shape{LatencyMin: time.Millisecond, LatencyMax: 5 * time.Millisecond}

// network decides about every frame between two nodes: when it arrives, and
// whether. A carrier only moves the bytes.
//
// A conn over a cut link behaves as TCP does: it stalls. If the link heals before an end gives up,
// frames arrive late and in order; otherwise each end notices the loss by itself, some time after
// the cut.
type network struct {
	w       *World
	carrier carrier
	links   map[uint64]*link
	ordered []*link // the same, as inUse last left them
	faults  func(from, to string) fault.LinkState
	// affected is called when a fault makes a difference on a link, see hit.
	affected func(from, to string, part fault.LinkPart)
	pairs    map[uint64][]*conn
	conns    uint64 // numbers conns
}

// link is one direction between two nodes.
type link struct {
	from, to            *Node
	label               string
	base, shape         fault.Shape
	cut, held, refused  bool
	again               fault.Again
	messages            uint64         // numbers what may come twice, for draws
	frames, dials, rsts uint64         // sequence numbers, for keys and draws
	busyUntil           int64          // when the last frame has left, with a bandwidth
	stalled             []*connEnd     // ends with frames that wait for this link
	told                fault.LinkPart // parts of the present state whose effect was reported
}

func newNetwork(w *World, c carrier) *network {
	return &network{w: w, carrier: c, links: map[uint64]*link{}, pairs: map[uint64][]*conn{}}
}

func (n *network) link(from, to *Node) *link {
	key := linkKey(from, to)
	l := n.links[key]
	if l == nil {
		l = &link{from: from, to: to, label: from.name + ">" + to.name}
		l.base = n.w.cfg.Network.Default
		if of := n.w.cfg.Network.Of; of != nil {
			l.base = l.base.With(of(from.name, to.name))
		}
		l.base = defaultLatency.With(l.base)
		l.setState(n.stateOf(l.from, l.to))
		n.links[key] = l
	}
	return l
}

// setState gives a link the state that faults give it.
func (l *link) setState(s fault.LinkState) {
	l.cut, l.held, l.refused, l.shape = s.Cut, s.Held, s.Refused, l.base.With(s.Shape)
	l.again = s.Again
}

// stateOf is the state that faults give a link, whether it is in use or not.
func (n *network) stateOf(from, to *Node) fault.LinkState {
	if n.faults == nil {
		return fault.LinkState{}
	}
	return n.faults(from.name, to.name)
}

// inUse lists all links that were ever used, in a canonical order.
func (n *network) inUse() []*link {
	if len(n.ordered) < len(n.links) {
		n.ordered = n.ordered[:0]
		for _, key := range slices.Sorted(maps.Keys(n.links)) {
			n.ordered = append(n.ordered, n.links[key])
		}
	}
	return n.ordered
}

func linkKey(from, to *Node) uint64 { return uint64(from.index)<<32 | uint64(to.index) }

func pairKey(a, b *Node) uint64 {
	return uint64(min(a.index, b.index))<<32 | uint64(max(a.index, b.index))
}

// hit reports that a part of a link's faulty state makes a difference now.
func (n *network) hit(l *link, part fault.LinkPart) {
	if l.told&part == 0 && n.affected != nil {
		l.told |= part
		n.affected(l.from.name, l.to.name, part)
	}
}

// stops reports whether a fault keeps a frame on a link from arriving.
func (n *network) stops(l *link) bool {
	if l.cut {
		n.hit(l, fault.PartCut)
	}
	if l.held {
		n.hit(l, fault.PartHeld)
	}
	return l.blocked()
}

// blocked reports whether frames cannot pass.
func (l *link) blocked() bool { return l.cut || l.held }

// latency draws the delay of a message, by its purpose and number.
func (n *network) latency(l *link, purpose eventKind, seq uint64) int64 {
	d := n.w.draw(drawLatency, linkKey(l.from, l.to), uint64(purpose), seq)
	return within(d, int64(l.shape.LatencyMin), int64(l.shape.LatencyMax)) + n.retransmission(l, purpose, seq)
}

// retransmission draws how much later a message comes because it was lost on the
// way, once or several times in a row: its sender waits twice as long each time.
func (n *network) retransmission(l *link, purpose eventKind, seq uint64) (later int64) {
	if l.shape.Loss == 0 {
		return 0
	}
	wait := int64(retransmitFirst + 2*l.shape.LatencyMax)
	for try := range uint64(retransmitsMax) {
		if !chance(n.w.draw(drawLoss, linkKey(l.from, l.to), uint64(purpose), seq, try), l.shape.Loss) {
			break
		}
		later += wait
		wait *= 2
	}
	return later
}

// transmission is how long the link is busy with size bytes.
func (l *link) transmission(size int) int64 {
	if l.shape.Bandwidth <= 0 {
		return 0
	}
	return int64(float64(size) / float64(l.shape.Bandwidth) * float64(time.Second))
}

// apply changes a direction; conns over it begin to notice, or go on. It reports
// whether latency or bandwidth changed.
func (n *network) apply(l *link, s fault.LinkState) (reshaped bool) {
	wasCut, wasHeld, before := l.cut, l.held, l.shape
	l.setState(s)
	l.told = 0
	if l.cut != wasCut {
		for _, c := range slices.Clone(n.pairs[pairKey(l.from, l.to)]) {
			if l.cut {
				c.watchKeepalive()
			} else {
				c.healed()
			}
		}
	}
	if wasCut && !l.cut || wasHeld && !l.held {
		n.resend(l)
	}
	return l.shape != before
}

// retime lets frames in flight over some links arrive earlier, if the links have become faster: a
// fault that slowed them down has no effect after its end.
func (n *network) retime(links map[*link]bool) {
	n.w.drain()
	byEnd := map[*connEnd][]*event{}
	var ends []*connEnd
	for _, e := range n.w.events {
		if e.from == nil || !links[e.from.link] {
			continue
		}
		if byEnd[e.from] == nil {
			ends = append(ends, e.from)
		}
		byEnd[e.from] = append(byEnd[e.from], e)
	}
	slices.SortFunc(ends, func(a, b *connEnd) int {
		return cmp.Or(cmp.Compare(a.conn.id, b.conn.id), cmp.Compare(a.side, b.side))
	})
	for l := range links {
		l.busyUntil = min(l.busyUntil, n.w.nowNS())
	}
	for _, end := range ends {
		slices.SortFunc(byEnd[end], func(a, b *event) int { return cmp.Compare(a.at, b.at) })
		end.retime(byEnd[end])
	}
}

// retime sends the frames of one end again, in order, as if the link had taken
// none of them yet, but none later than before.
func (e *connEnd) retime(frames []*event) {
	l, w := e.link, e.conn.net.w
	previous := w.nowNS()
	for _, f := range frames {
		l.busyUntil = max(l.busyUntil, w.nowNS()) + l.transmission(f.size)
		latency := within(w.draw(drawRetime, f.a, uint64(f.kind), f.b), int64(l.shape.LatencyMin), int64(l.shape.LatencyMax))
		f.at = max(previous+1, min(f.at, l.busyUntil+latency))
		previous = f.at
		w.events.fix(f)
	}
	e.lastAt = previous
}

// resend sends the frames that waited for the link, in order.
func (n *network) resend(l *link) {
	if l.blocked() {
		return
	}
	ends := l.stalled
	l.stalled = nil
	slices.SortFunc(ends, func(a, b *connEnd) int { return cmp.Compare(a.conn.id, b.conn.id) })
	for _, e := range ends {
		e.resend(l)
	}
}

package sim

import (
	"maps"
	"slices"

	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
)

// host is the simulated transport.Host of one incarnation.
type host struct {
	net     *network
	node    *Node
	life    *incarnation
	handler transport.HostHandler
	ends    map[uint64]*connEnd
	closed  bool
	// told are the addresses of peers that the node was told, met those of its conns.
	told map[transport.Peer][]string
	met  map[transport.Peer]string
}

func (n *network) newHost(life *incarnation) *host {
	return &host{net: n, node: life.node, life: life, ends: map[uint64]*connEnd{}, told: map[transport.Peer][]string{}, met: map[transport.Peer]string{}}
}

func sortedIDs(ends map[uint64]*connEnd) []uint64 { return slices.Sorted(maps.Keys(ends)) }

// ID implements transport.Host.
func (h *host) ID() transport.Peer { return h.node.identity.Peer() }

// Handle implements transport.Host.
func (h *host) Handle(handler transport.HostHandler) { h.handler = handler }

// dial is one attempt to open a conn.
type dial struct {
	host    *host
	opened  func(transport.Conn, error)
	out     *link
	back    *link
	seq     uint64
	timeout *event
	over    bool
	// accepted is the conn that the target has accepted.
	accepted *conn
}

// Open implements transport.Host.
func (h *host) Open(to transport.Peer, _ transport.Class, opened func(transport.Conn, error)) {
	w := h.net.w
	d := &dial{host: h, opened: opened}
	target := w.byPeer[to]
	if target == nil || target == h.node || h.closed || h.life.ended() {
		w.seq++
		d.report(kindDialed, 0, "nobody", w.seq, func() { d.finish(nil, errRefused) })
		return
	}
	d.out, d.back = h.net.link(h.node, target), h.net.link(target, h.node)
	d.out.dials++
	d.seq = d.out.dials
	d.timeout = d.report(kindDialed, int64(dialTimeout), d.out.label, d.seq<<1|1, func() { d.finish(nil, errDialLost) })
	if !h.reaches(target) {
		return // nobody is there, which the dialer's timeout tells
	}
	at := target.place
	w.register(&event{
		at: w.nowNS() + h.net.latency(d.out, kindDial, d.seq), node: target, kind: kindDial,
		a: uint64(h.node.index)<<32 | uint64(target.index), b: d.seq, label: d.out.label,
		fire: func() {
			if target.place == at {
				d.arrive(target)
			}
		},
	})
}

// report plans a report to the dialer.
func (d *dial) report(kind eventKind, in int64, label string, key uint64, f func()) *event {
	h := d.host
	e := &event{
		at: h.net.w.nowNS() + in, node: h.node, life: h.life, kind: kind,
		a: uint64(h.node.index), b: key, label: label, fire: f,
	}
	if d.out != nil {
		e.a |= uint64(d.out.to.index+1) << 32
	}
	h.net.w.register(e)
	return e
}

// arrive is the dial at its target.
func (d *dial) arrive(target *Node) {
	if d.over || d.host.life.ended() || d.host.net.stops(d.out) {
		return // lost; the dialer's timeout tells it
	}
	back := d.host.net.latency(d.back, kindDialed, d.seq)
	life := target.life
	if d.out.refused {
		d.host.net.hit(d.out, fault.PartRefused)
	}
	if life == nil || life.host.closed || life.host.handler == nil || d.out.refused {
		if !d.host.net.stops(d.back) {
			d.report(kindDialed, back, d.out.label, d.seq<<1, func() { d.finish(nil, errRefused) })
		}
		return
	}
	c := d.host.net.newConn(d.host, life.host)
	d.accepted = c
	life.host.meet(d.host.node)
	if err := d.host.net.carrier.connect(c); err != nil {
		d.host.net.w.Fail(err)
		return
	}
	c.ends[1].lastAt = d.host.net.w.nowNS() + back // nothing overtakes the answer
	life.host.handler.Accepted(c.ends[1])
	if d.host.net.stops(d.back) {
		c.watchKeepalive() // the answer is lost
		return
	}
	d.report(kindDialed, back, d.out.label, d.seq<<1, func() { d.finish(c, nil) })
}

// finish tells the dialer, once.
func (d *dial) finish(c *conn, err error) {
	if d.over {
		if c != nil {
			c.ends[0].close()
		}
		return
	}
	d.over = true
	if d.timeout != nil {
		d.host.net.w.cancel(d.timeout)
	}
	if c != nil && c.ends[0].closed {
		c, err = nil, errReset
	}
	if c == nil {
		if d.accepted != nil {
			d.accepted.ends[0].close() // the target considers it open
		}
		d.opened(nil, transport.New(transport.Unreachable, "dial", err.Error()))
		return
	}
	d.host.meet(c.ends[1].host.node)
	d.opened(c.ends[0], nil)
}

// Close implements transport.Host.
func (h *host) Close() error {
	if !h.closed {
		h.closed = true
		h.handler = nil
		h.net.w.After(0, "close host of "+h.node.name, h.crash)
	}
	return nil
}

// silence makes the other ends of all conns give up some time from now, because the node sleeps, or
// cancels that.
func (h *host) silence(on bool) {
	for _, id := range sortedIDs(h.ends) {
		end := h.ends[id]
		if on {
			end.other().watchKeepalive()
		} else if c := end.conn; !c.silent() {
			c.calm()
		}
	}
}

// crash resets all conns; nothing is reported here.
func (h *host) crash() {
	h.closed = true
	for _, id := range sortedIDs(h.ends) {
		h.ends[id].close()
	}
}

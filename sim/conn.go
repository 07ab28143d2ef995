package sim

import (
	"errors"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
)

// errConn are the ends of conns, as the host port reports them.
var (
	errReset     = errors.New("conn reset by peer")
	errKeepalive = errors.New("conn timed out")
	errRefused   = errors.New("dial refused")
	errDialLost  = errors.New("dial timed out")
	errBacklog   = errors.New("send queue full")
	errClosed    = errors.New("conn closed")
)

// conn is a connection between two incarnations.
type conn struct {
	net *network
	id  uint64
	// ends[0] dialed, ends[1] accepted.
	ends [2]*connEnd
}

// connEnd is an incarnation's end of a conn: a transport.Conn.
type connEnd struct {
	conn      *conn
	side      int
	host      *host
	link      *link // outgoing
	closed    bool
	lastAt    int64   // arrival of the last frame sent from here
	sent      uint64  // frames
	backlog   int     // bytes on their way from here
	waiting   []frame // arrived at a blocked link, in order
	keepalive *event
	calls     map[uint64]string // methods of calls and streams, if somebody reads the trace
}

type frame struct {
	seq   uint64
	data  []byte
	cause uint64 // the event in whose turn it was sent
	said  *transport.FrameLabel
}

func (n *network) newConn(from, to *host) *conn {
	n.conns++
	c := &conn{net: n, id: n.conns}
	c.ends[0] = &connEnd{conn: c, side: 0, host: from, link: n.link(from.node, to.node)}
	c.ends[1] = &connEnd{conn: c, side: 1, host: to, link: n.link(to.node, from.node)}
	from.ends[c.id] = c.ends[0]
	to.ends[c.id] = c.ends[1]
	key := pairKey(from.node, to.node)
	n.pairs[key] = append(n.pairs[key], c)
	return c
}

func (e *connEnd) other() *connEnd { return e.conn.ends[1-e.side] }

// Remote implements transport.Conn.
func (e *connEnd) Remote() transport.Peer { return e.other().host.node.identity.Peer() }

// Send implements transport.Conn.
func (e *connEnd) Send(data []byte) error {
	if e.closed || e.host.life.ended() {
		return errClosed
	}
	if e.backlog > 0 && e.backlog+len(data) > transport.ConnQueueBytesMax {
		return errBacklog
	}
	e.backlog += len(data)
	e.sent++
	l, w := e.link, e.conn.net.w
	l.frames++
	if l.shape != l.base {
		e.conn.net.hit(l, fault.PartShape)
	}
	l.busyUntil = max(l.busyUntil, w.nowNS()) + l.transmission(len(data))
	f := frame{seq: e.sent, data: data, cause: w.fired.Load()}
	if w.trace.out != nil {
		f.said = e.label(data)
	}
	e.transmit(f, l.busyUntil+e.conn.net.latency(l, kindFrame, l.frames), kindFrame, e.sent)
	return nil
}

// callsMax bounds the calls of one end of a conn whose method is remembered.
const callsMax = 4096

// label says what a frame is, a response with the method of its request.
func (e *connEnd) label(data []byte) *transport.FrameLabel {
	label := transport.LabelOf(data)
	asker := e
	switch label.What {
	case "request", "open":
		if e.calls == nil || len(e.calls) >= callsMax {
			e.calls = map[uint64]string{}
		}
		e.calls[label.ID] = label.Method
		return &label
	case "response", "failure":
		asker = e.other()
	case "data", "end", "reset":
		if _, mine := e.calls[label.ID]; !mine {
			asker = e.other()
		}
	}
	if label.ID != 0 {
		label.Method = asker.calls[label.ID]
	}
	if label.Ends {
		delete(asker.calls, label.ID)
	}
	return &label
}

// transmit plans the arrival of a frame, after those sent before it. kind and key
// are unique among the events of this direction.
func (e *connEnd) transmit(f frame, at int64, kind eventKind, key uint64) {
	at = max(at, e.lastAt+1)
	e.lastAt = at
	to := e.other()
	e.conn.net.w.register(&event{
		at: at, node: to.host.node, life: to.host.life, kind: kind,
		a: e.conn.id<<1 | uint64(e.side), b: key,
		label: e.link.label, size: len(f.data), sum: xxhash.Sum64(f.data),
		fire: func() { e.arrive(f) }, from: e, cause: f.cause, said: f.said,
	})
}

// arrive is a frame at the end of its way.
func (e *connEnd) arrive(f frame) {
	to := e.other()
	if to.closed {
		e.missed()
		return
	}
	if e.conn.net.stops(e.link) || len(e.waiting) > 0 {
		e.missed()
		if len(e.waiting) == 0 {
			e.link.stalled = append(e.link.stalled, e)
		}
		e.waiting = append(e.waiting, f)
		return
	}
	e.backlog -= len(f.data)
	data, err := e.conn.net.carrier.carry(e.conn, e.side, f.data)
	if err != nil {
		e.conn.net.w.Fail(err)
		return
	}
	to.host.handler.Frame(to, data)
}

// missed traces that the frame whose arrival was just traced is not delivered, or not yet.
func (e *connEnd) missed() {
	w := e.conn.net.w
	w.trace.missed(w.nowNS(), e.link.label)
}

// resend plans the arrival of the frames that waited for the link.
func (e *connEnd) resend(l *link) {
	frames := e.waiting
	e.waiting = nil
	if e.other().closed {
		return
	}
	w := e.conn.net.w
	l.rsts++
	at := w.nowNS() + within(w.draw(drawRetry, e.conn.id, uint64(e.side), l.rsts), 0, int64(resendMax))
	e.lastAt = max(e.lastAt, at)
	for _, f := range frames {
		w.seq++ // the frame's own key has been used
		e.transmit(f, e.lastAt+1, kindResend, w.seq)
	}
}

// Close implements transport.Conn: a reset of both ends.
func (e *connEnd) Close() {
	if e.closed || e.host.life.ended() {
		return
	}
	w := e.conn.net.w
	w.register(&event{
		at: w.nowNS(), node: e.host.node, life: e.host.life, kind: kindClosed,
		a: e.conn.id<<1 | uint64(e.side), b: 0, label: e.link.label,
		fire: func() { e.end(errClosed) },
	})
}

// end closes this end, tells its host, and lets the other end know if it can.
func (e *connEnd) end(err error) {
	if e.closed {
		return
	}
	e.close()
	if h := e.host; !h.life.ended() && h.handler != nil {
		h.handler.Closed(e, err)
	}
}

// close marks this end closed without telling its host.
func (e *connEnd) close() {
	if e.closed {
		return
	}
	e.closed = true
	e.waiting = nil
	delete(e.host.ends, e.conn.id)
	if e.keepalive != nil {
		e.conn.net.w.cancel(e.keepalive)
		e.keepalive = nil
	}
	if e.other().closed {
		e.conn.release()
	} else {
		e.tellOther()
	}
}

// tellOther sends the reset after all earlier frames. Over a cut link it is lost, and the other end
// must notice by its keepalive.
func (e *connEnd) tellOther() {
	to, w := e.other(), e.conn.net.w
	if to.host.life.ended() {
		return
	}
	if e.link.cut {
		e.conn.net.hit(e.link, fault.PartCut)
		return
	}
	e.link.rsts++
	at := max(w.nowNS()+e.conn.net.latency(e.link, kindClosed, e.link.rsts), e.lastAt+1)
	w.seq++
	w.register(&event{
		at: at, node: to.host.node, life: to.host.life, kind: kindClosed,
		a: e.conn.id<<1 | uint64(e.side), b: w.seq, label: e.link.label,
		fire: func() { to.end(errReset) },
	})
}

// release forgets a conn of which both ends are closed.
func (c *conn) release() {
	n := c.net
	key := pairKey(c.ends[0].host.node, c.ends[1].host.node)
	n.pairs[key] = slices.DeleteFunc(n.pairs[key], func(x *conn) bool { return x == c })
	if len(n.pairs[key]) == 0 {
		delete(n.pairs, key)
	}
	n.carrier.disconnect(c)
}

// watchKeepalive makes both ends give up some time from now, unless calm is called.
func (c *conn) watchKeepalive() {
	for _, e := range c.ends {
		e.watchKeepalive()
	}
}

func (e *connEnd) watchKeepalive() {
	if e.closed || e.keepalive != nil || e.host.life.ended() {
		return
	}
	c, w := e.conn, e.conn.net.w
	w.seq++
	wait := within(w.draw(drawKeepalive, c.id, uint64(e.side), w.seq), int64(keepaliveMin), int64(keepaliveMax))
	e.keepalive = &event{
		at: w.nowNS() + wait, node: e.host.node, life: e.host.life, kind: kindClosed,
		a: c.id<<1 | uint64(e.side), b: w.seq, label: e.link.label,
	}
	e.keepalive.fire = func() {
		e.keepalive = nil
		c.net.stops(e.link)
		c.net.stops(e.other().link)
		e.end(errKeepalive)
	}
	w.register(e.keepalive)
}

// silent: an end of the conn hears nothing of the other.
func (c *conn) silent() bool {
	return c.ends[0].link.cut || c.ends[1].link.cut || c.ends[0].host.node.suspended || c.ends[1].host.node.suspended
}

// calm cancels that the ends give up.
func (c *conn) calm() {
	for _, e := range c.ends {
		if e.keepalive != nil {
			c.net.w.cancel(e.keepalive)
			e.keepalive = nil
		}
	}
}

// healed is a conn one direction of which works again.
func (c *conn) healed() {
	if c.ends[0].link.cut || c.ends[1].link.cut {
		return
	}
	if !c.silent() {
		c.calm()
	}
	for _, e := range c.ends {
		if e.closed || e.host.life.ended() {
			if !e.other().closed {
				e.tellOther() // the other end learns of it when it sends
			}
		}
	}
}

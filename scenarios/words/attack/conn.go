package attack

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

// conn is a conn of the attacker's own. It forgets what it hears, and so grants no credit and
// acknowledges nothing. The zero value is one that could not be had.
type conn struct {
	a     *one
	conn  transport.Conn
	over  *bool
	heard deaf
}

// dialMute opens a conn and says nothing on it. It waits until the peer has accepted.
func dialMute(ctx context.Context, a *one, to transport.Peer, class transport.Class) (c conn, err error) {
	over := new(bool)
	opened := a.env().Loop.Elapsed()
	heard := deaf{over: over, closed: func() { a.env().Observe(connOver, node.F("to", to), node.F("lasted", a.env().Loop.Elapsed()-opened)) }}
	parkErr := a.env().Loop.Park(ctx, func(wake func()) {
		a.Dial(to, class, heard, func(made transport.Conn, failure error) {
			c, err = conn{a: a, conn: made, over: over, heard: heard}, failure
			if failure == nil {
				a.env().Observe(connBegun, node.F("to", to))
			}
			wake()
		})
	})
	if parkErr != nil {
		return c, parkErr
	}
	if err != nil {
		return conn{a: a}, err
	}
	return c, nil
}

// dial opens a conn and says a proper hello, with the certificate that the node has, if any.
func dial(ctx context.Context, a *one, to transport.Peer, class transport.Class) (conn, error) {
	c, err := dialMute(ctx, a, to, class)
	if err == nil {
		c.say(helloFrame(transport.Encode(transport.Hello{
			VersionMin: transport.VersionMin, VersionMax: transport.VersionMax, Class: class, Credentials: a.env().Wire.Credentials(),
		})))
	}
	return c, err
}

// say sends a frame, if the peer has not hung up.
func (c conn) say(frame []byte) {
	if c.conn != nil && !*c.over {
		_ = c.conn.Send(frame)
	}
}

// closeAfter hangs up some time from now.
func (c conn) closeAfter(_ context.Context, d time.Duration) {
	if c.conn != nil {
		c.a.env().Loop.AfterFunc(d, func() {
			if !*c.over {
				c.conn.Close()
				c.heard.Closed(c.conn, nil)
			}
		})
	}
}

// connBegun and connOver are what an attacker knows of its conns to a node.
const connBegun, connOver = "attack-conn-begun", "attack-conn-over"

// deaf hears only that the conn is over, once.
type deaf struct {
	over   *bool
	closed func()
}

func (deaf) Accepted(transport.Conn)      {}
func (deaf) Frame(transport.Conn, []byte) {}
func (d deaf) Closed(transport.Conn, error) {
	if !*d.over {
		*d.over = true
		d.closed()
	}
}

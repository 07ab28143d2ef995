package attack

import (
	"context"
	"time"

	"github.com/taucloud/tau/transport"
)

// holdFor is how long an attack keeps its conns.
const holdFor = 40 * time.Second

// each runs f with Count conns to each target, one after the other, without waiting for what it does.
func each(ctx context.Context, a *one, class transport.Class, greet bool, f func(c conn, i int)) error {
	open := dialMute
	if greet {
		open = dial
	}
	for _, t := range a.on("") {
		a.apart(func(ctx context.Context) {
			for i := range a.Count {
				c, err := open(ctx, a, t.Peer, class)
				if ctx.Err() != nil {
					return
				}
				if err == nil {
					f(c, i)
					c.closeAfter(ctx, holdFor)
				}
			}
		})
	}
	return nil
}

// bytesOf draws n bytes.
func (a *one) bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(a.env().Rand.Uint32())
	}
	return b
}

func garbage(ctx context.Context, a *one) error {
	return each(ctx, a, transport.Control, true, func(c conn, i int) {
		switch i % 5 {
		case 0:
			c.say(a.bytesOf(1 + a.env().Rand.IntN(200)))
		case 1: // of later releases: skipped, or the end of the conn
			c.say(append([]byte{0x40}, a.bytesOf(60)...))
			c.say(append([]byte{0xc0}, a.bytesOf(60)...))
		case 2: // as long as a frame may be
			c.say(make([]byte, transport.FrameLenMax))
		case 3: // messages that never end
			for n := range uint64(40) {
				c.say(beginFrame(n+1, transport.MessageLenMax, a.bytesOf(8)))
			}
		case 4:
			c.say(requestFrame(1, 0, "", nil))
		}
	})
}

func halfOpen(ctx context.Context, a *one) error {
	return each(ctx, a, transport.Control, false, func(c conn, i int) {
		if i%2 == 1 {
			c.say(helloFrame(a.bytesOf(8)))
		}
	})
}

func loiter(ctx context.Context, a *one) error {
	return each(ctx, a, transport.Control, true, func(conn, int) {})
}

// streamsPerConn and callsPerConn are what each conn of a crowd begins: more than a peer has places for.
const streamsPerConn, callsPerConn = 260, 260

func crowd(ctx context.Context, a *one) error {
	list := table()
	return each(ctx, a, transport.Control, true, func(c conn, i int) {
		s := list[i%len(list)]
		for n := range streamsPerConn {
			c.say(openFrame(uint64(2*n+1), "tns/watch", nil))
		}
		for n := range callsPerConn {
			c.say(requestFrame(uint64(n+1), 10_000, s.name, nil))
		}
	})
}

// readNothing asks for long answers on bulk conns that grant no credit.
func readNothing(ctx context.Context, a *one) error {
	ask := transport.Encode(map[int]any{1: [][]byte{}, 2: 0, 3: 1 << 20})
	return each(ctx, a, transport.Bulk, true, func(c conn, i int) {
		for n := range 50 {
			c.say(requestFrame(uint64(n+1), 60_000, "blocks/get", ask))
			c.say(openFrame(uint64(2*n+1), "tns/watch", nil))
		}
	})
}

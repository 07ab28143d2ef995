package transport_test

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// stage is an engine between scripted peers in virtual time.
type stage struct {
	*transport.Endpoint
	t      *testing.T
	host   *scriptHost
	engine *transport.Engine
	loop   *bubbleLoop
	peer   transport.Peer
}

// bubbleLoop is a live loop whose clock begins with the bubble.
type bubbleLoop struct {
	*clock.Live
	began time.Time
}

// Elapsed implements clock.Clock.
func (l *bubbleLoop) Elapsed() time.Duration { return time.Since(l.began) + time.Hour }

// Branch implements clock.Loop.
func (l *bubbleLoop) Branch() clock.Loop {
	return &bubbleLoop{l.Live.Branch().(*clock.Live), l.began}
}

// onStage runs a test as a task of the engine's loop.
func onStage(t *testing.T, f func(ctx context.Context, s *stage)) { onStageWith(t, nil, f) }

func onStageWith(t *testing.T, m transport.Meddler, f func(ctx context.Context, s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, host: &scriptHost{}, loop: &bubbleLoop{clock.NewLive(), time.Now()}, peer: peerNamed("peer")}
		host := transport.Host(s.host)
		if m != nil {
			host = meddlingHost{s.host, m}
			if w, ok := m.(transport.Witness); ok {
				host = witnessingHost{meddlingHost{s.host, m}, w}
			}
		}
		dir := transport.NewStaticDirectory()
		dir.Add(s.peer)
		s.engine = transport.NewEngine(host, s.loop, dir)
		s.Endpoint = s.engine.Endpoint(s.loop)
		defer func() {
			require.NoError(t, s.engine.Close())
			require.True(t, s.loop.Stop(time.Second))
		}()
		require.NoError(t, clock.Do(context.Background(), s.loop, func(ctx context.Context) { f(ctx, s) }))
	})
}

type meddlingHost struct {
	transport.Host
	transport.Meddler
}

type witnessingHost struct {
	meddlingHost
	transport.Witness
}

// sleep lets virtual time pass.
func (s *stage) sleep(ctx context.Context, d time.Duration) {
	require.NoError(s.t, clock.Sleep(ctx, s.loop, d))
}

// accept is a conn that a peer opens.
func (s *stage) accept(p transport.Peer) *scriptConn {
	return s.acceptOn(p, transport.Control)
}

func (s *stage) acceptOn(p transport.Peer, class transport.Class) *scriptConn {
	c := &scriptConn{remote: p}
	s.host.open(s.t, c, class, func() { s.host.handler.Accepted(c) })
	return c
}

// dialed is a conn to a peer that the last dial makes.
func (s *stage) dialed(p transport.Peer, class transport.Class) *scriptConn {
	c := &scriptConn{remote: p}
	opened := s.host.dials[len(s.host.dials)-1]
	s.host.open(s.t, c, class, func() { opened(c, nil) })
	return c
}

// frame has a peer send a frame, in parts if it is long.
func (s *stage) frame(c *scriptConn, number uint64, f []byte) {
	const chunk = 60 << 10
	if len(f) <= chunk {
		s.host.handler.Frame(c, f)
		return
	}
	s.host.handler.Frame(c, begin(number, len(f), f[:chunk]...))
	for f = f[chunk:]; len(f) > 0; f = f[min(chunk, len(f)):] {
		s.host.handler.Frame(c, part(number, f[:min(chunk, len(f))]...))
	}
}

// request makes a request frame.
func request(id uint64, left uint32, method string, message []byte) []byte {
	f := binary.AppendUvarint(binary.BigEndian.AppendUint32([]byte{1}, left), id)
	return append(append(append(f, byte(len(method))), method...), message...)
}

// withID makes a frame of a type with an id and a message.
func withID(typ byte, id uint64, message ...byte) []byte {
	return append(binary.AppendUvarint([]byte{typ}, id), message...)
}

// types are those of what was sent on a conn, from a frame on.
func (c *scriptConn) types(from int) (list []byte) {
	for _, f := range c.sent[from:] {
		list = append(list, f[0])
	}
	return list
}

// answer has a peer answer all questions that it was asked on a conn.
func (s *stage) answer(c *scriptConn) {
	for ; c.read < len(c.sent); c.read++ {
		if f := c.sent[c.read]; f[0] == typeAsk {
			s.host.handler.Frame(c, append([]byte{typeAck}, f[1:]...))
		}
	}
}

// whole is what a peer makes of the frames sent on a conn, when it answers all
// questions: complete frames, of any length.
func (s *stage) whole(c *scriptConn) (list [][]byte) {
	type open struct {
		length int
		data   []byte
	}
	s.answer(c)
	parts := map[uint64]*open{}
	for _, f := range c.sent {
		switch typ := f[0]; typ {
		case typeAsk:
		case typeBegin, typePart:
			number, n := binary.Uvarint(f[1:])
			f = f[1+n:]
			if typ == typeBegin {
				length, n := binary.Uvarint(f)
				f = f[n:]
				parts[number] = &open{length: int(length)}
			}
			p := parts[number]
			if p.data = append(p.data, f...); len(p.data) == p.length {
				list = append(list, p.data)
			}
		default:
			list = append(list, f)
		}
	}
	return list
}

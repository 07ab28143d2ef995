package transport_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

// speaking is a node that speaks a range of versions.
func speaking(t *testing.T, net *transporttest.PipeNet, name string, lowest, highest uint64) *node {
	return newNode(t, net, name, transport.NewStaticDirectory(), transport.Versions(lowest, highest))
}

// TestNodesOfTwoReleasesMeet when there is a version that both speak; otherwise
// both are told why not.
func TestNodesOfTwoReleasesMeet(t *testing.T) {
	for name, row := range map[string]struct {
		aMin, aMax, bMin, bMax uint64
		meet                   bool
	}{
		"equal":                {1, 1, 1, 1, true},
		"later, and both":      {1, 1, 1, 3, true},
		"later overlaps":       {1, 4, 3, 9, true},
		"later does not":       {1, 2, 3, 4, false},
		"a range that is none": {1, 2, 2, 1, false},
	} {
		net := transporttest.NewPipeNet()
		a, b := speaking(t, net, "a", row.aMin, row.aMax), speaking(t, net, "b", row.bMin, row.bMax)
		a.Handle("t/echo", transport.Anyone, echo)
		b.Handle("t/echo", transport.Anyone, echo)
		for _, ends := range [][2]*node{{a, b}, {b, a}} {
			from, to := ends[0], ends[1]
			from.do(t, func(ctx context.Context) {
				_, err := from.Call(ctx, to.Self(), "t/echo", []byte("x"))
				if row.meet {
					require.NoError(t, err, name)
					return
				}
				require.Equal(t, transport.Refused, transport.KindOf(err), "%s: %v", name, err)
				require.ErrorContains(t, err, "the peer speaks versions", name)
				again := from.Tell(to.Self(), "t/note", nil)
				require.Equal(t, transport.Refused, transport.KindOf(again), "%s: no other dial so soon: %v", name, again)
			})
		}
	}
}

// TestHighestCommonVersion is what both ends use.
func TestHighestCommonVersion(t *testing.T) {
	net := transporttest.NewPipeNet()
	a, b := speaking(t, net, "a", 2, 7), speaking(t, net, "b", 1, 5)
	b.Handle("t/echo", transport.Anyone, echo)
	a.do(t, func(ctx context.Context) {
		_, err := a.Call(ctx, b.Self(), "t/echo", nil)
		require.NoError(t, err)
	})
	require.Equal(t, []uint64{5}, a.engine.SpokenVersions())
	require.Equal(t, []uint64{5}, b.engine.SpokenVersions())
}

// TestLaterHellosAreUnderstood: fields that are not known are skipped, up to a size.
func TestLaterHellosAreUnderstood(t *testing.T) {
	type later struct {
		transport.Hello
		Certificate []byte
		Names       []string
		Deep        map[string]map[string]int
	}
	withScript(t, func(ctx context.Context, s *script) {
		hello := later{transport.Hello{VersionMin: 1, VersionMax: 2}, make([]byte, 12<<10), []string{"n"}, map[string]map[string]int{"a": {"b": 1}}}
		c := &scriptConn{remote: s.peer}
		s.host.handler.Accepted(c)
		s.host.handler.Frame(c, append([]byte{helloType}, transport.Encode(hello)...))
		require.False(t, c.closed)
		require.NoError(t, s.tell())
		require.Equal(t, 1, c.notes())
		hello.Certificate = make([]byte, 16<<10)
		c = &scriptConn{remote: peerNamed("other")}
		s.host.handler.Accepted(c)
		s.host.handler.Frame(c, append([]byte{helloType}, transport.Encode(hello)...))
		require.True(t, c.closed, "too long")
	})
}

// TestNothingPrecedesTheHello of the other end, in either direction.
func TestNothingPrecedesTheHello(t *testing.T) {
	ours := transport.Hello{VersionMin: transport.VersionMin, VersionMax: transport.VersionMax}
	withScript(t, func(_ context.Context, s *script) {
		require.NoError(t, s.tell())
		c := &scriptConn{remote: s.peer}
		s.host.dials[0](c, nil)
		require.Equal(t, [][]byte{helloFrame(ours)}, c.sent, "the note waits")
		for _, typ := range []byte{firstUnknownType, 99, 127} { // of a later release
			s.host.handler.Frame(c, []byte{typ, 1, 2})
			require.False(t, c.closed, "%d", typ)
		}
		require.Len(t, c.sent, 1)
		s.host.handler.Frame(c, helloFrame(ours))
		require.Equal(t, 1, c.notes())
		s.host.handler.Frame(c, helloFrame(ours))
		require.True(t, c.closed, "a second hello")
	})
	for name, frame := range map[string][]byte{
		"a note":         noteFrame(1),
		"a credit":       {9, 0, 0, 1},
		"of no class":    helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Class: 2}),
		"not even CBOR":  {helloType, 0xff},
		"another record": {helloType, 0x01},
	} {
		withScript(t, func(_ context.Context, s *script) {
			c := &scriptConn{remote: s.peer}
			s.host.handler.Accepted(c)
			s.host.handler.Frame(c, frame)
			require.True(t, c.closed, name)
		})
	}
}

// TestSilentConnsEnd when no hello comes in time, and calls that wait with them.
func TestSilentConnsEnd(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		accepted := &scriptConn{remote: peerNamed("other")}
		s.host.handler.Accepted(accepted)
		s.loop.AfterFunc(transport.FrameTimeout-time.Second, func() { assert.False(t, accepted.closed, "it still has time") })
		dialed := &scriptConn{remote: s.peer}
		s.loop.AfterFunc(time.Second, func() { s.host.dials[0](dialed, nil) })
		_, err := s.CallOn(transport.Patient(ctx, time.Hour), transport.Control, s.peer, "t/call", nil)
		require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
		require.ErrorContains(t, err, "no hello")
		require.True(t, accepted.closed && dialed.closed)
	})
}

// TestRefusedConnsWait for the dialer, so that it hears why.
func TestRefusedConnsWait(t *testing.T) {
	onStage(t, func(ctx context.Context, s *stage) {
		later := helloFrame(transport.Hello{VersionMin: 8, VersionMax: 9})
		c := &scriptConn{remote: s.peer}
		s.host.handler.Accepted(c)
		s.host.handler.Frame(c, later)
		s.host.handler.Frame(c, noteFrame(1))
		require.False(t, c.closed)
		require.Len(t, c.sent, 1)
		s.sleep(ctx, transport.FrameTimeout+time.Second)
		require.True(t, c.closed)

		require.NoError(t, s.Tell(s.peer, "t/note", nil))
		dialed := &scriptConn{remote: s.peer}
		s.host.dials[0](dialed, nil)
		s.host.handler.Frame(dialed, later)
		require.True(t, dialed.closed)
		require.ErrorContains(t, s.Tell(s.peer, "t/note", nil), "the peer speaks versions 8 to 9 of the protocol, and this node 1 to 1")
		s.accept(s.peer)
		require.NoError(t, s.Tell(s.peer, "t/note", nil), "it was updated")
	})
}

// TestConnsOfOnePeerAreBounded, those that say nothing as well.
func TestConnsOfOnePeerAreBounded(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		var conns []*scriptConn
		for i := range 20 {
			c := &scriptConn{remote: s.peer}
			s.host.handler.Accepted(c)
			require.Equal(t, i >= 16, c.closed, "%d", i)
			conns = append(conns, c)
		}
		s.host.handler.Closed(conns[0], nil)
		c := s.accept()
		require.NoError(t, s.tell())
		require.Equal(t, 1, c.notes())
		for _, c := range conns[1:16] {
			s.host.handler.Closed(c, nil)
		}
		s.host.handler.Closed(c, nil)
		require.Zero(t, s.engine.Links())
	})
}

// TestHelloOnTheWire is for ever what it is: releases that have no version in
// common read it.
func TestHelloOnTheWire(t *testing.T) {
	frame := helloFrame(transport.Hello{VersionMin: 1, VersionMax: 2, Class: transport.Bulk})
	require.Equal(t, "12a3"+"65"+hex.EncodeToString([]byte("Class"))+"01"+
		"6a"+hex.EncodeToString([]byte("VersionMax"))+"02"+"6a"+hex.EncodeToString([]byte("VersionMin"))+"01", hex.EncodeToString(frame))
}

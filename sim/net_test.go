package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

// recorder is a HostHandler that notes what is reported, and when.
type recorder struct {
	w        *sim.World
	accepted []transport.Conn
	frames   []string
	at       []time.Duration
	closed   []time.Duration
}

func (r *recorder) Accepted(c transport.Conn) { r.accepted = append(r.accepted, c) }

func (r *recorder) Frame(_ transport.Conn, f []byte) {
	r.frames = append(r.frames, string(f))
	r.at = append(r.at, r.w.Now())
}

func (r *recorder) Closed(transport.Conn, error) { r.closed = append(r.closed, r.w.Now()) }

// line is two nodes and a conn from a to b.
type line struct {
	w    *sim.World
	a, b *recorder
	conn transport.Conn
	err  error
	at   time.Duration // when the dial was answered
}

func withLine(t *testing.T, network sim.Network, before func(w *sim.World), body func(l *line)) {
	for _, wire := range wires {
		t.Run(string(wire), func(t *testing.T) {
			_, err := sim.Run(sim.Config{Seed: 5, Wire: wire, Network: network}, func(w *sim.World) error {
				l := &line{w: w, a: &recorder{w: w}, b: &recorder{w: w}}
				na, err := w.AddBare("a")
				if err != nil {
					return err
				}
				nb, err := w.AddBare("b")
				if err != nil {
					return err
				}
				na.Host.Handle(l.a)
				nb.Host.Handle(l.b)
				if before != nil {
					before(w)
				}
				na.Host.Open(nb.Host.ID(), transport.Control, func(c transport.Conn, err error) { l.conn, l.err, l.at = c, err, w.Now() })
				if err := w.RunUntil(6 * time.Second); err != nil {
					return err
				}
				body(l)
				return nil
			})
			require.NoError(t, err)
		})
	}
}

var fixed = sim.Network{Default: fault.Shape{LatencyMin: 10 * time.Millisecond, LatencyMax: 20 * time.Millisecond}}

func TestFramesTakeTheirLatencyInOrder(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		require.NoError(t, l.err)
		assert.GreaterOrEqual(t, l.at, 20*time.Millisecond, "a dial is a round trip")
		start := l.w.Now()
		for _, s := range []string{"1", "2", "3", "4", "5"} {
			require.NoError(t, l.conn.Send([]byte(s)))
		}
		require.NoError(t, l.w.RunUntil(start+30*time.Millisecond))
		assert.Equal(t, []string{"1", "2", "3", "4", "5"}, l.b.frames)
		assert.GreaterOrEqual(t, l.b.at[0], start+10*time.Millisecond)
		assert.LessOrEqual(t, l.b.at[4], start+21*time.Millisecond)
	})
}

// TestLossDelays: what is lost comes later, what is behind it waits, nothing is lost
// for good.
func TestLossDelays(t *testing.T) {
	lossy := sim.Network{Default: fault.Shape{LatencyMin: 1e6, LatencyMax: 1e6, Loss: 0.2}}
	withLine(t, lossy, nil, func(l *line) {
		start := l.w.Now()
		for i := range 200 {
			require.NoError(t, l.conn.Send([]byte{byte(i)}))
			require.NoError(t, l.w.RunUntil(start+time.Duration(i)*20*time.Millisecond))
		}
		require.NoError(t, l.w.RunUntil(start+time.Minute))
		require.Len(t, l.b.frames, 200)
		late := 0
		for i, f := range l.b.frames {
			require.Equal(t, string([]byte{byte(i)}), f, "in order")
			sent := start + time.Duration(max(0, i-1))*20*time.Millisecond
			took := l.b.at[i] - sent
			require.LessOrEqual(t, took, 7*time.Second)
			if took > 200*time.Millisecond {
				late++
			}
		}
		require.Greater(t, late, 30, "a fifth is lost, and holds others up")
		require.Less(t, late, 200)
	})
}

func TestBandwidthDelaysBigFrames(t *testing.T) {
	slow := sim.Network{Default: fault.Shape{LatencyMin: 1e6, LatencyMax: 1e6, Bandwidth: 1 << 16}}
	withLine(t, slow, nil, func(l *line) {
		start := l.w.Now()
		require.NoError(t, l.conn.Send(make([]byte, 1<<16)))
		require.NoError(t, l.conn.Send(make([]byte, 1<<15)))
		require.NoError(t, l.w.RunUntil(start+10*time.Second))
		assert.Equal(t, start+1001*time.Millisecond, l.b.at[0])
		assert.Equal(t, start+1501*time.Millisecond, l.b.at[1])
	})
}

func TestFasterLinkHurriesWhatIsOnItsWay(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		l.w.SetShape("a", "b", fault.Shape{Bandwidth: 10})
		start := l.w.Now()
		for _, text := range []string{"0123456789", "second", "third"} {
			require.NoError(t, l.conn.Send([]byte(text)))
		}
		require.NoError(t, l.w.RunUntil(start+1500*time.Millisecond))
		assert.Equal(t, []string{"0123456789"}, l.b.frames, "10 bytes a second")
		l.w.SetShape("a", "b", fault.Shape{Bandwidth: 1, LatencyMin: time.Hour, LatencyMax: time.Hour})
		require.NoError(t, l.w.RunUntil(start+1700*time.Millisecond))
		assert.Equal(t, []string{"0123456789", "second"}, l.b.frames, "a slower link does not hold them back")

		require.NoError(t, l.conn.Send([]byte("fourth")))
		l.w.SetShape("a", "b", fault.Shape{})
		require.NoError(t, l.w.RunUntil(start+1800*time.Millisecond))
		assert.Equal(t, []string{"0123456789", "second", "third", "fourth"}, l.b.frames)
	})
}

func TestShortCutDelaysLongCutBreaks(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		start := l.w.Now()
		l.w.SetCut("a", "b", true)
		require.NoError(t, l.conn.Send([]byte("late")))
		require.NoError(t, l.w.RunUntil(start+5*time.Second))
		assert.Empty(t, l.b.frames)
		l.w.SetCut("a", "b", false)
		require.NoError(t, l.w.RunUntil(start+15*time.Second))
		assert.Equal(t, []string{"late"}, l.b.frames, "what was sent during a short cut arrives after it")
		assert.Empty(t, l.a.closed)

		start = l.w.Now()
		l.w.SetCut("b", "a", true)
		require.NoError(t, l.w.RunUntil(start+20*time.Second))
		require.Len(t, l.a.closed, 1)
		require.Len(t, l.b.closed, 1)
		assert.GreaterOrEqual(t, l.a.closed[0], start+10*time.Second)
		assert.Error(t, l.conn.Send([]byte("x")), "it is closed")
	})
}

func TestHoldKeepsFramesAndOrder(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		start := l.w.Now()
		l.w.SetHeld("a", "b", true)
		for _, s := range []string{"1", "2", "3"} {
			require.NoError(t, l.conn.Send([]byte(s)))
		}
		require.NoError(t, l.w.RunUntil(start+time.Minute))
		assert.Empty(t, l.b.frames)
		l.w.SetHeld("a", "b", false)
		require.NoError(t, l.conn.Send([]byte("4")))
		require.NoError(t, l.w.RunUntil(start+62*time.Second))
		assert.Equal(t, []string{"1", "2", "3", "4"}, l.b.frames)
	})
}

func TestOneWayCut(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		l.w.SetCut("a", "b", true)
		require.NoError(t, l.b.accepted[0].Send([]byte("still")))
		require.NoError(t, l.conn.Send([]byte("never")))
		require.NoError(t, l.w.RunUntil(l.w.Now()+time.Second))
		assert.Equal(t, []string{"still"}, l.a.frames)
		assert.Empty(t, l.b.frames)
	})
}

func TestDials(t *testing.T) {
	withLine(t, fixed, func(w *sim.World) { w.SetCut("b", "a", true) }, func(l *line) {
		assert.Equal(t, transport.Unreachable, transport.KindOf(l.err))
		assert.Equal(t, 5*time.Second, l.at, "an unanswered dial times out")
		assert.Len(t, l.b.accepted, 1)
		assert.Len(t, l.b.closed, 1, "and whoever accepted it is told")
	})
	cutSoon := func(w *sim.World) {
		w.SetCut("b", "a", true)
		w.At(3*time.Second, "cut", func() { w.SetCut("a", "b", true) })
	}
	withLine(t, fixed, cutSoon, func(l *line) {
		assert.Len(t, l.b.accepted, 1)
		assert.Empty(t, l.b.closed, "nothing reaches it")
		l.w.SetCut("a", "b", false)
		l.w.SetCut("b", "a", false)
		require.NoError(t, l.w.RunUntil(7*time.Second))
		assert.Len(t, l.b.closed, 1, "it hears of it when the link is mended")
	})
	withLine(t, fixed, func(w *sim.World) { w.SetRefused("a", "b", true) }, func(l *line) {
		assert.Equal(t, transport.Unreachable, transport.KindOf(l.err))
		assert.Less(t, l.at, 50*time.Millisecond, "a refusal is an answer")
	})
	withLine(t, fixed, func(w *sim.World) { w.Crash("b", false) }, func(l *line) {
		assert.Equal(t, transport.Unreachable, transport.KindOf(l.err))
	})
}

func TestPanicIsReported(t *testing.T) {
	for _, wire := range wires {
		_, err := sim.Run(sim.Config{Seed: 1, Wire: wire}, func(w *sim.World) error {
			for _, name := range []string{"a", "b"} {
				if _, err := w.AddBare(name); err != nil {
					return err
				}
			}
			w.At(time.Second, "bug", func() { panic("the cause") })
			return w.RunUntil(2 * time.Second)
		})
		require.ErrorContains(t, err, "panic in \"world bug\" at 1s: the cause")
	}
}

func TestCrashResetsConns(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		start := l.w.Now()
		l.w.Crash("b", false)
		require.NoError(t, l.w.RunUntil(start+time.Second))
		require.Len(t, l.a.closed, 1)
		assert.LessOrEqual(t, l.a.closed[0], start+20*time.Millisecond)
		assert.Empty(t, l.b.closed, "nobody is left to be told")
	})
}

func TestPausedNodeCatchesUpInOrder(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) {
		start := l.w.Now()
		l.w.SetPaused("b", true)
		for _, s := range []string{"1", "2", "3"} {
			require.NoError(t, l.conn.Send([]byte(s)))
		}
		require.NoError(t, l.w.RunUntil(start+time.Minute))
		assert.Empty(t, l.b.frames)
		l.w.SetPaused("b", false)
		require.NoError(t, l.w.RunUntil(start+time.Minute))
		assert.Equal(t, []string{"1", "2", "3"}, l.b.frames)
		assert.Equal(t, start+time.Minute, l.b.at[0])
	})
}

func TestASuspendedNodeHearsNothingAndOthersGiveUp(t *testing.T) {
	withLine(t, fixed, nil, func(l *line) { // a short nap
		start := l.w.Now()
		l.w.SetSuspended("b", true)
		require.NoError(t, l.conn.Send([]byte("late")))
		require.NoError(t, l.w.RunUntil(start+9*time.Second))
		assert.Empty(t, l.b.frames)
		l.w.SetSuspended("b", false)
		require.NoError(t, l.w.RunUntil(start+30*time.Second))
		assert.Equal(t, []string{"late"}, l.b.frames)
		assert.Empty(t, l.a.closed)

		start = l.w.Now() // a long one
		l.w.SetSuspended("b", true)
		require.NoError(t, l.w.RunUntil(start+20*time.Second))
		require.Len(t, l.a.closed, 1)
		assert.GreaterOrEqual(t, l.a.closed[0], start+10*time.Second)
		assert.Empty(t, l.b.closed)
		l.w.SetSuspended("b", false)
		require.NoError(t, l.w.RunUntil(start+21*time.Second))
		assert.Len(t, l.b.closed, 1, "it hears of it when it wakes")
	})
}

func TestASuspendedClockStandsStill(t *testing.T) {
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		n, err := w.AddBare("n")
		if err != nil {
			return err
		}
		wall := n.Loop.Now()
		var fired time.Duration
		n.Loop.AfterFunc(10*time.Second, func() { fired = w.Now() })
		require.NoError(t, w.RunUntil(4*time.Second))
		w.SetSuspended("n", true)
		require.NoError(t, w.RunUntil(20*time.Second))
		w.SetDrift("n", 100_000) // on from its waking
		require.NoError(t, w.RunUntil(34*time.Second))
		assert.Equal(t, 4*time.Second, n.Loop.Elapsed())
		w.SetDrift("n", 0)
		w.SetSuspended("n", false)
		assert.Equal(t, 4*time.Second, n.Loop.Elapsed())
		assert.Equal(t, 34*time.Second, n.Loop.Now().Sub(wall), "the wall clock has jumped")
		require.NoError(t, w.RunUntil(time.Minute))
		assert.Equal(t, 40*time.Second, fired, "six seconds were left")
		return nil
	})
	require.NoError(t, err)
}

func TestClocksSkewAndDrift(t *testing.T) {
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		fast, err := w.AddBare("fast")
		if err != nil {
			return err
		}
		before := fast.Loop.Now()
		w.SetSkew("fast", time.Minute)
		assert.Equal(t, time.Minute, fast.Loop.Now().Sub(before))
		assert.Zero(t, fast.Loop.Elapsed(), "skew does not touch the monotonic clock")
		w.SetDrift("fast", 100_000)
		var fired time.Duration
		fast.Loop.AfterFunc(11*time.Second, func() { fired = w.Now() })
		if err := w.RunUntil(20 * time.Second); err != nil {
			return err
		}
		assert.InDelta(t, float64(10*time.Second), float64(fired), 1e3, "eleven fast seconds are ten")
		assert.Equal(t, 22*time.Second, fast.Loop.Elapsed())
		return nil
	})
	require.NoError(t, err)
}

func TestTimersAreNeverEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
			n, err := w.AddBare("n")
			require.NoError(t, err)
			due := map[int]time.Duration{}
			for i := range 20 {
				w.SetDrift("n", rapid.Int64Range(-500_000, 500_000).Draw(t, "ppm"))
				d := time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "d"))
				due[i] = n.Loop.Elapsed() + d
				n.Loop.AfterFunc(d, func() {
					require.GreaterOrEqual(t, n.Loop.Elapsed(), due[i])
					delete(due, i)
				})
				require.NoError(t, w.RunUntil(w.Now()+time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "pass"))))
			}
			require.NoError(t, w.RunUntil(w.Now()+10*time.Second))
			require.Empty(t, due)
			return nil
		})
		require.NoError(t, err)
	})
}

func TestCrashKeepsWhatWasFlushed(t *testing.T) {
	kept := map[int]bool{}
	for seed := range uint64(60) {
		_, err := sim.Run(sim.Config{Seed: seed}, func(w *sim.World) error {
			b, err := w.AddBare("a")
			if err != nil {
				return err
			}
			key := func(i int) datastore.Key { return datastore.NewKey(string(rune('a' + i))) }
			for i := range 10 {
				require.NoError(t, b.Disk.Put(context.Background(), key(i), []byte("0123456789")))
				if i == 4 {
					b.Disk.Flush(func(err error) { assert.NoError(t, err) })
				}
			}
			if err := w.RunUntil(time.Second); err != nil {
				return err
			}
			w.Crash("a", false)
			assert.Error(t, b.Disk.Put(context.Background(), key(0), nil), "the dead incarnation's handle")
			again := w.BootBare("a")
			n, lost := 0, false
			for i := range 10 {
				v, err := again.Disk.Get(context.Background(), key(i))
				switch {
				case errors.Is(err, datastore.ErrNotFound):
					lost = true
				case i < 5:
					assert.Equal(t, "0123456789", string(v))
					n++
				default:
					assert.False(t, lost, "a prefix survives")
					n++
				}
			}
			kept[n] = true
			return nil
		})
		require.NoError(t, err)
	}
	assert.True(t, kept[5] && kept[10] && len(kept) == 6, "what survives of the rest is drawn: %v", kept)
}

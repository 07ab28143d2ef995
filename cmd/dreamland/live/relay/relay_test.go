package relay

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/sim/fault"
)

func TestCourse(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	steady := func(latency int, bandwidth int64) fault.Shape {
		return fault.Shape{LatencyMin: ms(latency), LatencyMax: ms(latency), Bandwidth: bandwidth}
	}
	for _, c := range []struct {
		name   string
		shapes []fault.Shape // of what is sent at 0, 10, 20 ms: 1000 bytes each
		want   []time.Duration
	}{
		{"nothing in the way", []fault.Shape{{}, {}, {}}, []time.Duration{0, ms(10), ms(20)}},
		{"latency", []fault.Shape{steady(50, 0), steady(50, 0)}, []time.Duration{ms(50), ms(60)}},
		{"a link that gets faster overtakes nothing", []fault.Shape{steady(50, 0), steady(1, 0)}, []time.Duration{ms(50), ms(50)}},
		{"bandwidth", []fault.Shape{steady(0, 10000), steady(0, 10000), steady(5, 10000)}, []time.Duration{ms(100), ms(200), ms(305)}},
	} {
		course := course{rand: rand.New(rand.NewPCG(1, 1))}
		for i, shape := range c.shapes {
			require.Equal(t, c.want[i], course.arrival(ms(10*i), 1000, shape), "%s: %d", c.name, i)
		}
	}
	lossy, late := course{rand: rand.New(rand.NewPCG(1, 1))}, 0
	for i := range 1000 {
		now := time.Duration(i) * time.Hour
		if lossy.arrival(now, 1, fault.Shape{Loss: 0.2}) >= now+againMin {
			late++
		}
	}
	require.InDelta(t, 200, late, 50, "what is lost comes later")
}

// echo is a node that sends back what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

type links struct{ cut, refused map[[2]string]bool }

func (l links) on(r *Relay) {
	r.SetLinks(func(from, to string) State {
		return State{LinkState: fault.LinkState{Cut: l.cut[[2]string{from, to}], Refused: l.refused[[2]string{from, to}]}}
	}, func(string, string, fault.LinkPart) {})
}

// heard reports whether a byte comes back within a moment.
func heard(t *testing.T, c net.Conn, within time.Duration) bool {
	require.NoError(t, c.SetReadDeadline(time.Now().Add(within)))
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}

// TestCuts: a cut is of one direction; what is sent meanwhile arrives when it is over. A dial needs both.
func TestCuts(t *testing.T) {
	address := echo(t)
	r, err := Listen(func(a string) (string, bool) { return "b", a == address })
	require.NoError(t, err)
	defer r.Close()
	dial := func(within time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		return rehearsal.Dialer{Relay: r.Address(), From: "a"}.DialContext(ctx, "tcp", address)
	}
	c, err := dial(10 * time.Second)
	require.NoError(t, err)
	defer c.Close()
	say := func() { _, err := c.Write([]byte("x")); require.NoError(t, err) }
	say()
	require.True(t, heard(t, c, 10*time.Second))

	for _, direction := range [][2]string{{"a", "b"}, {"b", "a"}} {
		links{cut: map[[2]string]bool{direction: true}}.on(r)
		say()
		require.False(t, heard(t, c, 200*time.Millisecond), "%v is cut", direction)
		_, err = dial(200 * time.Millisecond)
		require.Error(t, err, "a dial needs both directions")
		links{}.on(r)
		require.True(t, heard(t, c, 10*time.Second), "it arrives late")
	}

	links{refused: map[[2]string]bool{{"a", "b"}: true}}.on(r)
	_, err = dial(10 * time.Second)
	require.ErrorContains(t, err, "refused")
	say()
	require.True(t, heard(t, c, 10*time.Second), "a conn that is there stays")
	_, err = rehearsal.Dialer{Relay: r.Address(), From: "b"}.DialContext(context.Background(), "tcp", "127.0.0.1:1")
	require.Error(t, err, "nobody is there")
	// A dial that gave up while the link was cut comes true for a moment when it is mended: the relay sees only then that nobody waits.
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.conns) == 1
	}, 10*time.Second, time.Millisecond, "only the conn that is there stays")
	require.Equal(t, 0, r.Reset(func(x, y string) bool { return x == "b" && y == "c" }))
	require.Equal(t, 1, r.Reset(func(x, y string) bool { return x == "a" && y == "b" }))
	require.False(t, heard(t, c, 10*time.Second))
}

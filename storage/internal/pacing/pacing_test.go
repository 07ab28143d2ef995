package pacing

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// TestPaceBounds: pages grow while they come quickly and full, and shrink when they
// come slowly or not at all.
func TestPaceBounds(t *testing.T) {
	for _, x := range []struct {
		size, bytes int
		took        time.Duration
		want        int
	}{
		{First, First, 10 * time.Millisecond, 2 * First},
		{First, First / 2, 10 * time.Millisecond, 2 * First},
		{First, First/2 - 1, 10 * time.Millisecond, First},
		{First, First, Quick, First},
		{First, First, Quick - 1, 2 * First},
		{First, First, Slow, First},
		{First, First, Slow + 1, First / 2},
		{First, 1, Slow + 1, First / 2},
		{Min, 1, Slow + 1, Min},
		{Max, Max, 0, Max},
		{Max/2 + 1, Max, 0, Max},
	} {
		p := Pace{Size: x.size}
		p.Arrived(x.bytes, x.took)
		require.Equal(t, x.want, p.Size, "%+v", x)
	}
	p := Pace{Size: First}
	p.Lost()
	require.Equal(t, First/4, p.Size)
	for range 9 {
		p.Lost()
	}
	require.Equal(t, Min, p.Size)
	var ps Paces
	peer := transport.NewIdentity([]byte("a")).Peer()
	ps.Of(peer).Size = 5
	require.Equal(t, 5, ps.Of(peer).Size)
	for i := range PeersMax - 1 {
		ps.Of(transport.NewIdentity(fmt.Appendf(nil, "%d", i)).Peer())
	}
	require.Len(t, ps, PeersMax)
	ps.Of(transport.NewIdentity([]byte("b")).Peer())
	require.Len(t, ps, 1, "they are bounded")
}

// TestPace finds a size that takes about a second, whatever the link carries.
func TestPace(t *testing.T) {
	for _, rate := range []int{1 << 10, 8 << 10, 16 << 10, 128 << 10, 10 << 20} {
		p := &Pace{Size: First}
		for range 30 {
			took := time.Duration(p.Size) * time.Second / time.Duration(rate)
			p.Arrived(p.Size, took)
		}
		took := time.Duration(p.Size) * time.Second / time.Duration(rate)
		require.LessOrEqual(t, took, Slow, "at %d bytes/s", rate)
		require.True(t, took >= Quick/2 || p.Size == Max, "at %d bytes/s: %d", rate, p.Size)
	}
	p := &Pace{Size: Max}
	for range 20 {
		p.Lost()
	}
	require.Equal(t, Min, p.Size)
	p.Arrived(10, time.Millisecond)
	require.Equal(t, Min, p.Size, "a short page says nothing")
}

// TestPacesAreBounded: all are forgotten when there are too many.
func TestPacesAreBounded(t *testing.T) {
	var ps Paces
	peer := func(i int) transport.Peer { return transport.Peer{byte(i), byte(i >> 8)} }
	for i := range PeersMax {
		ps.Of(peer(i)).Lost()
	}
	require.Len(t, ps, PeersMax)
	require.Equal(t, First/4, ps[peer(7)].Size)
	require.Equal(t, First, ps.Of(peer(0)).Size)
	require.Len(t, ps, 1)
	for range 3 {
		ps.Of(peer(0)).Lost()
	}
	require.Equal(t, Min, ps.Of(peer(0)).Size)
}

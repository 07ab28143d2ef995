package clock_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
)

func TestJittered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	least, most := time.Hour, time.Duration(0)
	for range 10_000 {
		d := clock.Jittered(r, 40*time.Millisecond)
		least, most = min(least, d), max(most, d)
	}
	require.InDelta(t, 30*time.Millisecond, least, float64(time.Millisecond))
	require.InDelta(t, 50*time.Millisecond, most, float64(time.Millisecond))
	require.GreaterOrEqual(t, least, 30*time.Millisecond)
	require.LessOrEqual(t, most, 50*time.Millisecond)
	require.Zero(t, clock.Jittered(r, 0))
}

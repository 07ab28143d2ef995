package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGarbageOfWhoIsBusy: who makes much of it keeps more, until it has made little for a while.
func TestGarbageOfWhoIsBusy(t *testing.T) {
	p, at := pace{}, uint64(0)
	for i, step := range []struct {
		times   uint64
		percent int // 0: as it was
	}{
		{2, 0}, {2, 0}, {3, garbageBusy}, {9, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {1, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, garbagePercent}, {0, 0}, {2, 0}, {50, garbageBusy},
	} {
		at += step.times
		percent, changed := p.next(at)
		require.Equal(t, step.percent, percent, "step %d", i)
		require.Equal(t, step.percent != 0, changed, "step %d", i)
	}
}

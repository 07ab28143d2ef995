package sim

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"pgregory.net/rapid"
)

func TestOutcome(t *testing.T) {
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	for _, c := range []struct {
		signals uint32
		want    error
	}{
		{signalWake, nil},
		{signalStop, clock.ErrStopped},
		{signalEnded, cause},
		{signalWake | signalEnded, nil},
		{signalWake | signalStop, nil},
		{signalStop | signalEnded, clock.ErrStopped},
		{signalWake | signalStop | signalEnded, nil},
	} {
		require.ErrorIs(t, outcome(c.signals, ctx), c.want, "signals %b", c.signals)
	}
}

// TestParkedTasks compares the list with a slice.
func TestParkedTasks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list parkedTasks
		var truth []*parking
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			if len(truth) == 0 || rapid.Bool().Draw(t, "add") {
				p := &parking{}
				list.add(p)
				truth = append(truth, p)
			} else {
				i := rapid.IntRange(0, len(truth)-1).Draw(t, "which")
				list.remove(truth[i])
				truth = append(truth[:i:i], truth[i+1:]...)
			}
			var forward, backward []*parking
			for p := list.first; p != nil; p = p.after {
				forward = append(forward, p)
			}
			for p := list.last; p != nil; p = p.before {
				backward = append([]*parking{p}, backward...)
			}
			require.Equal(t, len(truth), len(forward))
			for i, p := range truth {
				require.Same(t, p, forward[i])
				require.Same(t, p, backward[i])
			}
		}
	})
}

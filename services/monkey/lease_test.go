package monkey

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// What fails is tried again only under the lease, and that is looked at before each
// try: whoever renews it may be waiting for an answer at the moment when it ends.
func TestNothingIsTriedAgainAfterTheLease(t *testing.T) {
	silent := failing(transport.Internal)
	for name, c := range map[string]struct {
		given func(y *yard)
		tries func(y *yard) int
		built time.Duration // when the step begins
	}{
		"fence":   {func(y *yard) { y.fences.err = silent }, func(y *yard) int { return len(y.fenced) }, 0},
		"pin":     {func(y *yard) { y.pins.err = silent }, func(y *yard) int { return len(y.pinned) }, 2 * time.Second},
		"publish": {func(y *yard) { y.publishes.err = silent }, func(y *yard) int { return len(y.published) }, 2 * time.Second},
		"report": {func(y *yard) {
			y.fails(errors.New("out of luck"))
			y.finishes.err = silent
		}, func(y *yard) (n int) {
			for _, f := range y.finished {
				if !f.Abandoned {
					n++
				}
			}
			return n
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inYard(t, without{}, nil, func(y *yard) {
				c.given(y)
				y.renews.after = time.Hour // renewals are under way from 3s to 6s, and from 6.9s to 9.9s
				y.offer(job(1))
				nodetest.Sleep(lease - retryWait/2)
				require.Empty(t, y.reasons())
				before := c.tries(y)
				require.Equal(t, int((lease-c.built)/retryWait), before, "each second")
				nodetest.Sleep(time.Minute)
				require.Equal(t, before, c.tries(y))
				require.Equal(t, []any{"the lease has ended"}, y.reasons())
				require.Empty(t, y.holding())
			})
		})
	}
}

// TestABuildHasWhatIsLeftOfItsTime: a fetch counts towards the time that a grant gives to a build.
func TestABuildHasWhatIsLeftOfItsTime(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.turn(func(s *Service) {
			now := s.env.Loop.Elapsed()
			for taken, left := range map[time.Duration]time.Duration{0: time.Minute, -20 * time.Second: 40 * time.Second, -2 * time.Minute: 0} {
				l := &lock{job: patrickapi.Job{ID: job(1)}, lease: time.Hour, renewedAt: now, takenAt: now + taken, buildMax: time.Minute}
				y.build = func(ctx context.Context, _ clock.Loop, _ Request) (Result, error) {
					has, bounded := clock.Remaining(ctx)
					require.True(t, bounded)
					require.Equal(t, left, max(0, has))
					return Result{}, nil
				}
				_, _ = s.buildInTime(context.Background(), l, Request{Job: l.job, Log: func(string) {}, Flush: func() {}})
			}
		})
	})
}

package patrick

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A task is started for what there is to do, is one, and leaves nothing when it has
// ended.
func TestTasksOfAPatrick(t *testing.T) {
	inOffice(t, setup{change: onlyOneLoss}, func(o *office) {
		job, first := o.push(aPush("c", 1)), o.ranked()[0]
		o.turn(first, func(_ context.Context, s *Service) {
			s.startRetiring()
			require.False(t, s.retiring, "nothing is to be forgotten")
			j := s.board.active[job]
			j.notBefore = s.env.Loop.Elapsed() + time.Hour
			s.arm(j)
			require.NotNil(t, j.timer)
			j.stopTimer()
			s.startReconcile(j)
			s.arm(j)
			require.Nil(t, j.timer, "it is being looked at")
			j.notBefore = 0
		})
		nodetest.Sleep(time.Second)
		o.monkeys[0].mustClaim(job)
		nodetest.Sleep(15 * time.Second)
		require.Equal(t, patrickapi.Failed, o.job(job).Status)
		key := patrickapi.BranchOf(job)
		o.turn(first, func(_ context.Context, s *Service) { require.NotNil(t, s.audits[key]) })
		nodetest.Sleep(10 * time.Minute)
		o.turn(first, func(_ context.Context, s *Service) {
			require.Empty(t, s.audits)
			s.wantAudit(job, s.read(job))
			require.NotNil(t, s.audits[key], "news is audited anew")
			require.Zero(t, s.audits[key].round)
		})
	})
	last := time.Duration(0)
	for _, wait := range auditWaits {
		require.Greater(t, wait, last, "each pause is longer")
		last = wait
	}
}

// What another patrick has forgotten is forgotten here in the turn in which that is heard,
// although its records have not gone yet.
func TestWhatOthersForgot(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		_, err := o.cancel(job)
		require.NoError(t, err)
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
			require.Equal(t, patrickapi.Cancelled, s.Status(job))
			require.NoError(t, storage.Put(s.store, forgottenKey(job), transport.Encode(forgotten{})))
			s.recall(forgottenKey(job))
			require.Equal(t, patrickapi.Unknown, s.Status(job))
			require.True(t, s.leftovers[job], "its records are to go")
		})
	})
}

// A tns that does not fence has said nothing, whatever else it answers.
func TestATNSThatDoesNotFence(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			state := s.read(job)
			ask := func() error {
				_, err := s.publishedVersion(ctx, job, state, 2)
				return err
			}
			require.NoError(t, ask())
			o.registry.noFences = true
			require.Equal(t, transport.Refused, transport.KindOf(ask()), "not a conflict, which would be a newer attempt")
			o.registry.noFences = false
			o.registry.fences[job] = fencing.Token{Attempt: 9}
			require.Equal(t, transport.Conflict, transport.KindOf(ask()))
			o.registry.versions = []tnsapi.Version{{Job: job}}
			require.NoError(t, ask(), "it was published")
		})
	})
}

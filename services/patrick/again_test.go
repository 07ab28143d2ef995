package patrick

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// What is asked for once more is made durable once more: the first answer may not have
// come because it was not.
func TestARepetitionIsDurableToo(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		m, first := o.monkeys[0], o.ranked()[0]
		built, dropped, failed := o.push(aPush("built", 1)), o.push(aPush("dropped", 2)), o.push(aPush("failed", 3))
		report := patrickapi.FinishRequest{Job: built, Token: m.mustClaim(built), Error: "e"}
		_, err := m.finish(report)
		require.NoError(t, err)
		_, err = o.cancel(dropped)
		require.NoError(t, err)
		_, err = o.cancel(failed)
		require.NoError(t, err)
		_, err = o.rebuild(failed)
		require.NoError(t, err)
		asks := func(ctx context.Context, s *Service) (errs []error) {
			s.board.active[failed].secured = false
			_, finish := s.finish(ctx, m.Peer(), report)
			_, cancel := s.cancel(ctx, o.user.Peer(), patrickapi.CancelRequest{Job: dropped})
			_, rebuild := s.rebuild(ctx, o.user.Peer(), patrickapi.RebuildRequest{Job: failed, N: 1})
			return []error{finish, cancel, rebuild}
		}
		o.refuseRecords(first)
		o.turn(first, func(ctx context.Context, s *Service) {
			for i, err := range asks(ctx, s) {
				require.ErrorContains(t, err, "durable", i)
			}
		})
		first.Disk.SetFaults(memdisk.Faults{})
		o.turn(first, func(ctx context.Context, s *Service) {
			for i, err := range asks(ctx, s) {
				require.NoError(t, err, i)
			}
		})
		require.Len(t, o.Facts("job-released"), 1)
		require.Len(t, o.Facts("job-rebuilt"), 1)
	})
}

// An event that is older than all that is remembered of its branch is no success.
func TestAnEventThatIsTooOldIsRefused(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			old := aPush("old", 3)
			s.board.memories[patrickapi.BranchID(old.Repository, old.Branch)] = &memory{floor: 3}
			_, err := s.push(ctx, transport.Peer{}, old)
			requireKind(t, transport.Conflict, err, "older than all")
			_, err = s.push(ctx, transport.Peer{}, aPush("new", 4))
			require.NoError(t, err)
		})
		require.Len(t, o.Facts("job-accepted"), 1)
	})
}

// A rebuild seals what was granted before, and no more: the next attempt is the next.
func TestARebuildGoesOnWithTheNextAttempt(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		for n := uint64(1); n <= 3; n++ {
			token := o.monkeys[0].mustClaim(job)
			require.Equal(t, n, token.Attempt)
			_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "e", Permanent: true})
			require.NoError(t, err)
			nodetest.Sleep(5 * time.Second) // tns is asked whether it was published
			_, err = o.rebuild(job)
			require.NoError(t, err)
			o.turn(o.ranked()[0], func(_ context.Context, s *Service) { require.Equal(t, n+1, s.read(job).nextAttempt()) })
		}
	})
}

// What made a job superfluous is on record.
func TestWhySomethingIsSuperseded(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		older := o.push(aPush("c", 1))
		newer := aPush("d", 2)
		newer.NewestWins = true
		by := o.push(newer)
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
			require.NotNil(t, s.read(older).Cancel)
			require.Equal(t, by, s.read(older).Cancel.Cause)
			s.wantContent(by)
			require.False(t, s.repairing, "nothing is missing")
		})
	})
}

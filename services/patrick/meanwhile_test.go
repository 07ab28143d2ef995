package patrick

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// Only the coordinator of a branch offers its open jobs, and measures their leases.
func TestOnlyTheCoordinatorOffers(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		nodetest.Sleep(2 * time.Second)
		for place, m := range o.ranked() {
			o.turn(m, func(ctx context.Context, s *Service) {
				for _, w := range o.monkeys {
					w.offers = nil
				}
				j := s.board.active[job]
				require.NotNil(t, j)
				j.mine = place > 0 // what it believed so far
				require.True(t, s.sweep(ctx), "it is open yet")
				require.Equal(t, place == 0, j.mine)
			})
			nodetest.Sleep(time.Millisecond)
			offers := 0
			for _, w := range o.monkeys {
				offers += len(w.offers)
			}
			require.Equal(t, place == 0, offers > 0, "%d", place)
		}
	})
}

// Who asks in a hurry is told that nobody is known to answer, whatever was known once.
func TestAHurriedQuestionKnowsNothing(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			other := o.ranked()[1].Peer()
			s.peers.learn(other, true)
			s.peers.forget(other)
			ended, cancel := context.WithCancel(ctx)
			cancel()
			up, err := s.peers.ask(ended, other)
			require.Error(t, err)
			require.False(t, up)
		})
	})
}

// What a holder answers counts for the job that it was asked about, if that is still there.
func TestAHolderThatAnswersTooLate(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job, m := o.push(aPush("c", 1)), o.monkeys[0]
		m.mustClaim(job)
		m.holds = false
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			j := s.board.active[job]
			m.onHolds = func() { // meanwhile it is read anew
				other := *j
				s.board.active[job] = &other
			}
			s.takeOver(ctx, j)
			require.Equal(t, patrickapi.Locked, s.read(job).Status)
			m.onHolds = nil
			s.takeOver(ctx, s.board.active[job])
			require.Equal(t, patrickapi.Open, s.read(job).Status)
		})
	})
}

// A grant that has ended while it became durable is not told to whoever claimed: it would build for nothing.
func TestAGrantThatEndsMeanwhile(t *testing.T) {
	for name, end := range map[string]func(s *Service, job string, token fencing.Token){
		"nothing happened": nil,
		"it was given up": func(s *Service, job string, token fencing.Token) {
			_ = s.addRecords(job, result{Token: token, Error: "given up"})
		},
		"it was read anew": func(s *Service, job string, _ fencing.Token) {
			other := *s.board.active[job]
			s.board.active[job] = &other
		},
	} {
		inOffice(t, setup{}, func(o *office) {
			job, holder := o.push(aPush("c", 1)), o.monkeys[0].Peer()
			first, second := o.ranked()[0], o.ranked()[1]
			second.Vanish()
			o.Directory.Remove(second.Peer())
			o.Directory.SetPartial(true)
			o.turn(first, func(ctx context.Context, s *Service) {
				over := false
				s.env.Loop.Go("meanwhile", func(ctx context.Context) {
					if clock.Sleep(ctx, s.env.Loop, grantTimeout/2) == nil && end != nil {
						end(s, job, fencing.Token{Attempt: 1, Holder: holder})
					}
					over = true
					o.Directory.SetPartial(false) // there is nobody else to make a copy
				})
				_, err := s.claim(ctx, transport.Peer{}, patrickapi.ClaimRequest{Job: job, Holder: holder, Incarnation: 1})
				require.True(t, over, "%s: it waits for a second copy", name)
				if end == nil {
					require.NoError(t, err)
				} else {
					requireKind(t, transport.Conflict, err, "lost while it became durable")
				}
			})
		})
	}
}

// What is forgotten is so in the same turn, and what was asked for once more is not
// superseded.
func TestWhatIsForgottenIsGoneAtOnce(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		_, err := o.cancel(job)
		require.NoError(t, err)
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
			require.NoError(t, s.forget(job, patrickapi.Cancelled))
			require.Equal(t, patrickapi.Unknown, s.Status(job))
			require.True(t, s.Forgot(job))
			require.NotContains(t, s.IDs(), job)
		})
	})
	b := newBoard()
	older := &active{id: jobNamed("r", "1", 1), state: jobWith("p", "b", 1, patrickapi.Open)}
	newest := jobWith("p", "b", 3, patrickapi.Open)
	newest.Spec.NewestWins = true
	b.update(older.id, older.state)
	b.update(jobNamed("r", "3", 3), newest)
	require.NotEmpty(t, b.supersededBy(older))
	older.state.Rebuilds = 1
	require.Empty(t, b.supersededBy(older))
}

package patrick

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

const second = time.Second

// expired are the reasons for which grants have ended without a word.
func (o *office) expired() (reasons []any) {
	for _, f := range o.Facts("job-expired") {
		reasons = append(reasons, f.Fields["reason"])
	}
	return reasons
}

func TestOneMonkeyHasAJobAtATime(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		first, other := o.monkeys[0], o.monkeys[1]
		job := o.push(aPush("c", 1))
		token := first.mustClaim(job)
		require.EqualValues(t, 1, token.Attempt)
		_, err := other.claim(job)
		requireKind(t, transport.Conflict, err, "somebody else has it")

		first.do(func(ctx context.Context) { // for somebody else
			_, err = first.client.Claim(ctx, patrickapi.ClaimRequest{Job: job, Holder: other.Peer()})
		})
		requireKind(t, transport.NotAllowed, err, "for itself")
		first.do(func(ctx context.Context) { // a later life has forgotten
			_, err = first.client.Claim(ctx, patrickapi.ClaimRequest{Job: job, Holder: first.Peer(), Incarnation: first.env.Incarnation + 1})
		})
		requireKind(t, transport.Conflict, err, "somebody else has it")
		_, err = first.claim(jobOfPush(aPush("never pushed", 2)))
		requireKind(t, transport.NotFound, err, "no such job")

		require.Equal(t, patrickapi.Locked, o.job(job).Status)
		require.Equal(t, token, o.job(job).Token)
		require.Len(t, o.Facts("job-granted"), 1)
	})
}

// What another monkey says about a lock is not believed, whichever patrick it asks.
func TestAMonkeySpeaksForItself(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		first, other := o.monkeys[0], o.monkeys[1]
		job := o.push(aPush("c", 1))
		token := first.mustClaim(job)
		for _, p := range o.patricks {
			other.do(func(ctx context.Context) {
				_, claim := patrickapi.Claim.Call(ctx, other.env.Wire, p.Peer(), patrickapi.ClaimRequest{Job: job, Holder: first.Peer(), Incarnation: first.env.Incarnation})
				_, renew := patrickapi.Renew.Call(ctx, other.env.Wire, p.Peer(), patrickapi.RenewRequest{Job: job, Token: token})
				_, finish := patrickapi.Finish.Call(ctx, other.env.Wire, p.Peer(), patrickapi.FinishRequest{Job: job, Token: token, Success: true, Published: true})
				for _, err := range []error{claim, renew, finish} {
					requireKind(t, transport.NotAllowed, err, "speaks for itself")
				}
			})
		}
		require.Equal(t, patrickapi.Locked, o.job(job).Status)
		nodetest.Sleep(11 * second)
		require.Equal(t, []any{"not renewed"}, o.expired(), "and nobody else has renewed it")
	})
}

// What a stranger says, or a member that is neither a monkey nor a patrick, is not even decoded; who
// is not known passes nothing on.
func TestOnlyMonkeysAndPatricksSpeakOfLocks(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		for _, c := range []*nodetest.Caller{o.Caller("hoards", "hoarder"), o.Caller("plain")} {
			for _, p := range o.patricks {
				c.Do(func(ctx context.Context) {
					_, claim := patrickapi.Claim.Call(ctx, c.Env.Wire, p.Peer(), patrickapi.ClaimRequest{Job: job, Holder: c.Peer(), Incarnation: 1})
					_, granted := patrickapi.Granted.Call(ctx, c.Env.Wire, p.Peer(), patrickapi.GrantedRequest{Job: job})
					requireKind(t, transport.NotAllowed, claim, "monkey or patrick")
					requireKind(t, transport.NotAllowed, granted, "offer tns")
				})
			}
		}
		require.Equal(t, patrickapi.Open, o.job(job).Status)
		o.turn(o.patricks[0], func(_ context.Context, s *Service) {
			require.True(t, s.isPatrick(o.patricks[1].Peer()))
			for _, p := range []transport.Peer{o.monkeys[0].Peer(), transport.NewIdentity([]byte("nobody")).Peer(), {}} {
				require.False(t, s.isPatrick(p), "%s", p)
			}
		})
	})
}

// A report counts under a token that was granted, whatever it says; so does what tns asks.
func TestOnlyWhatWasGrantedIsReported(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		first, other := o.monkeys[0], o.monkeys[1]
		req := aPush("c", 1)
		job := o.push(req)
		report := func(w *worker, attempt uint64) error {
			_, err := w.finish(patrickapi.FinishRequest{Job: job, Token: fencing.Token{Attempt: attempt, Holder: w.Peer()}, Success: true, Published: true, Artifact: "bad"})
			return err
		}
		requireKind(t, transport.NotFound, report(other, 1), "no such grant")
		token := first.mustClaim(job)
		for attempt := range uint64(3) {
			requireKind(t, transport.NotFound, report(other, attempt), "no such grant")
		}
		_, err := other.finish(patrickapi.FinishRequest{Job: job, Token: fencing.Token{Attempt: 1, Holder: other.Peer()}, Permanent: true})
		requireKind(t, transport.NotFound, err, "no such grant")
		require.Equal(t, patrickapi.Locked, o.job(job).Status)

		asked := patrickapi.GrantedRequest{Job: job, Token: token, Project: req.Project, Branch: req.Branch}
		granted := func(change func(r *patrickapi.GrantedRequest)) (err error) {
			r := asked
			change(&r)
			env := o.registry.env
			require.NoError(t, clock.Do(context.Background(), env.Loop, func(ctx context.Context) { err = patrickapi.NewClient(env.Wire).Granted(ctx, r) }))
			return err
		}
		require.NoError(t, granted(func(*patrickapi.GrantedRequest) {}))
		require.NoError(t, granted(func(r *patrickapi.GrantedRequest) { r.Commit, r.Order = req.Commit, req.Event.Order }))
		for what, change := range map[string]func(r *patrickapi.GrantedRequest){
			"job":     func(r *patrickapi.GrantedRequest) { r.Job = jobOfPush(aPush("never pushed", 2)) },
			"holder":  func(r *patrickapi.GrantedRequest) { r.Token.Holder = other.Peer() },
			"attempt": func(r *patrickapi.GrantedRequest) { r.Token.Attempt++ },
			"project": func(r *patrickapi.GrantedRequest) { r.Project += "x" },
			"branch":  func(r *patrickapi.GrantedRequest) { r.Branch += "x" },
			"commit":  func(r *patrickapi.GrantedRequest) { r.Commit = req.Commit + "x" },
			"order":   func(r *patrickapi.GrantedRequest) { r.Order = req.Event.Order + 1 },
		} {
			require.Equal(t, transport.NotFound, transport.KindOf(granted(change)), "another "+what)
		}
		nodetest.Sleep(11 * second) // the lease is over, and it was granted all the same
		require.Equal(t, []any{"not renewed"}, o.expired())
		require.NoError(t, granted(func(*patrickapi.GrantedRequest) {}))
		o.patricks[0].Vanish() // the other one knows it as well; of what it does not know, this one may have
		require.NoError(t, granted(func(*patrickapi.GrantedRequest) {}))
		requireKind(t, transport.Unreachable, granted(func(r *patrickapi.GrantedRequest) { r.Token.Attempt++ }), "")
	})
}

// A lease lasts to the moment, from the last renewal; then another attempt is
// offered at once, and granted with a greater token.
func TestALeaseEndsIfItIsNotRenewed(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		first, other := o.monkeys[0], o.monkeys[1]
		job := o.push(aPush("c", 1))
		g, err := first.claim(job)
		require.NoError(t, err)
		require.Equal(t, 10*second, g.Lease)
		require.Equal(t, 10*time.Minute, g.BuildMax)
		token := g.Token
		for range 4 {
			nodetest.Sleep(9 * second)
			require.NoError(t, first.renew(job, token))
		}
		nodetest.Sleep(6 * second)
		require.Equal(t, token, first.mustClaim(job), "asking again renews as well")
		nodetest.Sleep(10*second - 2*time.Millisecond)
		require.Empty(t, o.expired())
		other.heard()
		nodetest.Sleep(2 * time.Millisecond)
		require.Equal(t, []any{"not renewed"}, o.expired())
		require.Equal(t, []patrickapi.Offer{{Job: job, Attempt: 2}}, other.heard())
		requireKind(t, transport.Conflict, first.renew(job, token), "has ended")

		next := other.mustClaim(job)
		require.EqualValues(t, 2, next.Attempt)
		requireKind(t, transport.Conflict, first.renew(job, token), "has ended")
		requireKind(t, transport.NotFound, first.renew(job, fencing.Token{Attempt: 3, Holder: first.Peer()}), "no such grant")
		require.NoError(t, other.renew(job, next))

		_, err = first.finish(patrickapi.FinishRequest{Job: job, Token: token, Success: true})
		requireKind(t, transport.Conflict, err, "newer attempt")
		_, err = first.finish(patrickapi.FinishRequest{Job: job, Token: fencing.Token{Attempt: 9, Holder: first.Peer()}, Success: true})
		requireKind(t, transport.NotFound, err, "no such grant")
		resp, err := first.finish(patrickapi.FinishRequest{Job: job, Token: token, Success: true, Published: true, Artifact: "a"})
		require.NoError(t, err, "what was published is the truth")
		require.Equal(t, patrickapi.Success, resp.Status)
		requireKind(t, transport.Conflict, other.renew(job, next), "is success")
		_, err = other.finish(patrickapi.FinishRequest{Job: job, Token: next, Error: "e"})
		requireKind(t, transport.Conflict, err, "is success")
	})
}

// However often it is renewed: an attempt that takes too long has failed.
func TestAnAttemptEndsInAnyCase(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.BuildMax = 20 * second }}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		limit := 20*second + attemptSlack
		for d := 5 * second; d < limit; d += 5 * second {
			nodetest.Sleep(5 * second)
			require.NoError(t, o.monkeys[0].renew(job, token), d)
		}
		require.Empty(t, o.expired())
		nodetest.Sleep(5*second + time.Millisecond)
		require.Equal(t, []any{"took too long"}, o.expired())
		requireKind(t, transport.Conflict, o.monkeys[0].renew(job, token), "has ended")
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
			require.Equal(t, 1, s.board.active[job].state.Failures)
			require.Contains(t, s.board.active[job].state.Outcome.Error, "longer than 3m20s")
		})
	})
}

// A job that was taken from its holder and begun anew is not given to another one
// before the lease is over: the holder may not know yet.
func TestARebuildWaitsForTheHolderThatWasStopped(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		nodetest.Sleep(second)
		resp, err := o.cancel(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.CancelResponse{Status: patrickapi.Cancelled}, resp)
		require.Equal(t, []any{haltedReason}, o.expired())
		again, err := o.rebuild(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.RebuildResponse{Status: patrickapi.Open, Rebuilds: 1}, again)
		o.user.Do(func(ctx context.Context) { // the request comes once more
			late, err := patrickapi.Cancel.Call(ctx, o.user.Env.Wire, o.patricks[0].Peer(), patrickapi.CancelRequest{Job: job})
			require.NoError(t, err)
			require.Equal(t, patrickapi.CancelResponse{Status: patrickapi.Cancelled}, late, "what was to be ended has")
			_, err = patrickapi.Cancel.Call(ctx, o.user.Env.Wire, o.patricks[0].Peer(), patrickapi.CancelRequest{Job: job, Rebuild: 2})
			requireKind(t, transport.NotFound, err, "no such job here")
		})
		require.Equal(t, patrickapi.Open, o.job(job).Status)
		require.False(t, o.job(job).Cancelling)
		_, err = o.monkeys[1].claim(job)
		requireKind(t, transport.Conflict, err, "it waits")
		nodetest.Sleep(10*second - 2*time.Millisecond)
		_, err = o.monkeys[1].claim(job)
		requireKind(t, transport.Conflict, err, "it waits")
		requireKind(t, transport.Conflict, o.monkeys[0].renew(job, token), "has ended")
		o.monkeys[1].heard()
		nodetest.Sleep(2 * time.Millisecond)
		require.Len(t, o.monkeys[1].heard(), 1, "it is offered when the time has come")
		next := o.monkeys[1].mustClaim(job)
		require.Positive(t, next.Compare(token))
	})
	inOffice(t, setup{}, func(o *office) { // nobody had it
		job := o.push(aPush("c", 1))
		_, err := o.cancel(job)
		require.NoError(t, err)
		_, err = o.rebuild(job)
		require.NoError(t, err)
		o.monkeys[1].mustClaim(job)
	})
}

// What was cancelled stays so: nobody has it any more, nor can publish it, and a
// repetition says the same.
func TestCancelIsHeededAtOnce(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		for range 2 {
			resp, err := o.cancel(job)
			require.NoError(t, err)
			require.Equal(t, patrickapi.CancelResponse{Status: patrickapi.Cancelled}, resp)
		}
		require.EqualValues(t, 2, o.registry.fences[job].Attempt, "tns accepts nothing of it any more")
		requireKind(t, transport.Conflict, o.monkeys[0].renew(job, token), "cancelled")
		_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Success: true})
		requireKind(t, transport.Conflict, err, "is cancelled")
		_, err = o.monkeys[1].claim(job)
		requireKind(t, transport.Conflict, err, "cancelled")
		require.Equal(t, "cancelled on request", o.job(job).Error)
		_, err = o.cancel(jobOfPush(aPush("d", 2)))
		requireKind(t, transport.NotFound, err, "no such job")
	})
}

// What is published when it is to be cancelled has succeeded. While tns says
// nothing, the holder is stopped all the same, and the job waits for its end.
func TestCancelAsksTNSWhatWasPublished(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		o.registry.publish(job, token, 1)
		resp, err := o.cancel(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.Success, resp.Status)
		require.Equal(t, "artifact", o.job(job).Artifact)

		o.registry.silent = true
		job = o.push(aPush("d", 2))
		token = o.monkeys[0].mustClaim(job)
		_, err = o.cancel(job)
		requireKind(t, transport.Unreachable, err, "stop its holder")
		require.True(t, o.job(job).Cancelling)
		requireKind(t, transport.Conflict, o.monkeys[0].renew(job, token), "cancelled on request")
		o.registry.silent = false
		nodetest.Sleep(tnsRetry + second)
		require.Equal(t, patrickapi.Cancelled, o.job(job).Status)
	})
}

func TestNewerPushesSupersede(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		waits, held := o.push(aPush("waits", 1)), o.push(aPush("held", 2))
		token := o.monkeys[0].mustClaim(held)
		newest := aPush("newest", 3)
		newest.NewestWins = true
		job := o.push(newest)
		require.Equal(t, patrickapi.Cancelled, o.job(waits).Status)
		requireKind(t, transport.Conflict, o.monkeys[0].renew(held, token), "") // superseded, or cancelled already
		nodetest.Sleep(second)
		require.Equal(t, patrickapi.Cancelled, o.job(held).Status)
		require.Equal(t, patrickapi.Open, o.job(job).Status)
		late := o.push(aPush("late", 2)) // older, though it comes later
		require.Equal(t, patrickapi.Cancelled, o.job(late).Status)
	})
}

// Pauses double from failure to failure and are jittered by a quarter at most; a
// lost or abandoned attempt is followed at once.
func TestWhatFailsIsTriedAgainAfterAPause(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.AttemptsMax, s.BackoffMin, s.BackoffMax = 4, 8*second, 20*second }}, func(o *office) {
		m := o.monkeys[0]
		job := o.push(aPush("c", 1))
		token := m.mustClaim(job)
		resp, err := m.finish(patrickapi.FinishRequest{Job: job, Token: token, Abandoned: true})
		require.NoError(t, err)
		require.Equal(t, patrickapi.Open, resp.Status)
		for i, pause := range []time.Duration{8 * second, 16 * second, 20 * second} {
			token = m.mustClaim(job)
			m.heard()
			for range 2 { // the answer to a repetition is the same
				resp, err = m.finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken"})
				require.NoError(t, err)
				require.Equal(t, patrickapi.Open, resp.Status)
			}
			nodetest.Sleep(pause - 2*time.Millisecond)
			_, err = m.claim(job)
			requireKind(t, transport.Conflict, err, "it waits")
			require.Empty(t, m.heard(), "failure %d", i+1)
			nodetest.Sleep(pause/4 + 2*time.Millisecond)
			require.NotEmpty(t, m.heard())
		}
		token = m.mustClaim(job)
		resp, err = m.finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken"})
		require.NoError(t, err)
		nodetest.Sleep(second)
		require.Equal(t, patrickapi.Failed, o.job(job).Status)
		require.Equal(t, "4 attempts failed, the last one with: broken", o.job(job).Error)
		require.Len(t, o.Facts("job-released"), 5)
		_, err = m.finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken"})
		require.NoError(t, err, "it was the last word")

		job = o.push(aPush("d", 2))
		resp, err = m.finish(patrickapi.FinishRequest{Job: job, Token: m.mustClaim(job), Permanent: true, Error: "your fault"})
		require.NoError(t, err)
		require.Equal(t, patrickapi.Failed, resp.Status, "at once")
		require.Equal(t, "your fault", o.job(job).Error)
	})
}

// A coordinator that was restarted measures one lease from its start, and asks the holder:
// who has forgotten is not waited for.
func TestARestartedHomeAsksTheHolder(t *testing.T) {
	for _, holds := range []bool{true, false} {
		inOffice(t, setup{}, func(o *office) {
			job := o.push(aPush("c", 1))
			token := o.monkeys[0].mustClaim(job)
			o.monkeys[0].holds = holds
			coordinator := o.ranked()[0]
			coordinator.Vanish()
			coordinator.Start()
			began := o.user.Env.Loop.Elapsed()
			for len(o.expired()) == 0 {
				nodetest.Sleep(100 * time.Millisecond)
			}
			waited := o.user.Env.Loop.Elapsed() - began
			require.Contains(t, o.monkeys[0].asked, monkeyapi.HoldsRequest{Job: job, Token: token})
			if holds {
				require.Equal(t, []any{"not renewed"}, o.expired())
				require.GreaterOrEqual(t, waited, 10*second)
				require.Less(t, waited, 14*second)
			} else {
				require.Equal(t, []any{"forgotten"}, o.expired())
				require.Less(t, waited, 4*second)
			}
			requireKind(t, transport.Conflict, o.monkeys[0].renew(job, token), "ended")
		})
	}
}

// When the coordinator dies the next patrick goes on with the lease, and takes renewals.
func TestTheNextHomeTakesRenewals(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		o.monkeys[0].holds = true
		o.ranked()[0].Vanish()
		for range 10 {
			nodetest.Sleep(5 * second)
			require.NoError(t, o.monkeys[0].renew(job, token))
		}
		require.Empty(t, o.expired())
		nodetest.Sleep(14 * second)
		require.Equal(t, []any{"not renewed"}, o.expired())
	})
}

// Each record names the patrick that has written it, and each rebuild has a status of its own.
func TestRecordsSayWhoWroteThem(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		o.monkeys[0].holds = false
		coordinator := o.ranked()[0]
		coordinator.Vanish()
		coordinator.Start()
		for len(o.expired()) == 0 {
			nodetest.Sleep(100 * time.Millisecond)
		}
		for range 100 { // tns is asked whether it was published
			resp, err := o.cancel(job)
			require.NoError(t, err)
			if resp.Status == patrickapi.Cancelled {
				break
			}
			nodetest.Sleep(100 * time.Millisecond)
		}
		_, err := o.rebuild(job)
		require.NoError(t, err)
		o.turn(coordinator, func(ctx context.Context, s *Service) {
			kinds := map[string]bool{}
			for _, r := range s.records(job) {
				v := reflect.Indirect(reflect.ValueOf(r))
				kinds[v.Type().Name()] = true
				if by := v.FieldByName("By"); by.IsValid() {
					require.False(t, by.IsZero(), "%#v", r)
				}
			}
			require.Subset(t, slices.Collect(maps.Keys(kinds)), []string{"spec", "grant", "loss", "cancel", "rebuild"})
			require.Equal(t, patrickapi.Cancelled, s.statusOf(job, 0))
			require.Equal(t, patrickapi.Open, s.statusOf(job, 1))
			require.Equal(t, patrickapi.Open, s.statusOf(job, 2))

			sometimes.Count()
			token.Attempt += 9
			_, err := s.renew(ctx, token.Holder, patrickapi.RenewRequest{Job: job, Token: token})
			requireKind(t, transport.NotFound, err, "no such grant here yet")
			require.Equal(t, 1, sometimes.Hits()["patrick/grant-not-here-yet"])
		})
	})
}

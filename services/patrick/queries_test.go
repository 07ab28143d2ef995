package patrick

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// What a patrick lists: open jobs that can be claimed, oldest first, and pages of
// all, newest first, up to a limit that it keeps itself.
func TestWhatAPatrickLists(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		var ids []string
		for i := range 5 {
			ids = append(ids, o.push(aPush(fmt.Sprint("c", i), uint64(i+1))))
		}
		o.monkeys[0].mustClaim(ids[1])
		nodetest.Sleep(time.Second) // both patricks have heard of all
		o.user.Do(func(ctx context.Context) {
			open := func(limit int) (list []string) {
				a, err := o.client.Open(ctx, "key", patrickapi.OpenRequest{Limit: limit})
				require.NoError(t, err)
				for _, offer := range a.Jobs {
					require.Equal(t, uint64(1), offer.Attempt)
					list = append(list, offer.Job)
				}
				return list
			}
			require.Equal(t, []string{ids[0], ids[2], ids[3], ids[4]}, open(0))
			require.Equal(t, []string{ids[0], ids[2]}, open(2))
			page, err := o.client.List(ctx, patrickapi.ListRequest{Project: "p", Limit: 3})
			require.NoError(t, err)
			require.True(t, page.More)
			require.Equal(t, []string{ids[4], ids[3], ids[2]}, []string{page.Jobs[0].ID, page.Jobs[1].ID, page.Jobs[2].ID})
			page, err = o.client.List(ctx, patrickapi.ListRequest{Project: "p", After: ids[2]})
			require.NoError(t, err)
			require.False(t, page.More)
			require.Equal(t, []patrickapi.Status{patrickapi.Locked, patrickapi.Open}, []patrickapi.Status{page.Jobs[0].Status, page.Jobs[1].Status})
			_, err = o.client.List(ctx, patrickapi.ListRequest{After: "nothing"})
			requireKind(t, transport.NotFound, err, "begin after")
			_, err = o.client.Job(ctx, "nothing")
			requireKind(t, transport.NotFound, err, "no such job")
		})
		o.turn(o.patricks[0], func(_ context.Context, s *Service) {
			require.Len(t, s.Jobs(), 5)
			require.Equal(t, ids[0], s.Jobs()[0].ID)
			require.Equal(t, 5, s.Known())
			require.Equal(t, ids, s.IDs())
			require.Equal(t, patrickapi.Job{}, s.Job("nothing"))
			require.NotEmpty(t, s.Source(ids[0]))
			require.Empty(t, s.Source("nothing"))
			require.False(t, s.HasTree("nothing"))
			require.False(t, s.HasSource("nonsense"))
			require.Equal(t, 10*time.Second, s.Lease())
			require.NoError(t, storage.Put(s.store, storage.K("jobs", "of another release", "unheard", "of"), nil))
			require.Empty(t, s.records("of another release"))
		})
	})
}

// What would be there after a power cut: a grant by its token, a report by its
// attempt.
func TestGrantsAndReportsOnDisk(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		disk := o.ranked()[0].Disk
		require.True(t, GrantOnDisk(disk, job, token))
		require.False(t, GrantOnDisk(disk, job, fencing.Token{Attempt: token.Attempt + 1, Holder: token.Holder}))
		require.False(t, ReportOnDisk(disk, job, token.Attempt))
		_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken"})
		require.NoError(t, err)
		require.True(t, ReportOnDisk(disk, job, token.Attempt))
		require.False(t, ReportOnDisk(disk, job, token.Attempt+1))
		require.Equal(t, patrickapi.Job{}, OnDisk(disk, "nothing"))
	})
}

// A patrick that believes that too few answer is not ready, until it doubts that.
func TestReadiness(t *testing.T) {
	require.Equal(t, transport.Refused, transport.KindOf((&Service{}).Ready()))
	require.NoError(t, (&Service{}).Stop(context.Background()), "it did not come to open its store")
	inOffice(t, setup{}, func(o *office) {
		other := o.patricks[1].Peer()
		o.turn(o.patricks[0], func(_ context.Context, s *Service) {
			now := s.env.Loop.Elapsed()
			for _, c := range []struct {
				contact contact
				ready   bool
			}{{contact{up: true, until: now + 1}, true}, {contact{until: now + 1}, false}, {contact{until: now}, true}, {contact{}, true}} {
				s.peers.known[other] = c.contact
				if err := s.Ready(); c.ready {
					require.NoError(t, err)
				} else {
					requireKind(t, transport.Refused, err, "only 1 patricks answer")
				}
			}
		})
	})
}

// A push that a fault ends on its way is not acknowledged; what it left is found by
// its next delivery.
func TestFaultsOnTheWay(t *testing.T) {
	for point, accepted := range map[string]bool{"patrick/before-ack": true, "patrick/before-keep": true, "patrick/after-ack": true} {
		t.Run(point, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				disable, err := fail.Enable(fail.Rule{Point: point, Do: fail.Action{Do: fail.Error}})
				require.NoError(t, err)
				defer disable()
				_, err = o.deliver(aPush("c", 1))
				require.Equal(t, point == "patrick/after-ack", err == nil)
				require.Equal(t, accepted, len(o.Facts("job-accepted")) == 1)
				require.Equal(t, "p", o.Facts("job-accepted")[0].Fields["project"])
				if err == nil {
					require.Empty(t, o.monkeys[0].heard(), "it is offered by the next sweep")
					require.Len(t, o.Facts("failpoint"), 1)
					nodetest.Sleep(5 * time.Second)
					require.Len(t, o.monkeys[0].heard(), 1)
					return
				}
				require.NotEmpty(t, o.Facts("failpoint"))
				require.Empty(t, o.Facts("job-acked"))
				disable()
				resp, err := o.deliver(aPush("c", 1))
				require.NoError(t, err)
				require.True(t, resp.Duplicate)
			})
		})
	}
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		disable, err := fail.Enable(fail.Rule{Point: "patrick/after-grant", Do: fail.Action{Do: fail.Error}})
		require.NoError(t, err)
		defer disable()
		_, err = o.monkeys[0].claim(job)
		require.Error(t, err)
		disable()
		require.Equal(t, uint64(1), o.monkeys[0].mustClaim(job).Attempt, "it asks once more for the same")
	})
}

// An open job is offered again each interval, in wider rounds, by its coordinator alone and
// for as long as it is open.
func TestOpenJobsAreOfferedAgain(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		require.Empty(t, o.monkeys[0].heard())
		job := o.push(aPush("c", 1))
		for round := range 3 {
			require.Equal(t, []patrickapi.Offer{{Job: job, Attempt: 1, Round: round}}, o.monkeys[0].heard())
			nodetest.Sleep(DefaultSettings().AnnounceInterval)
		}
		o.monkeys[0].heard()
		token := o.monkeys[0].mustClaim(job)
		nodetest.Sleep(8 * time.Second)
		require.Empty(t, o.monkeys[0].heard(), "it is held")
		_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Abandoned: true})
		require.NoError(t, err)
		require.Equal(t, []patrickapi.Offer{{Job: job, Attempt: 2}}, o.monkeys[0].heard(), "at once, from the first round")
		nodetest.Sleep(DefaultSettings().AnnounceInterval)
		require.Equal(t, []patrickapi.Offer{{Job: job, Attempt: 2, Round: 1}}, o.monkeys[0].heard())
		_, err = o.cancel(job)
		require.NoError(t, err)
		nodetest.Sleep(DefaultSettings().AnnounceInterval * 2)
		require.Empty(t, o.monkeys[0].heard())
		for _, m := range o.patricks {
			o.turn(m, func(_ context.Context, s *Service) { require.False(t, s.sweeping) })
		}
	})
}

// In a large cloud a job is offered to its best-ranked monkeys, one by one.
func TestAnOfferGoesToItsShortlist(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		for i := range 10 {
			o.Add(fmt.Sprint("more-", i), node.Configured{Spec: nodetest.Part("monkey", func(node.Env) {})})
		}
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
			offer := patrickapi.Offer{Job: jobNamed("r", "e", 1), Attempt: 1}
			monkeys, _ := s.env.Wire.Directory().Lookup("monkey")
			require.Equal(t, rendezvous.Rank(offer.RankKey(), monkeys)[:offerFirst], shortlist(offer, monkeys))
			offer.Round = 5
			require.Len(t, shortlist(offer, monkeys), 12)
		})
		job := o.push(aPush("c", 1))
		best := shortlist(patrickapi.Offer{Job: job, Attempt: 1}, o.Directory.Peers("monkey"))
		for _, w := range o.monkeys {
			want := 0
			for _, p := range best {
				if p == w.Peer() {
					want = 1
				}
			}
			require.Len(t, w.heard(), want)
		}
	})
}

// A patrick comes back with what it had: jobs, and what it remembers of forgotten
// ones.
func TestARestartForgetsNothing(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.KeepFinished = 1 }}, func(o *office) {
		var ids []string
		for i := range 3 {
			ids = append(ids, o.push(aPush(fmt.Sprint("c", i), uint64(i+1))))
			_, err := o.cancel(ids[i])
			require.NoError(t, err)
		}
		nodetest.Sleep(10 * time.Second)
		require.Len(t, o.Facts("job-forgotten"), 2)
		for _, f := range o.Facts("job-forgotten") {
			require.Equal(t, "cancelled", f.Fields["status"])
		}
		for _, m := range o.patricks {
			o.turn(m, func(ctx context.Context, s *Service) {
				_, err := s.store.Replicate(ctx, 2)
				require.NoError(t, err)
			})
		}
		o.patricks[0].Vanish()
		o.patricks[0].Start()
		o.turn(o.patricks[0], func(_ context.Context, s *Service) {
			require.Equal(t, ids[2:], s.IDs())
			require.True(t, s.Forgot(ids[0]))
			require.True(t, s.Forgot(ids[1]))
			require.False(t, s.Forgot(ids[2]))
			require.Equal(t, patrickapi.Cancelled, s.Status(ids[2]))
			require.Empty(t, s.leftovers)
		})
	})
}

// A patrick whose disk takes nothing accepts nothing, and grants nothing.
func TestADiskThatTakesNothing(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		open := o.push(aPush("before", 1))
		full := memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
			if op == memdisk.OpWrite {
				return errors.New("full")
			}
			return nil
		}}
		for _, m := range o.patricks {
			m.Disk.SetFaults(full)
		}
		_, err := o.deliver(aPush("c", 2))
		require.Error(t, err)
		_, err = o.monkeys[0].claim(open)
		require.Error(t, err)
		_, err = o.cancel(open)
		require.Error(t, err)
		for _, m := range o.patricks {
			m.Disk.SetFaults(memdisk.Faults{})
			require.Zero(t, stateOnDisk(m.Disk, open).Grants)
		}
		nodetest.Sleep(5 * time.Second)
		o.push(aPush("d", 3))
		require.Equal(t, uint64(1), o.monkeys[0].mustClaim(open).Attempt)
	})
}

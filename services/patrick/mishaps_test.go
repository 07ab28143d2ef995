package patrick

import (
	"context"
	"fmt"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// A new coordinator waits a whole lease from when it notices, however long ago the grant
// was made that it knows of, and also for a holder that does not answer.
func TestTheNextHomeWaitsAWholeLease(t *testing.T) {
	for _, answers := range []bool{true, false} {
		inOffice(t, setup{}, func(o *office) {
			holder := o.monkeys[0]
			holder.holds = true
			job := o.push(aPush("c", 1))
			token := holder.mustClaim(job)
			for range 6 {
				nodetest.Sleep(5 * second)
				require.NoError(t, holder.renew(job, token))
			}
			o.ranked()[0].Vanish()
			if !answers {
				holder.Vanish()
			}
			nodetest.Sleep(9 * second)
			require.Empty(t, o.expired(), "it may have been renewed until the coordinator died")
			if answers {
				require.NoError(t, holder.renew(job, token))
				return
			}
			nodetest.Sleep(6 * second)
			require.Equal(t, []any{"not renewed"}, o.expired())
		})
	}
}

// A push that was acknowledged with one copy, as nobody else was there, is made
// durable elsewhere when it is delivered again.
func TestOneCopyIsNotTakenForTwo(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		coordinator, other := o.ranked()[0], o.ranked()[1]
		other.Vanish()
		nodetest.Sleep(20 * second)
		job := o.push(aPush("c", 1))
		other.Start()
		_, err := o.deliver(aPush("c", 1))
		require.NoError(t, err)
		require.Equal(t, 2, o.disksHolding(stateOnDisk(coordinator.Disk, job).Spec.Source))
		require.Equal(t, 2, o.disksWith(job, func(s State) bool { return s.Status == patrickapi.Open }))
	})
}

// What is on the disk and named by no job goes at the second look, not at the
// first: a push under way is about to name it.
func TestContentIsLookedForTwice(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		o.turn(o.patricks[0], func(ctx context.Context, s *Service) {
			root, err := s.env.Blocks.Add(ctx, []byte("a tree"))
			require.NoError(t, err)
			idle := s.sweepContents(map[cid.Cid]bool{})
			require.Equal(t, map[cid.Cid]bool{root: true}, idle)
			require.True(t, s.HasSource(root.String()))
			require.Empty(t, s.sweepContents(idle))
			require.False(t, s.HasSource(root.String()))
		})
	})
}

// The tree of a job that may still be built is looked for as long as it takes.
func TestTheTreeOfAnActiveJobIsLookedForAlways(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		open, ended := o.push(aPush("open", 1)), o.push(aPush("ended", 2))
		_, err := o.cancel(ended)
		require.NoError(t, err)
		nodetest.Sleep(second) // all hear of it
		o.turn(o.patricks[0], func(ctx context.Context, s *Service) {
			for _, job := range []string{open, ended} {
				root := s.board.briefs[job].source
				c, err := cid.Decode(root)
				require.NoError(t, err)
				require.NoError(t, s.env.Blocks.Remove(c))
				s.wants[root] = &want{job: job, root: root, tries: repairTriesMax}
			}
			require.False(t, s.repairContents(ctx))
			require.True(t, s.HasSource(s.board.briefs[open].source))
			require.False(t, s.HasSource(s.board.briefs[ended].source))
		})
	})
}

// What is forgotten counts for the order of the next event, also after a restart.
func TestForgottenOrdersCount(t *testing.T) {
	branch := patrickapi.BranchID("r", "b")
	b := newBoard()
	b.remember(jobNamed("r", "e", 7), 3)
	require.EqualValues(t, 7, b.highest(branch))
	b.remember(jobNamed("r", "f", 5), 9)
	require.EqualValues(t, 9, b.highest(branch), "the floor is of what was forgotten for good")
	require.EqualValues(t, 10, b.giveOrder(branch))

	inOffice(t, setup{noTNS: true, change: func(s *Settings) { s.KeepFinished = 1 }}, func(o *office) {
		for i := range 3 {
			_, err := o.cancel(o.push(aPush(fmt.Sprint("c", i), uint64(3-i))))
			require.NoError(t, err)
			nodetest.Sleep(5 * second)
		}
		require.Len(t, o.Facts("job-forgotten"), 2)
		for _, m := range o.patricks {
			m.Vanish()
		}
		for _, m := range o.patricks {
			m.Start()
		}
		order, err := o.event(patrickapi.EventRequest{Project: "p", Repository: "r", Branch: "b"})
		require.NoError(t, err)
		require.EqualValues(t, 4, order)
		resp, err := o.deliver(aPush("c0", 3))
		require.NoError(t, err)
		require.True(t, resp.Forgotten, "the memory is read at the start")
	})
}

// Those that an offer goes to first may be dead: each round goes to more, until
// all have heard.
func TestEachRoundGoesToMore(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		for i := range 60 {
			o.Directory.Add(transport.NewIdentity([]byte(fmt.Sprint("dead ", i))).Peer(), "monkey")
		}
		job := o.push(aPush("c", 1))
		nodetest.Sleep(4 * 5 * second)
		for _, w := range o.monkeys {
			offers := w.heard()
			require.NotEmpty(t, offers)
			require.Equal(t, job, offers[0].Job)
		}
	})
}

// Of two contents that were delivered under one event the one that was accepted
// first counts, whoever hears of them in which order.
func TestTheFirstAcceptanceCounts(t *testing.T) {
	first, later := spec{Source: "first", At: 1, By: transport.Peer{2}}, spec{Source: "later", At: 2, By: transport.Peer{1}}
	for _, records := range [][]record{{first, later}, {later, first}} {
		require.Equal(t, "first", resolve(records).Spec.Source)
	}
}

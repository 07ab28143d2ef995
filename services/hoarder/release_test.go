package hoarder

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

func snapshot(root string, version uint64, target int) storage.Entry {
	return pinEntry(root, pinRecord{Kind: hoarderapi.Database, Owner: "o", Name: "d", Version: version, Target: target})
}

// TestWhatAReleaseRestsOn: whose copies count, and how many of them there must be.
func TestWhatAReleaseRestsOn(t *testing.T) {
	peers := somePeers(9)
	self := rendezvous.Rank("old", peers)[3]
	for _, c := range []struct {
		name         string
		live         int   // of the claimants of both, the best
		target       int   // of the newest
		size         int64 // of the newest
		held         bool  // the newest, too
		act          action
		what         string
		need, others int
	}{
		{"a surplus copy rests on those ahead", 9, 3, 5, false, release, "old", 2, 3},
		{"those ahead that live", 3, 3, 5, false, release, "old", 2, 3},
		{"what nobody wants rests on nobody", 9, 3, 5, false, discard, "old", 0, 0},
		{"an old snapshot rests on all copies of the newest", 9, 3, 5, false, supersede, "new", 3, 6},
		{"this hoarder's own counts", 9, 3, 5, true, supersede, "new", 2, 6},
		{"not more than there are hoarders", 3, 8, 5, false, supersede, "new", 4, 3},
		{"one, if there is no room for it here", 9, 3, 2000, false, supersede, "new", 1, 4},
		{"what is here needs no room", 9, 3, 2000, true, supersede, "new", 2, 6},
		{"just enough room", 9, 3, 995, false, supersede, "new", 3, 6},
		{"one byte too little", 9, 3, 996, false, supersede, "new", 1, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := told(t, snapshot("old", 1, 2), snapshot("new", 2, c.target))
			s.env.Self, s.roster.self = self, self
			s.roster.know(peers)
			ranked := rendezvous.Rank(map[bool]string{true: "new", false: "old"}[c.act == supersede], peers)
			live := map[transport.Peer]bool{self: true}
			for _, p := range ranked {
				if p != self && len(live) <= c.live {
					live[p] = true
				}
			}
			for _, p := range peers {
				for _, root := range []string{"old", "new"} {
					e := claimEntry(root, p)
					if root == "new" {
						e.Value = transport.Encode(claimRecord{Bytes: c.size})
					}
					_, err := s.index.apply(e.Key, e.Value, 0)
					require.NoError(t, err)
				}
				if !live[p] {
					s.roster.saw(p, false, 0)
				}
			}
			s.holdings.admit("old", 5)
			if c.held {
				s.holdings.admit("new", c.size)
			}
			what, need, others := s.guarantors(s.index.get("old"), c.act)
			require.Equal(t, c.what, what)
			require.Equal(t, c.need, need)
			require.Len(t, others, c.others)
			require.NotContains(t, others, self)
			for i, p := range others {
				require.True(t, live[p], "who is missing cannot confirm")
				require.True(t, c.act == supersede || rendezvous.Of("old").Better(p, self), "only those ahead")
				require.True(t, i == 0 || rendezvous.Of(what).Better(others[i-1], p), "the best first")
			}
		})
	}
	s := told(t, snapshot("only", 1, 2))
	what, need, others := s.guarantors(s.index.get("only"), supersede)
	require.Equal(t, "only", what)
	require.Equal(t, 1, need, "it is not superseded any more: nobody can confirm that")
	require.Empty(t, others)
}

// TestWhatMakesRoomFirst: what nobody wants, then the greatest surplus, then the
// least demand, then the order of roots.
func TestWhatMakesRoomFirst(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		peers := somePeers(6)
		s.roster.know(peers)
		for _, p := range peers {
			s.roster.saw(p, true, 0)
		}
		hold := func(root string, target, others, demand int) {
			s.put(t, pinEntry(root, pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: target, Demand: demand}))
			for _, p := range peers[:others] {
				s.put(t, claimEntry(root, p))
			}
			s.holdings.admit(root, 5)
			s.put(t, claimEntry(root, s.env.Self))
		}
		require.Empty(t, s.leastNeeded())
		// Roots for which all others rank before this hoarder.
		var roots []string
		for i := 0; len(roots) < 7; i++ {
			if root := fmt.Sprintf("root-%05d", i); rendezvous.Of(root).Ahead(s.env.Self, peers) == len(peers) {
				roots = append(roots, root)
			}
		}
		hold(roots[0], 3, 2, 1) // needed
		hold(roots[1], 3, 3, 5)
		hold(roots[2], 3, 3, 4)
		hold(roots[3], 3, 3, 4)
		hold(roots[4], 3, 5, 9)
		hold(roots[5], 3, 2, 9)
		s.put(t, withdrawEntry(roots[5], "a", "", 0))
		hold(roots[6], 9, 2, 1)
		s.put(t, withdrawEntry(roots[6], "a", "", 0))
		for _, want := range []int{6, 5, 4, 2, 3, 1} {
			require.Equal(t, roots[want], s.leastNeeded())
			s.yielding[roots[want]] = true
		}
		require.Empty(t, s.leastNeeded(), "what goes already, and what is needed, make no room")
		clear(s.yielding)
		now := s.env.Loop.Elapsed()
		require.True(t, s.holdings.promise(roots[6], now))
		require.Equal(t, roots[5], s.leastNeeded(), "what is promised stays")
	})
}

// confirming is a hoarder with a surplus copy, and others that hold it.
func confirming(t *testing.T, f func(w *town, root string, last int)) {
	inTown(t, 4, func(s *Settings) { s.SurplusMax, s.SurplusGrace = 9, time.Hour }, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 4
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(time.Minute)
		require.Len(t, w.holders(req.Root), 4)
		req.Target, req.Seq = 2, 1
		_, err = w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(time.Minute)
		var peers []transport.Peer
		for _, m := range w.hoarders {
			peers = append(peers, m.Peer())
		}
		worst := rendezvous.Rank(req.Root, peers)[3]
		for i, m := range w.hoarders {
			if m.Peer() == worst {
				f(w, req.Root, i)
			}
		}
	})
}

func TestASurplusCopyGoes(t *testing.T) {
	confirming(t, func(w *town, root string, last int) {
		w.turn(w.hoarders[last], func(ctx context.Context, s *Service) {
			used := s.holdings.used
			require.True(t, s.release(ctx, root, mayYield))
			require.False(t, s.holdings.holds(root))
			require.False(t, s.index.get(root).claimed(s.env.Self))
			require.Equal(t, s.holdings.used, s.env.Gauges()[gaugeUsed], "what is free is told")
			require.Less(t, s.holdings.used, used)
			require.False(t, s.holdings.releasing[root])
			require.False(t, s.release(ctx, root, mayYield), "it is gone")
		})
		nodetest.Sleep(time.Second)
		require.Len(t, w.holders(root), 3)
		f := w.Facts("item-released")
		require.Len(t, f, 1)
		require.Equal(t, "release", f[0].Fields["why"])
		require.Equal(t, 2, f[0].Fields["copies"])
		for i, m := range w.hoarders {
			w.turn(m, func(_ context.Context, s *Service) {
				// Two have promised to stay; with them the item is at its target.
				if i != last && s.holdings.promised(root, s.env.Loop.Elapsed()) {
					require.False(t, s.holdings.beginRelease(root, s.env.Loop.Elapsed()))
				}
			})
		}
	})
}

// TestACopyStays if what it rests on is not so at the moment when it goes.
func TestACopyStays(t *testing.T) {
	stays := func(name string, policy func(w *town, s *Service, root string) func(situation) action, before func(w *town, root string, last int)) {
		t.Run(name, func(t *testing.T) {
			confirming(t, func(w *town, root string, last int) {
				if before != nil {
					before(w, root, last)
				}
				w.turn(w.hoarders[last], func(ctx context.Context, s *Service) {
					require.False(t, s.release(ctx, root, policy(w, s, root)))
					require.True(t, s.holdings.holds(root))
					require.True(t, s.index.get(root).claimed(s.env.Self))
					require.False(t, s.holdings.releasing[root], "it may be promised again")
				})
			})
		})
	}
	plain := func(*town, *Service, string) func(situation) action { return mayYield }
	second := func(answer action) func(*town, *Service, string) func(situation) action {
		return func(*town, *Service, string) func(situation) action {
			asked := 0
			return func(situation) action {
				if asked++; asked == 1 {
					return release
				}
				return answer
			}
		}
	}
	stays("policy says no", func(*town, *Service, string) func(situation) action { return func(situation) action { return rest } }, nil)
	stays("policy says no in the end", second(rest), nil)
	stays("policy says something else in the end", second(discard), nil)
	stays("the target has risen", func(_ *town, s *Service, root string) func(situation) action {
		return func(situation) action {
			s.env.Loop.Go("meanwhile", func(context.Context) { s.put(t, wantedBy(root, "b", 3)) })
			return release
		}
	}, func(w *town, _ string, _ int) { // so that there is a meanwhile
		disable, err := fail.Enable(fail.Rule{Point: "hoarder/before-release", Do: fail.Action{Do: fail.Delay, Delay: time.Second}, Times: 1})
		require.NoError(t, err)
		w.Cleanup(disable)
	})
	stays("it was promised", plain, func(w *town, root string, last int) {
		w.turn(w.hoarders[last], func(_ context.Context, s *Service) { require.True(t, s.holdings.promise(root, s.env.Loop.Elapsed())) })
	})
	stays("two others have lost theirs", plain, func(w *town, root string, last int) {
		for i := range 2 {
			w.turn(w.hoarders[(last+1+i)%4], func(_ context.Context, s *Service) { require.NoError(t, s.env.Blocks.Remove(cidOf(t, root))) })
		}
	})
	stays("two others are about to let go themselves", plain, func(w *town, root string, last int) {
		for i := range 2 {
			w.turn(w.hoarders[(last+1+i)%4], func(_ context.Context, s *Service) {
				require.True(t, s.holdings.beginRelease(root, s.env.Loop.Elapsed()))
			})
		}
	})
}

// TestConfirmStopsWhenItIsEnough and asks nobody when it cannot be enough.
func TestConfirmStopsWhenItIsEnough(t *testing.T) {
	confirming(t, func(w *town, root string, last int) {
		w.turn(w.hoarders[last], func(ctx context.Context, s *Service) {
			var others []transport.Peer
			for i, m := range w.hoarders {
				if i != last {
					others = append(others, m.Peer())
				}
			}
			require.Zero(t, s.confirm(ctx, root, others, 0))
			require.Zero(t, s.confirm(ctx, root, others[:1], 2))
			require.Equal(t, 2, s.confirm(ctx, root, others[:2], 2))
			require.GreaterOrEqual(t, s.confirm(ctx, root, others, 2), 2)
			require.Zero(t, s.confirm(ctx, someRoot, others, 1), "which nobody has")
			s.settings.PromiseLease = time.Hour
			require.Zero(t, s.confirm(ctx, root, others, 1), "they promise less than is needed")
		})
	})
}

package hoarder

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

func (w *town) unpin(root, owner string, seq uint64) {
	w.user.Do(func(ctx context.Context) {
		require.NoError(w, w.client.Unpin(ctx, hoarderapi.UnpinRequest{Root: root, Owner: owner, Seq: seq}))
	})
}

// entries counts what the store of a hoarder remembers of an item.
func (w *town) entries(m *nodetest.Machine, root string) (n int) {
	w.turn(m, func(_ context.Context, s *Service) {
		for _, part := range []string{pinsPart, withdrawnPart, demandPart} {
			list, err := s.store.List(storage.K(part, root))
			require.NoError(w, err)
			n += len(list)
		}
	})
	return n
}

// TestWhatNobodyWantsIsForgotten: the withdrawal outlasts late pins, and then
// goes with everything else.
func TestWhatNobodyWantsIsForgotten(t *testing.T) {
	inTown(t, 3, func(s *Settings) { s.ForgetAfter = 2 * time.Minute }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(300, 1)
		req := asset(root, "me")
		req.Target = 2
		_, err := w.pin(req)
		require.NoError(t, err)
		w.unpin(root, "me", 0)
		nodetest.Sleep(100 * time.Second)
		require.Empty(t, w.holders(root))
		require.Equal(t, 1, w.entries(w.hoarders[0], root), "the withdrawal")
		nodetest.Sleep(3 * time.Minute)
		for _, m := range w.hoarders {
			require.Zero(t, w.entries(m, root))
			w.turn(m, func(_ context.Context, s *Service) {
				require.NotContains(t, s.index.items, root)
				require.Empty(t, s.Items())
			})
		}
	})
}

// TestOldWithdrawalsAreForgotten also of an item that others want.
func TestOldWithdrawalsAreForgotten(t *testing.T) {
	inTown(t, 2, func(s *Settings) { s.ForgetAfter = 2 * time.Minute }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(300, 1)
		for _, owner := range []string{"one", "two"} {
			_, err := w.pin(asset(root, owner))
			require.NoError(t, err)
		}
		w.unpin(root, "one", 0)
		nodetest.Sleep(100 * time.Second)
		require.Equal(t, 2, w.entries(w.hoarders[0], root))
		nodetest.Sleep(3 * time.Minute)
		require.Equal(t, 1, w.entries(w.hoarders[0], root), "the pin of the other")
		require.Len(t, w.holders(root), 2)
	})
}

func TestAPinReplacesTheOwnersLastOne(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(300, 1), "me")
		for seq := range uint64(3) {
			req.Seq, req.Target, req.Demand = seq, 2+int(seq), 3
			_, err := w.pin(req)
			require.NoError(t, err)
		}
		nodetest.Sleep(time.Second)
		for _, m := range w.hoarders {
			require.Equal(t, 1, w.entries(m, req.Root))
			w.turn(m, func(_ context.Context, s *Service) {
				it := s.index.get(req.Root)
				require.Len(t, it.pins, 1)
				require.Equal(t, uint64(2), it.says(ownerID("me", "")).Seq)
				require.Equal(t, 4, it.target)
				require.Equal(t, int64(3), it.totalDemand())
				require.Contains(t, it.sources(), w.user.Peer())
				require.Equal(t, int64(300), it.size())
				views := s.Items()
				require.Len(t, views, 1)
				require.Equal(t, "wanted", views[0].State)
				require.Equal(t, 4, views[0].Target)
				require.Len(t, views[0].Claimants, 2)
			})
		}
	})
}

func TestOwnersComeInPages(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(30, 1)
		const owners = hoarderapi.OwnedPage + 3
		for i := range owners {
			_, err := w.pin(asset(root, fmt.Sprintf("owner/%04d", i)))
			require.NoError(t, err)
		}
		m := w.hoarders[0]
		w.turn(m, func(ctx context.Context, s *Service) {
			page, err := s.owners(ctx, m.Peer(), hoarderapi.OwnersRequest{Root: root})
			require.NoError(t, err)
			require.True(t, page.More)
			require.Len(t, page.Owners, hoarderapi.OwnedPage)
			last := page.Owners[len(page.Owners)-1]
			page, err = s.owners(ctx, m.Peer(), hoarderapi.OwnersRequest{Root: root, AfterOwner: last.Owner, AfterName: last.Name})
			require.NoError(t, err)
			require.False(t, page.More)
			require.Len(t, page.Owners, 3)
			_, err = s.owners(ctx, m.Peer(), hoarderapi.OwnersRequest{Root: someRoot})
			require.Equal(t, transport.NotFound, transport.KindOf(err))

			for prefix, want := range map[string]int{"owner/": owners, "owner/000": 10, "x": 0} {
				all, err := s.owned(ctx, m.Peer(), hoarderapi.OwnedRequest{Prefix: prefix})
				require.NoError(t, err)
				require.Len(t, all.Pins, want, prefix)
				require.Empty(t, all.Next, "all of one root are on one page")
			}
			it := s.index.get(root)
			require.NoError(t, s.admits(it, &pin{owner: ownerID("one more", "")}))
			for len(it.pins) < hoarderapi.OwnersMax {
				it.putPin(&pin{owner: fmt.Sprintf("z%05d", len(it.pins))})
			}
			require.Equal(t, transport.Refused, transport.KindOf(s.admits(it, &pin{owner: ownerID("one more", "")})))
			require.NoError(t, s.admits(it, it.pins[5]), "who has one may change it")
		})
	})
}

func TestOwnedGoesThroughRoots(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		var roots []string
		for i := range 4 {
			roots = append(roots, w.store(30, byte(i)))
			_, err := w.pin(asset(roots[i], "me"))
			require.NoError(t, err)
		}
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			all, err := s.owned(ctx, s.env.Self, hoarderapi.OwnedRequest{Prefix: "me"})
			require.NoError(t, err)
			require.Len(t, all.Pins, 4)
			rest, err := s.owned(ctx, s.env.Self, hoarderapi.OwnedRequest{Prefix: "me", After: all.Pins[1].Root})
			require.NoError(t, err)
			require.Equal(t, all.Pins[2:], rest.Pins)
		})
	})
}

func TestTooManyPinsAtOnce(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		m, req := w.hoarders[0], asset(w.store(300, 1), "me")
		w.turn(m, func(_ context.Context, s *Service) { s.pinning = pinsMax })
		_, err := w.pin(req)
		require.Equal(t, transport.Refused, transport.KindOf(err))
		w.turn(m, func(_ context.Context, s *Service) { s.pinning = pinsMax - 1 })
		resp, err := w.pin(req)
		require.NoError(t, err)
		require.Equal(t, 1, resp.Copies, "there is no other")
		require.Equal(t, 1, resp.Records)
		w.turn(m, func(_ context.Context, s *Service) { require.Equal(t, pinsMax-1, s.pinning) })
	})
}

// TestScrubFindsWhatNobodyReads within the time of a round.
func TestScrubFindsWhatNobodyReads(t *testing.T) {
	inTown(t, 2, func(s *Settings) { s.ScrubInterval = 16 * time.Minute }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		var roots []string
		for i := range 3 {
			roots = append(roots, w.store(1000, byte(i)))
			_, err := w.pin(asset(roots[i], "me"))
			require.NoError(t, err)
		}
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			c, err := cid.Decode(roots[1])
			require.NoError(t, err)
			require.NoError(t, s.env.Blocks.Remove(c))
		})
		nodetest.Sleep(4 * time.Minute)
		found := w.Facts("item-corrupted")
		require.Len(t, found, 1)
		require.Equal(t, roots[1], found[0].Fields["root"])
		require.Len(t, w.Facts("copy-mended"), 1)
		require.Len(t, w.holders(roots[1]), 2)
	})
}

// TestALossIsReportedOnce, by one of those that live, after a minute.
func TestALossIsReportedOnce(t *testing.T) {
	inTown(t, 4, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(1000, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(time.Second)
		w.user.Stop()
		holder := w.holders(req.Root)[0]
		for _, m := range w.hoarders {
			if m.Name == holder {
				w.turn(m, func(ctx context.Context, s *Service) { // its disk is gone
					c, err := cid.Decode(req.Root)
					require.NoError(t, err)
					require.NoError(t, s.env.Blocks.Remove(c))
					s.mendSoon(req.Root)
				})
			}
		}
		nodetest.Sleep(55 * time.Second)
		require.Empty(t, w.Facts("item-lost"))
		nodetest.Sleep(2 * time.Minute)
		require.Len(t, w.Facts("item-lost"), 1)
	})
}

func TestOthersOf(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			a, b := transport.Peer{1}, transport.Peer{2}
			require.Equal(t, []transport.Peer{a, b}, s.othersOf([]transport.Peer{a, s.env.Self, b, a}))
			var many []transport.Peer
			for i := range hoarderapi.HoldersMax + 5 {
				many = append(many, transport.Peer{byte(i), 1})
			}
			require.Equal(t, many[:hoarderapi.HoldersMax], s.othersOf(many))
		})
	})
}

func TestLargeContentIsIntact(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		var large string
		w.user.Do(func(ctx context.Context) {
			text := make([]byte, intactReadMax+5)
			for i := range text {
				text[i] = byte(i>>16 + i)
			}
			c, err := w.user.Env.Blocks.Add(ctx, text)
			require.NoError(t, err)
			large = c.String()
		})
		small := w.store(1000, 2)
		for _, root := range []string{large, small} {
			_, err := w.pin(asset(root, "me"))
			require.NoError(t, err)
		}
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			require.True(t, s.Intact(ctx, large))
			require.True(t, s.Intact(ctx, small))
		})
	})
}

// TestWithdrawnPinsGo also if they are written by one hoarder while another one
// deletes them.
func TestWithdrawnPinsGo(t *testing.T) {
	inTown(t, 3, func(s *Settings) { s.ForgetAfter = 2 * time.Minute }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(300, 1)
		_, err := w.pin(asset(root, "me"))
		require.NoError(t, err)
		nodetest.Sleep(time.Second)
		var m *pin
		w.turn(w.hoarders[1], func(_ context.Context, s *Service) { m = s.index.get(root).says(ownerID("me", "")) })
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			require.NoError(t, s.withdraw(s.index.get(root), ownerID("me", ""), 0))
		})
		w.turn(w.hoarders[1], func(_ context.Context, s *Service) {
			require.NoError(t, s.write(storage.Entry{Key: m.key(root), Value: transport.Encode(m.pinRecord)}))
		})
		nodetest.Sleep(time.Second)
		require.Equal(t, 2, w.entries(w.hoarders[2], root), "what is written at the same time wins")
		nodetest.Sleep(30 * time.Second)
		for _, m := range w.hoarders {
			require.Equal(t, 1, w.entries(m, root), "the withdrawal")
		}
	})
}

// TestWithdrawnPinsAreRefused by whomever the user asks, as long as one of those
// who take part knows of the withdrawal.
func TestWithdrawnPinsAreRefused(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		for i := range 16 {
			req := asset(w.store(300, byte(i)), "me")
			_, err := w.pin(req)
			require.NoError(t, err)
			w.unpin(req.Root, "me", 0)
			_, err = w.pin(req)
			require.Equal(t, transport.Conflict, transport.KindOf(err), "%v", err)
		}
	})
}

// TestLargerThanSaid is refused, wherever that is found out.
func TestLargerThanSaid(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		for i, size := range []int{20_000, 3 << 20} {
			req := asset(w.store(size, byte(i)), "me")
			req.Size = 1000
			_, err := w.pin(req)
			require.Equal(t, transport.Refused, transport.KindOf(err), "%v", err)
			require.Empty(t, w.holders(req.Root))
		}
	})
}

// TestAFullHoarderMakesRoom of what nobody wants, before what is in surplus, and
// never of what is needed.
func TestAFullHoarderMakesRoom(t *testing.T) {
	inTown(t, 2, func(s *Settings) { s.Capacity, s.ItemSizeMax, s.SurplusGrace = 32_000, 20_000, time.Hour }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		add := func(of byte, target int) string {
			req := asset(w.store(9000, of), "me")
			req.Target, req.Size = target, 9000
			_, err := w.pin(req)
			require.NoError(t, err, "%d", of)
			return req.Root
		}
		needed, unwanted, other := add(1, 2), add(2, 2), add(3, 2)
		w.unpin(unwanted, "me", 0)
		nodetest.Sleep(time.Second)
		require.Len(t, w.holders(unwanted), 2, "there is no hurry")
		last := add(4, 2)
		require.Empty(t, w.holders(unwanted))
		for _, root := range []string{needed, other, last} {
			require.Len(t, w.holders(root), 2)
		}
		require.Len(t, w.Facts("item-released"), 2)
	})
}

// TestTheRoomThatIsSaidIsTrue: what is being fetched counts, but once, and no
// longer than it is.
func TestTheRoomThatIsSaidIsTrue(t *testing.T) {
	const capacity = 64 << 10
	inTown(t, 2, func(s *Settings) { s.Capacity = capacity }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		gauges := func(m *nodetest.Machine) (used, free int64) {
			w.turn(m, func(_ context.Context, s *Service) {
				g := s.env.Gauges()
				require.LessOrEqual(t, g[gaugeUsed], int64(capacity))
				require.Equal(t, int64(capacity), g[gaugeMax])
				require.Equal(t, s.holdings.used, g[gaugeUsed])
				require.Zero(t, s.holdings.reserved)
				used, free = g[gaugeUsed], s.holdings.free()
			})
			return used, free
		}
		for i, size := range []int{40 << 10, 20 << 10, 20 << 10} {
			req := asset(w.store(size, byte(i+1)), "me")
			req.Target, req.Size = 2, int64(size)
			_, err := w.pin(req)
			require.Equal(t, i == 2, err != nil, "the third does not fit")
			for _, m := range w.hoarders {
				used, free := gauges(m)
				require.EqualValues(t, capacity, used+free)
				require.Equal(t, []int64{40 << 10, 60 << 10, 60 << 10}[i], used, i)
			}
		}
		// One whose content nobody has leaves nothing spoken for.
		req := asset(w.store(1<<10, 9), "me")
		req.Size = 1 << 10
		w.user.Stop()
		m := w.hoarders[0]
		w.turn(m, func(ctx context.Context, s *Service) {
			require.Error(t, s.keep(ctx, w.hoarders[1].Peer(), &req))
		})
		gauges(m)
	})
}

// A hoarder that leaves the end of a pin to another looks again later: the other
// may be gone by then.
func TestTheEndOfAPinIsLookedAtAgain(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(1000, 1), "me")
		req.For = time.Minute
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(5 * time.Second)
		best := rendezvous.Rank(req.Root, []transport.Peer{w.hoarders[0].Peer(), w.hoarders[1].Peer()})[0]
		gone, left := w.hoarders[0], w.hoarders[1]
		if best == left.Peer() {
			gone, left = left, gone
		}
		w.turn(left, func(_ context.Context, s *Service) {
			require.Len(t, s.index.expiries.list, 1)
			s.index.expiries.list[0].at = s.env.Loop.Elapsed()
			s.endPins()
			require.Empty(t, w.Facts("pin-withdrawn"), "that is for the best-ranked")
		})
		gone.Vanish()
		nodetest.Sleep(2 * time.Minute)
		require.Len(t, w.Facts("pin-withdrawn"), 1)
	})
}

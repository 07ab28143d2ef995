package hoarder

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// How long a candidate waits, to the nanosecond: its window is halved by each step
// of the score's bits, and each candidate too many costs a step.
func TestWhenACandidateActs(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		score       int64
		ahead, lack int
		size        int64
		draw        float64
		want        time.Duration
	}{
		{0, 0, 1, 0, 0.5, s},
		{-5, 0, 1, -5, 0.5, s},
		{63, 0, 1, 0, 0.5, s},
		{64, 0, 1, 0, 0.5, s / 2},
		{128, 0, 1, 0, 0.5, s / 3},
		{256, 0, 1, 0, 0.5, s / 4},
		{0, 1, 1, 0, 0, 3 * s},
		{0, 1, 2, 0, 0, 0},
		{0, 2, 2, 0, 0.5, 4 * s},
		{0, 3, 1, 1 << 20, 0, 3 * 4 * s},
		{0, 1, 1, 1 << 19, 0, 3*s + s/2},
	} {
		require.InDelta(t, c.want, competeDelay(c.score, c.ahead, c.lack, c.size, c.draw), 2, "%+v", c)
	}
	require.Zero(t, rarity(0, 3, 2, 5))
	require.Zero(t, rarity(-1, 3, 2, 5))
	require.Equal(t, rest, mayYield(situation{state: unknown, held: true, target: 2, copiesLive: 3, ahead: 2}), "whoever wants it has not been heard yet")
}

// What is looked at again after a look: nothing of an item that is as it should be;
// soon, what could not be mended.
func TestWhatALookLeaves(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(time.Minute)
		m := w.hoarders[0]
		w.turn(m, func(_ context.Context, s *Service) {
			it := s.index.get(req.Root)
			s.evaluate(req.Root)
			require.EqualValues(t, notDue, it.dueAt)
			s.recordedPins[req.Root] = nil
			refuse(m, memdisk.OpWrite, "/held")
			s.evaluate(req.Root)
			require.Equal(t, s.env.Loop.Elapsed()+s.settings.SweepInterval/2, it.due)
			heal(m)
			s.evaluate(req.Root)
			require.EqualValues(t, notDue, it.dueAt)
			s.put(t, withdrawEntry(req.Root, "me", "", 0))
			s.evaluate(req.Root)
			require.Equal(t, s.env.Loop.Elapsed()+s.settings.SweepInterval, it.due, "an idle pin")
			s.evaluate("of nothing")
			require.NotContains(t, s.index.items, "of nothing")
		})
	})
}

// A copy that is gone, or given up, is on record as what may remain, and its removal
// is to be synced; tidy does that, so that a power cut brings nothing back.
func TestWhatIsGivenUpStaysSo(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		m := w.hoarders[0]
		durable := func(k storage.Key) (found bool) {
			m.Disk.DurableBelow("", func(key string, _ []byte) bool {
				found = found || strings.HasSuffix(key, string(k))
				return true
			})
			return found
		}
		w.turn(m, func(ctx context.Context, s *Service) {
			s.tidy(ctx)
			require.True(t, durable(heldKey(req.Root)))
			require.NoError(t, s.missing(req.Root))
			require.True(t, s.remains[req.Root] && s.untidy)
			require.True(t, durable(heldKey(req.Root)))
			s.tidy(ctx)
			require.False(t, s.untidy)
			require.False(t, durable(heldKey(req.Root)))
			require.True(t, durable(remainsKey(req.Root)))
			s.forget(req.Root, cidOf(t, req.Root))
			require.True(t, s.untidy)
			s.tidy(ctx)
			require.False(t, durable(remainsKey(req.Root)))
			refuse(m, memdisk.OpWrite, "/held")
			delete(s.remains, req.Root)
			s.forget(req.Root, cidOf(t, req.Root))
			require.True(t, s.remains[req.Root], "the next look tries again")
			heal(m)
		})
		require.Len(t, w.Facts("copy-missing"), 1)
	})
}

// An attempt that failed is made again: soon and then later, or, for want of room,
// when room has come.
func TestAnAttemptThatFailedIsMadeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		capacity int64
		noRoom   bool
		wait     time.Duration
	}{"no room": {1000, true, noRoomDelay}, "nobody has it": {1 << 30, false, failureDelayMin}} {
		t.Run(name, func(t *testing.T) {
			lone(t, func(s *Settings) { s.Capacity = c.capacity }, func(ctx context.Context, s *Service) {
				root := cidRoot(t)
				s.put(t, pinEntry(root, pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 1, Size: 5000}))
				s.fetching = 1
				a := &acquisition{root: root, running: true}
				s.acquisitions[root] = a
				s.run(ctx, a)
				require.Equal(t, c.noRoom, a.noRoom)
				require.Equal(t, 1, a.failures)
				require.Equal(t, s.env.Loop.Elapsed()+c.wait, a.notBefore)
				require.False(t, a.running)
				require.Zero(t, s.fetching)
				s.roomCame()
				require.False(t, a.noRoom)
				require.Equal(t, c.noRoom, a.notBefore == 0)
				s.stopCompeting(root)
				require.Empty(t, s.acquisitions)
				a.running = true
				s.acquisitions[root] = a
				s.stopCompeting(root)
				require.Len(t, s.acquisitions, 1, "it runs")
			})
		})
	}
	lone(t, nil, func(ctx context.Context, s *Service) { // it is not wanted any more
		root := cidRoot(t)
		s.put(t, claimEntry(root, somePeers(1)[0]))
		a := &acquisition{root: root, running: true}
		s.acquisitions[root] = a
		s.fetching = 1
		s.run(ctx, a)
		require.Zero(t, a.failures)
		require.Empty(t, s.acquisitions)
	})
	a := &acquisition{}
	for _, want := range []time.Duration{2, 4, 8, 15, 15} {
		a.failed(false, 100*time.Second)
		require.Equal(t, (100+want)*time.Second, a.notBefore)
	}
}

// One answer to who has pinned what is bounded, in pins and in roots looked at, and
// goes on where the last one ended.
func TestAnAnswerAboutPinsIsBounded(t *testing.T) {
	for n, want := range map[int][]int{
		hoarderapi.OwnedPage:       {hoarderapi.OwnedPage},
		hoarderapi.OwnedPage + 1:   {hoarderapi.OwnedPage, 1},
		2*hoarderapi.OwnedPage + 1: {hoarderapi.OwnedPage, hoarderapi.OwnedPage, 1},
	} {
		var entries []storage.Entry
		for i := range n {
			entries = append(entries, wantedBy(fmt.Sprintf("r-%06d", i), "o", 1))
		}
		s := told(t, entries...)
		var got []int
		for after, more := "", true; more; {
			resp, err := s.owned(context.Background(), transport.Peer{}, hoarderapi.OwnedRequest{After: after})
			require.NoError(t, err)
			got = append(got, len(resp.Pins))
			after, more = resp.Next, resp.Next != ""
		}
		require.Equal(t, want, got)
	}
	var entries []storage.Entry
	for i := range ownedScanMax + 1 {
		entries = append(entries, wantedBy(fmt.Sprintf("r-%06d", i), "other", 1))
	}
	s := told(t, append(entries, wantedBy("s", "o", 1))...)
	resp, err := s.owned(context.Background(), transport.Peer{}, hoarderapi.OwnedRequest{Prefix: "o!"})
	require.NoError(t, err)
	require.Empty(t, resp.Pins)
	require.Equal(t, fmt.Sprintf("r-%06d", ownedScanMax-1), resp.Next)
	resp, err = s.owned(context.Background(), transport.Peer{}, hoarderapi.OwnedRequest{Prefix: "o", After: resp.Next})
	require.NoError(t, err)
	require.Len(t, resp.Pins, 2)
	require.Empty(t, resp.Next)
}

// A root has one name.
func TestARootHasOneForm(t *testing.T) {
	c := cid.MustParse(someRoot)
	require.NoError(t, validateOwner("op", someRoot, "me", ""))
	for _, say := range []func() (string, error){
		func() (string, error) { return c.StringOfBase('z') }, func() (string, error) { return c.StringOfBase('B') }, func() (string, error) { return c.StringOfBase('f') },
	} {
		other, err := say()
		require.NoError(t, err)
		require.Equal(t, transport.Invalid, transport.KindOf(validateOwner("op", other, "me", "")), other)
	}
}

// Demand is counted up to its bounds, of what is known.
func TestDemandIsBounded(t *testing.T) {
	lone(t, nil, func(ctx context.Context, s *Service) {
		s.put(t, wantedBy("r", "o", 1))
		for _, c := range []struct {
			root string
			n    int
			want transport.Kind
			sum  int
		}{
			{"r", 0, transport.Invalid, 0}, {"r", hoarderapi.DemandMax + 1, transport.Invalid, 0}, {"none", 1, transport.NotFound, 0},
			{"r", 1, 0, 1}, {"r", hoarderapi.DemandMax, 0, hoarderapi.DemandMax}, {"r", 1, 0, hoarderapi.DemandMax},
		} {
			_, err := s.demand(ctx, transport.Peer{}, hoarderapi.DemandRequest{Root: c.root, N: c.n})
			require.Equal(t, c.want, transport.KindOf(err))
			require.Equal(t, c.sum, s.interest["r"])
		}
		for range 2 {
			s.interest["r"] = 3
			s.writeInterest()
			require.Empty(t, s.interest)
		}
		require.EqualValues(t, 6, s.index.get("r").demandBy(s.env.Self))
	})
}

// Only so many pins are served at once; the number is right again after each.
func TestPinsAtOnceAreBounded(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			require.NoError(t, s.Ready())
			for _, c := range []struct {
				serving int
				want    transport.Kind
			}{{pinsMax, transport.Refused}, {pinsMax - 1, 0}} {
				s.pinning = c.serving
				require.Equal(t, c.want, transport.KindOf(s.Ready()))
				r := req
				require.Equal(t, c.want, transport.KindOf(s.keep(ctx, w.user.Peer(), &r)))
				require.Equal(t, c.serving, s.pinning)
			}
			s.pinning = 0
			_, err := s.pinCopy(ctx, transport.Peer{1}, req)
			require.Equal(t, transport.Refused, transport.KindOf(err), "not a hoarder")
			require.False(t, s.roster.listed(w.user.Peer()))
			resp, err := s.pinCopy(ctx, w.user.Peer(), req)
			require.NoError(t, err)
			require.Equal(t, hoarderapi.PinResponse{Holder: s.env.Self, Bytes: 500, Copies: 1, Records: 1}, resp)
			require.True(t, s.roster.listed(w.user.Peer()), "it may be one")
		})
	})
	require.Equal(t, transport.Refused, transport.KindOf((&Service{}).Ready()))
}

// What a look at a copy finds is seen to: rotten content is mended at once, also
// before a pin of it is acknowledged, and a rotten record is written again; a copy
// that cannot be given up on the disk is held yet.
func TestWhatALookAtACopyFinds(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		m, from := w.hoarders[0], []transport.Peer{w.user.Peer()}
		w.turn(m, func(ctx context.Context, s *Service) {
			require.NoError(t, s.env.Local.Apply(new(storage.Batch).Delete(heldKey(req.Root))))
			s.scrub(ctx, req.Root)
			require.False(t, s.rotted(heldKey(req.Root)))
			require.NoError(t, s.obtain(ctx, req.Root, from, 500), "held already")
			s.holdings.drop(req.Root)
			require.NoError(t, s.obtain(ctx, req.Root, from, 500))
			claimed := w.Facts("item-claimed")
			require.Equal(t, int64(0), claimed[len(claimed)-1].Fields["moved"], "the blocks were here")
		})
		w.rot(m, req.Root)
		w.turn(m, func(ctx context.Context, s *Service) {
			require.NoError(t, s.makeSure(ctx, &req, from))
			require.Len(t, w.Facts("item-corrupted"), 1)
			require.True(t, s.Intact(ctx, req.Root))
		})
		w.user.Stop()
		w.turn(m, func(ctx context.Context, s *Service) {
			require.NoError(t, s.env.Blocks.Remove(cidOf(t, req.Root)))
			refuse(m, memdisk.OpWrite, "/held")
			require.True(t, s.holdings.beginMend(req.Root))
			s.mend(ctx, req.Root)
			require.True(t, s.holdings.holds(req.Root), "its record stands")
			require.False(t, s.remains[req.Root])
			heal(m)
			require.True(t, s.holdings.beginMend(req.Root))
			s.mend(ctx, req.Root)
			require.False(t, s.holdings.holds(req.Root))
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := s.replicate(ended)
			require.Error(t, err)
		})
	})
}

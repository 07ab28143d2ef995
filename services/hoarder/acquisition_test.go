package hoarder

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// TestWhoHas: live claimants, the best first, then those that pins named, then
// claimants that are missing; nobody twice, not oneself, and no more than a
// request may name.
func TestWhoHas(t *testing.T) {
	peers := somePeers(30)
	s := told(t, pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 2, Sources: []transport.Peer{peers[7], peers[0], peers[6]}}),
		claimEntry("r", peers[0]), claimEntry("r", peers[1]), claimEntry("r", peers[2]), claimEntry("r", peers[3]), claimEntry("r", peers[9]))
	s.env.Self = peers[9]
	s.roster.saw(peers[2], false, 0)
	s.roster.saw(peers[3], false, 0)
	it := s.index.get("r")
	list := s.whoHas(it)
	require.Equal(t, rendezvous.Rank("r", peers[:2]), list[:2])
	require.ElementsMatch(t, []transport.Peer{peers[6], peers[7]}, list[2:4])
	require.ElementsMatch(t, []transport.Peer{peers[2], peers[3]}, list[4:])
	for _, p := range peers {
		_, err := s.index.apply(claimKey("r", p), transport.Encode(claimRecord{Bytes: 5}), 0)
		require.NoError(t, err)
	}
	require.Len(t, s.whoHas(it), hoarderapi.HoldersMax)
}

func TestWhoCouldHold(t *testing.T) {
	peers := somePeers(5)
	s := told(t, pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 3, Size: 100}), claimEntry("r", peers[0]))
	s.roster.know(peers)
	s.roster.saw(peers[1], false, 0)
	for i, free := range map[int]int64{2: 99, 3: 100} {
		m := s.roster.member(peers[i])
		m.said, m.free = true, free
	}
	require.Equal(t, []transport.Peer{peers[3], peers[4]}, s.candidates(s.index.get("r")), "neither a holder, nor missing, nor full")
}

// TestWhenAHoarderCompetes: as many as are lacking at once, each one behind a step
// later, by its place among those who could.
func TestWhenAHoarderCompetes(t *testing.T) {
	peers := somePeers(8)
	for self := range peers {
		s := told(t, pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 3}))
		s.env.Self, s.seed = peers[self], 7
		s.roster.know(peers)
		it := s.index.get("r")
		ahead := rendezvous.Of("r").Ahead(peers[self], peers)
		behind := max(0, ahead-2)
		at := s.competeDelay(it, situation{target: 3})
		require.GreaterOrEqual(t, at, time.Duration(behind)*competeStep)
		require.Less(t, at, time.Duration(behind)*competeStep+competeWithin)
		// Those ahead who hold it already are not waited for.
		for _, p := range rendezvous.Rank("r", peers)[:ahead] {
			_, err := s.index.apply(claimKey("r", p), transport.Encode(claimRecord{Bytes: 5}), 0)
			require.NoError(t, err)
		}
		require.Less(t, s.competeDelay(it, situation{target: 3}), competeWithin)
	}
}

func TestAFarTurnIsNotATimer(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		now := s.env.Loop.Elapsed()
		s.put(t, wantedBy("r", "a", 1))
		it := s.index.get("r")
		it.short = since(now + 1)
		require.Zero(t, s.compete(it, situation{target: 1}), "its turn is near")
		c := s.acquisitions["r"]
		require.NotNil(t, c.timer)
		require.Zero(t, s.compete(it, situation{target: 1}))
		require.Same(t, c, s.acquisitions["r"], "it takes part once")
		c.failed(false, now)
		c.due = true
		timer := c.timer
		require.Zero(t, s.compete(it, situation{target: 1}))
		require.Equal(t, timer, c.timer, "one that waits for a slot goes on waiting")
		c.due = false
		c.running = true
		s.stopCompeting("r")
		require.Contains(t, s.acquisitions, "r", "a transfer that runs comes to its end")
		c.running = false
		s.stopCompeting("r")
		require.NotContains(t, s.acquisitions, "r")
		require.Nil(t, c.timer)
		s.stopCompeting("r")

		var peers []transport.Peer
		for _, p := range somePeers(60) {
			if rendezvous.Of("r").Better(p, s.env.Self) {
				peers = append(peers, p)
			}
		}
		require.Greater(t, len(peers), 10)
		s.roster.know(peers)
		for _, p := range peers {
			s.roster.saw(p, true, 0)
		}
		require.Equal(t, now+2*s.settings.SweepInterval, s.compete(it, situation{target: 1}), "those ahead will have acted by then")
		require.NotContains(t, s.acquisitions, "r")
		// Just as far is near enough for a timer, a nanosecond more is not.
		far := now + 2*s.settings.SweepInterval
		delay := s.competeDelay(it, situation{target: 1})
		it.short = since(far - delay + 2)
		require.Equal(t, far, s.compete(it, situation{target: 1}))
		it.short = since(far - delay + 1)
		require.Zero(t, s.compete(it, situation{target: 1}))
		s.stopCompeting("r")
	})
}

// TestTheRarestIsFetchedFirst, in as many slots as there are.
func TestTheRarestIsFetchedFirst(t *testing.T) {
	lone(t, func(s *Settings) { s.TransfersMax = 2 }, func(_ context.Context, s *Service) {
		for i, demand := range []int{1, 50, 7, 50} {
			root := fmt.Sprint("root-", i)
			s.put(t, pinEntry(root, pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 2, Demand: demand}))
			s.acquisitions[root] = &acquisition{root: root, due: true}
		}
		s.acquisitions["root-9"] = &acquisition{root: "root-9"}
		var order []string
		for c := s.rarestDue(); c != nil; c = s.rarestDue() {
			order = append(order, c.root)
			c.due = false
		}
		require.Equal(t, []string{"root-1", "root-3", "root-2", "root-0"}, order)
		for _, root := range order {
			s.acquisitions[root].due = true
		}
		s.launch()
		require.Equal(t, 2, s.fetching)
		require.True(t, s.acquisitions["root-1"].running && s.acquisitions["root-3"].running)
		require.False(t, s.acquisitions["root-1"].due)
		require.True(t, s.acquisitions["root-2"].due)
		s.fetching, s.acquisitions = 0, map[string]*acquisition{}
		// What lacks nothing by now comes last, but it comes.
		for _, root := range []string{"full-1", "full-2"} {
			s.put(t, wantedBy(root, "a", 1), claimEntry(root, s.env.Self))
			s.acquisitions[root] = &acquisition{root: root, due: true}
		}
		require.Equal(t, "full-1", s.rarestDue().root)
		s.fetching, s.acquisitions = 0, map[string]*acquisition{}
	})
}

func TestRoomThatComesIsUsed(t *testing.T) {
	s := told(t)
	full, broken := &acquisition{root: "f"}, &acquisition{root: "b"}
	full.failed(true, 0)
	broken.failed(false, 0)
	s.acquisitions = map[string]*acquisition{"f": full, "b": broken}
	s.roomCame()
	require.Zero(t, full.notBefore)
	require.False(t, full.noRoom)
	require.NotZero(t, broken.notBefore)
}

func TestACompetitorTriesAgain(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		holder := w.holders(req.Root)
		require.Len(t, holder, 1)
		w.user.Stop()
		var has, lacks int
		for i, m := range w.hoarders {
			if m.Name == holder[0] {
				has, lacks = i, 1-i
			}
		}
		// Nobody has it whom the other could ask, for a while.
		w.turn(w.hoarders[has], func(_ context.Context, s *Service) { s.holdings.mending[req.Root] = true })
		w.hoarders[has].Stop()
		w.turn(w.hoarders[lacks], func(_ context.Context, s *Service) {
			s.put(t, wantedBy(req.Root, "b", 2))
			s.evaluate(req.Root)
		})
		nodetest.Sleep(40 * time.Second)
		w.turn(w.hoarders[lacks], func(_ context.Context, s *Service) {
			c := s.acquisitions[req.Root]
			require.NotNil(t, c)
			require.Positive(t, c.failures)
			require.False(t, c.noRoom)
			require.Zero(t, s.fetching)
			require.Zero(t, s.holdings.reserved, "what was spoken for is free")
			require.False(t, s.acquiring[req.Root])
		})
		w.hoarders[has].Start()
		nodetest.Sleep(time.Minute)
		require.Len(t, w.holders(req.Root), 2)
		w.turn(w.hoarders[lacks], func(_ context.Context, s *Service) { require.Empty(t, s.acquisitions) })
		// A copy that was competed for is on record, too.
		m := w.hoarders[lacks]
		m.Vanish()
		m.Start()
		require.Contains(t, w.holders(req.Root), m.Name)
		require.Empty(t, w.Facts("copy-missing"))
	})
}

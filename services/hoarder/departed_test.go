package hoarder

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// What a hoarder held that has left for ever is repaired, also by hoarders that were down when it left. Its claims
// stay for a while: they keep what was withdrawn from coming back with it.
func TestClaimsOfOneThatHasLeft(t *testing.T) {
	inTown(t, 5, nil, func(w *town) {
		root, holders := w.threeHold(t)
		var left *nodetest.Machine
		w.hoarders = slices.DeleteFunc(w.hoarders, func(m *nodetest.Machine) bool {
			if m.Name == holders[0] {
				left = m
			}
			return m.Name == holders[0]
		})
		left.Stop()
		for _, m := range w.hoarders {
			m.Stop()
		}
		w.Directory.Remove(left.Peer())
		for _, m := range w.hoarders {
			m.Start()
		}
		nodetest.Sleep(40 * time.Second)
		require.Len(t, w.holders(root), 3)
		for _, m := range w.hoarders {
			w.turn(m, func(_ context.Context, s *Service) {
				require.Len(t, s.index.items[root].claims, 4)
				require.False(t, s.roster.member(left.Peer()).counts())
			})
		}
		nodetest.Sleep(11 * time.Hour)
		require.Empty(t, w.Facts("departed-forgotten"))
		nodetest.Sleep(2 * time.Hour)
		require.Len(t, w.Facts("departed-forgotten"), 1, "the best-ranked one does so, once")
		for _, m := range w.hoarders {
			w.turn(m, func(_ context.Context, s *Service) {
				require.Len(t, s.index.items[root].claims, 3)
				require.NotContains(t, s.roster.members, left.Peer())
			})
		}
		w.Directory.Add(left.Peer(), hoarderapi.Service)
		left.Start()
		nodetest.Sleep(10 * time.Second)
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			require.Len(t, s.index.items[root].claims, 4, "it is back, and claims what it holds")
		})
	})
}

// Nobody is taken for one that has left while it is not known who the hoarders are.
func TestIgnoranceIsNoDeparture(t *testing.T) {
	inTown(t, 4, nil, func(w *town) {
		root, _ := w.threeHold(t)
		for _, m := range w.hoarders {
			m.Stop()
		}
		w.Directory.SetPartial(true)
		for _, m := range w.hoarders[1:] {
			w.Directory.Remove(m.Peer())
		}
		first := w.hoarders[0]
		first.Start()
		nodetest.Sleep(5 * time.Minute)
		w.turn(first, func(_ context.Context, s *Service) {
			for _, c := range s.index.items[root].claims {
				require.True(t, c.by.counts())
			}
		})
	})
}

func TestStrays(t *testing.T) {
	p := somePeers(5)
	r := newRoster(p[0], 10*time.Second)
	r.know(p[:3])
	for _, peer := range p[:4] {
		r.member(peer).claimed[&item{root: "r"}] = struct{}{}
	}
	r.member(p[4])
	r.stray(5 * time.Second)
	require.NotContains(t, r.members, p[4], "it claims nothing")
	stray := r.member(p[3])
	require.False(t, stray.lives())
	require.True(t, stray.counts())
	require.Equal(t, 3, r.liveCount())
	r.stray(14 * time.Second)
	require.Empty(t, r.giveUp(15*time.Second-1))
	require.Equal(t, []transport.Peer{p[3]}, r.giveUp(15*time.Second))
	require.False(t, stray.counts())

	r.part([]transport.Peer{p[0], p[1]}, 20*time.Second)
	require.Equal(t, 2, r.liveCount(), "this one is still here")
	require.Equal(t, []*member{stray}, r.forgotten(25*time.Second, 20*time.Second), "since it was found to be no hoarder")
	require.Empty(t, r.forgotten(25*time.Second-1, 20*time.Second))
	clear(stray.claimed)
	clear(r.member(p[0]).claimed)
	r.stray(130 * time.Second)
	require.NotContains(t, r.members, p[3])
	require.Contains(t, r.members, p[0])
	r.know(p[1:2])
	require.True(t, r.saw(p[1], true, 131*time.Second))
	r.stray(300 * time.Second)
	require.True(t, r.member(p[1]).lives(), "it is back")
}

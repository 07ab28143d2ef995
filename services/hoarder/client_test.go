package hoarder

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// ranked are the hoarders in the order in which a client asks them.
func (w *town) ranked(root string) (list []*nodetest.Machine) {
	var peers []transport.Peer
	for _, m := range w.hoarders {
		peers = append(peers, m.Peer())
	}
	for _, p := range rendezvous.Rank(root, peers) {
		for _, m := range w.hoarders {
			if m.Peer() == p {
				list = append(list, m)
			}
		}
	}
	return list
}

// TestAClientAsksTheNext when one does not answer, or does not know; not when the
// question makes no sense.
func TestAClientAsksTheNext(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(100, 1), "me")
		req.Target = 1
		order := w.ranked(req.Root)
		order[0].Stop()
		resp, err := w.pin(req)
		require.NoError(t, err)
		require.Equal(t, order[1].Peer(), resp.Holder)
		w.user.Do(func(ctx context.Context) {
			status, err := w.client.Status(ctx, order[1].Peer())
			require.NoError(t, err)
			require.Equal(t, 1, status.Held)
			require.Equal(t, resp.Bytes, status.BytesUsed)
			_, err = w.client.Status(ctx, order[0].Peer())
			require.Error(t, err, "one that is asked by name is not replaced")
			_, err = w.client.Locate(ctx, someRoot)
			require.Error(t, err)
			_, err = w.client.Pin(ctx, hoarderapi.PinRequest{Root: req.Root, Owner: "me", Kind: "x"})
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		})
	})
}

// TestTwoWhoWantTheSame at once make one transfer.
func TestTwoWhoWantTheSame(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(5000, 1)
		m := w.hoarders[0]
		errs := make([]error, 3)
		w.turn(m, func(ctx context.Context, s *Service) {
			_ = clock.First(ctx, s.env.Loop, len(errs), len(errs), func(ctx context.Context, i int) error {
				errs[i] = s.obtain(ctx, root, []transport.Peer{w.user.Peer()}, 5000)
				return nil
			})
			require.Equal(t, []error{nil, nil, nil}, errs)
			require.Equal(t, int64(5000), s.holdings.used)
			require.Zero(t, s.holdings.reserved)
			require.Empty(t, s.acquiring)
		})
		require.Len(t, w.Facts("item-claimed"), 1)
		require.Equal(t, int64(5000), w.Facts("item-claimed")[0].Fields["moved"])

		other := w.store(100, 2)
		w.turn(m, func(ctx context.Context, s *Service) {
			for name, busy := range map[string]map[string]bool{"obtained": s.acquiring, "mended": s.holdings.mending} {
				busy[other] = true
				ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, time.Second)
				require.Error(t, s.obtain(ctx, other, []transport.Peer{w.user.Peer()}, 100), "it is "+name+" by another task, for too long")
				cancel()
				require.False(t, s.holdings.holds(other))
				delete(busy, other)
			}
			require.Error(t, s.obtain(ctx, other, nil, 100), "nobody is said to have it")
			require.False(t, s.index.get(other).claimed(s.env.Self), "what was not obtained is not claimed")
			require.Zero(t, s.holdings.reserved)
		})
		require.Len(t, w.Facts("item-claimed"), 1)
	})
}

// TestAnOldSnapshotIsForgotten when a newer one that somebody holds has replaced it
// for long.
func TestAnOldSnapshotIsForgotten(t *testing.T) {
	lone(t, func(s *Settings) { s.ForgetAfter = time.Hour }, func(_ context.Context, s *Service) {
		require.NoError(t, s.write(snapshot("old", 1, 2), snapshot("new", 2, 2)))
		it, now := s.index.get("old"), s.env.Loop.Elapsed()
		it.ended = since(now - time.Hour + 1)
		s.collect(it)
		require.Len(t, it.pins, 1, "nobody holds the new one")
		require.NoError(t, s.write(claimEntry("new", somePeers(1)[0])))
		it.ended = since(now - time.Hour + 2)
		s.collect(it)
		require.Len(t, it.pins, 1, "not yet")
		it.ended = since(now - time.Hour + 1)
		require.NoError(t, s.write(claimEntry("old", somePeers(1)[0])))
		s.collect(it)
		require.Len(t, it.pins, 1, "somebody holds it yet")
		require.NoError(t, s.write(gone(claimEntry("old", somePeers(1)[0]))))
		s.collect(it)
		require.Empty(t, it.pins)
		require.Len(t, s.index.get("new").pins, 1)
	})
}

func TestWhatIsNotHeldCannotBeDropped(t *testing.T) {
	l := newHoldings(10, testLease, 0)
	l.drop("r")
	require.Equal(t, newHoldings(10, testLease, 0), l, "nothing has changed")
}

// TestSeersTellOfRoom, and what they told is forgotten with the member.
func TestSeersTellOfRoom(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		w.free = 700
		nodetest.Sleep(10 * time.Second)
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			m := s.roster.member(w.hoarders[1].Peer())
			require.True(t, m.said)
			require.Equal(t, int64(700), m.free)
			require.False(t, m.hasRoom(701))
		})
	})
}

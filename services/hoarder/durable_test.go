package hoarder

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
)

// TestWhatWasAnsweredSurvives a power cut at once, on the disk of the one who
// answered: all others are gone when it starts again.
func TestWhatWasAnsweredSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		ask  func(w *town, s *Service, ctx context.Context, req hoarderapi.PinRequest) error
		pins int
		held bool
		gone int // withdrawals
	}{
		"pin": {func(w *town, s *Service, ctx context.Context, req hoarderapi.PinRequest) error {
			resp, err := s.pin(ctx, w.user.Peer(), req)
			require.Equal(w, s.env.Self, resp.Holder)
			require.Equal(w, s.holdings.held[req.Root], resp.Bytes)
			return err
		}, 1, true, 0},
		"take": {func(w *town, s *Service, ctx context.Context, req hoarderapi.PinRequest) error {
			req.Holders = append(req.Holders, w.user.Peer())
			resp, err := s.pinCopy(ctx, w.hoarders[1].Peer(), req)
			require.Equal(w, hoarderapi.PinResponse{Holder: s.env.Self, Bytes: s.holdings.held[req.Root], Copies: 1, Records: 1}, resp)
			return err
		}, 1, true, 0},
		"unpin": {func(w *town, s *Service, ctx context.Context, req hoarderapi.PinRequest) error {
			_, err := s.unpin(ctx, w.user.Peer(), hoarderapi.UnpinRequest{Root: req.Root, Owner: req.Owner, Seq: 3})
			return err
		}, 0, false, 1},
		"unpin again": {func(w *town, s *Service, ctx context.Context, req hoarderapi.PinRequest) error {
			// What the store has not made durable yet is, when it is acknowledged again.
			require.NoError(w, s.withdraw(s.index.get(req.Root), ownerID(req.Owner, ""), 3))
			_, err := s.unpin(ctx, w.user.Peer(), hoarderapi.UnpinRequest{Root: req.Root, Owner: req.Owner, Seq: 2})
			return err
		}, 0, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, 2, nil, func(w *town) {
				nodetest.Sleep(5 * time.Second)
				req := asset(w.store(3000, 1), "me")
				req.Target = 2
				m := w.hoarders[0]
				disk := m.Disk
				w.turn(m, func(ctx context.Context, s *Service) {
					require.NoError(t, c.ask(w, s, ctx, req))
					disk = m.Disk.DurableClone() // in the turn of the answer
				})
				m.Vanish()
				m.Disk = disk
				w.hoarders[1].Stop()
				m.Start()
				w.turn(m, func(_ context.Context, s *Service) {
					count := func(part string) int {
						list, err := s.store.List(storage.K(part, req.Root))
						require.NoError(t, err)
						return len(list)
					}
					require.Equal(t, c.pins, count(pinsPart))
					require.Equal(t, c.gone, count(withdrawnPart))
					require.Equal(t, c.held, s.Holds(req.Root))
					if c.held {
						require.Len(t, s.recordedPins[req.Root], 1, "with the pin that it is held for")
					}
				})
			})
		})
	}
}

// TestWhatIsMendedSurvives, too: what was said to be mended was synced.
func TestWhatIsMendedSurvives(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(3000, 1), "me")
		req.Target = 2
		_, err := w.pin(req)
		require.NoError(t, err)
		m := w.hoarders[0]
		w.rot(m, req.Root)
		for len(w.Facts("copy-mended")) == 0 {
			nodetest.Sleep(10 * time.Millisecond)
		}
		m.Vanish()
		w.hoarders[1].Stop()
		m.Start()
		require.Equal(t, []string{m.Name}, w.holders(req.Root))
		require.Empty(t, w.Facts("copy-missing"))
	})
}

// rot takes a copy's blocks away, as a bad disk would, and has the hoarder read it.
func (w *town) rot(m *nodetest.Machine, root string) {
	w.turn(m, func(ctx context.Context, s *Service) {
		require.NoError(w, s.env.Blocks.Remove(cidOf(w, root)))
		s.scrub(ctx, root)
	})
}

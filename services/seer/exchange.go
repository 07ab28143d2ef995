package seer

import (
	"context"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// exchangePeersMin is how many other seers are asked in one round, if there are
// so many.
const exchangePeersMin = 2

// exchange asks other seers what they heard, round after round. It pulls rather than pushes: only
// the asker can measure how long the answer took, and so never takes news for fresher than it is.
func (s *Service) exchange(ctx context.Context) {
	_ = clock.Every(ctx, s.env.Loop, s.settings.ExchangeInterval, func(context.Context) bool {
		for _, other := range s.others() {
			if s.pulling[other] {
				continue // it is slow or dead; the others are asked all the same
			}
			s.pulling[other] = true
			s.env.Loop.Go("pull", func(ctx context.Context) {
				defer delete(s.pulling, other)
				// Later than that the answer is worthless.
				ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, s.settings.GoneAfter)
				defer cancel()
				register, err := s.pull(ctx, other)
				if err != nil {
					s.env.Log.Debug("seer did not answer", "peer", other, "error", err)
				} else if s.env.Members() != nil && !s.heardUpToNow(other, register) {
					_ = s.pullMembers(ctx, other) // or in a later round
				}
			})
		}
		return true
	})
}

// others are the seers to ask in this round: exchangePeersMin in turn, or as many as it takes to
// ask all within three rounds.
func (s *Service) others() []transport.Peer {
	all, _ := s.env.Wire.Directory().Lookup(seerapi.Service)
	self, _ := slices.BinarySearchFunc(all, s.env.Self, transport.Peer.Compare)
	n := len(all) - 1
	var list []transport.Peer
	for range min(n, max(exchangePeersMin, (n+2)/3)) {
		s.turn++
		list = append(list, all[(self+1+s.turn%n)%len(all)])
	}
	return list
}

// pull asks one seer for its digest, page by page, and for the announcements that are missing here. It
// returns up to where the register of that seer went when it answered first.
func (s *Service) pull(ctx context.Context, from transport.Peer) (register seerapi.Cursor, err error) {
	var after transport.Peer
	for more := true; more; {
		asked := s.now()
		page, err := digest.Call(ctx, s.env.Wire, from, digestRequest{After: after})
		if err != nil {
			return register, err
		}
		if err := transport.CheckPage(digest.Name, after, page.Heard, heardPeer, transport.Peer.Compare); err != nil {
			return register, err
		}
		if beforeMerge.Hit(ctx, s.env) != nil {
			return register, nil
		}
		if after.IsZero() {
			register = page.Register
		}
		now := s.now()
		var wanted []transport.Peer
		for _, h := range page.Heard[:min(len(page.Heard), seerapi.PageLenMax)] {
			h.Age += now - asked
			if h.Peer != s.env.Self && s.table.merge(now, h) {
				wanted = append(wanted, h.Peer)
			}
			after = h.Peer
		}
		s.report()
		if err := s.learn(ctx, from, wanted); err != nil {
			return register, err
		}
		more = page.More && len(page.Heard) > 0
	}
	return register, nil
}

func heardPeer(h sighting) transport.Peer { return h.Peer }

// learn fetches announcements.
func (s *Service) learn(ctx context.Context, from transport.Peer, wanted []transport.Peer) error {
	if len(wanted) == 0 {
		return nil
	}
	resp, err := records.Call(ctx, s.env.Wire, from, recordsRequest{Peers: wanted})
	if err != nil {
		return err
	}
	now := s.now()
	for _, r := range resp.Records[:min(len(resp.Records), seerapi.PageLenMax)] {
		if sound(&r.Announcement) {
			s.table.learn(now, r)
		}
	}
	s.report()
	return nil
}

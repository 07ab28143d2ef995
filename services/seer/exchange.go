package seer

import (
	"context"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// exchangePeersMax is how many other seers are asked in one round. With more
// than that each round takes others.
const exchangePeersMax = 4

// exchange asks other seers what they heard, round after round. It pulls rather
// than pushes: only who asks can say how long the answer took, and so never
// believes that news is fresher than it is.
func (s *Service) exchange(ctx context.Context) {
	_ = clock.Every(ctx, s.env.Loop, s.settings.ExchangeInterval, func(context.Context) bool {
		for _, other := range s.others() {
			if s.pulling[other] {
				continue // it is slow or dead; the others are not made to wait
			}
			s.pulling[other] = true
			s.env.Loop.Go("pull", func(ctx context.Context) {
				defer delete(s.pulling, other)
				// Later than that the answer is worthless.
				ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, s.settings.GoneAfter)
				defer cancel()
				if err := s.pull(ctx, other); err != nil {
					s.env.Log.Debug("seer did not answer", "peer", other, "error", err)
				}
			})
		}
		return true
	})
}

// others chooses the seers to ask in this round.
func (s *Service) others() []transport.Peer {
	var list []transport.Peer
	for _, p := range s.env.Wire.Directory().Peers(seerapi.Service) {
		if p != s.env.Self {
			list = append(list, p)
		}
	}
	if len(list) > exchangePeersMax {
		s.env.Rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:exchangePeersMax]
	}
	return list
}

// pull asks one seer for all that it heard, page by page, and for what is
// unknown of it.
func (s *Service) pull(ctx context.Context, from transport.Peer) error {
	var after transport.Peer
	for more := true; more; {
		asked := s.now()
		page, err := seerapi.Digest.Call(ctx, s.env.Wire, from, seerapi.DigestRequest{After: after})
		if err != nil {
			return err
		}
		if beforeMerge.Hit(ctx, s.env) != nil {
			return nil
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
			return err
		}
		more = page.More && len(page.Heard) > 0
	}
	return nil
}

// learn fetches announcements.
func (s *Service) learn(ctx context.Context, from transport.Peer, wanted []transport.Peer) error {
	if len(wanted) == 0 {
		return nil
	}
	resp, err := seerapi.Records.Call(ctx, s.env.Wire, from, seerapi.RecordsRequest{Peers: wanted})
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

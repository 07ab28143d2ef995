package hoarder

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

const (
	// probesMax bounds the hoarders that are asked for a sign of life in one
	// interval when no seer answers.
	probesMax    = 4
	probeTimeout = 1500 * time.Millisecond
)

// followLiveness keeps the roster. Seer knows; when no seer answers, the
// hoarders of the directory are asked themselves, a few at a time.
func (s *Service) followLiveness(ctx context.Context) {
	for {
		jitter := time.Duration(s.env.Rand.Int64N(int64(s.cfg.LivenessInterval) / 2))
		if clock.Sleep(ctx, s.env.Loop, s.cfg.LivenessInterval*3/4+jitter) != nil {
			return
		}
		s.roster.know(s.env.Wire.Directory().Peers(hoarderapi.Service))
		members, err := s.seer.Lookup(ctx, hoarderapi.Service)
		var news []transport.Peer
		if err == nil {
			news = s.believe(members)
		} else if news = s.probe(ctx); ctx.Err() != nil {
			return
		}
		news = append(news, s.roster.giveUp(s.env.Loop.Elapsed())...)
		for _, p := range news {
			for _, root := range sortedKeys(s.index.claimedBy[p]) {
				s.evaluate(root)
			}
		}
	}
}

// believe takes over what seer said and returns whose state is new.
func (s *Service) believe(members []seerapi.Member) (news []transport.Peer) {
	now := s.env.Loop.Elapsed()
	live := make(map[transport.Peer]bool, len(members))
	for _, m := range members {
		live[m.Peer] = true
		if bytesMax, ok := m.Capacity[gaugeMax]; ok {
			s.roster.room[m.Peer] = bytesMax - m.Usage[gaugeUsed]
		}
		s.roster.know([]transport.Peer{m.Peer})
	}
	for _, p := range s.roster.all {
		if s.roster.saw(p, live[p], now) {
			news = append(news, p)
		}
	}
	return news
}

// probe asks the next few hoarders, and returns whose state is new.
func (s *Service) probe(ctx context.Context) (news []transport.Peer) {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, probeTimeout)
	defer cancel()
	var asked []transport.Peer
	for range min(probesMax, len(s.roster.all)) {
		s.probed = (s.probed + 1) % len(s.roster.all)
		asked = append(asked, s.roster.all[s.probed])
	}
	lives := make([]bool, len(asked))
	_ = clock.First(ctx, s.env.Loop, len(asked), len(asked), func(ctx context.Context, i int) error {
		_, err := hoarderapi.StatusMethod.Call(ctx, s.env.Wire, asked[i], hoarderapi.Done{})
		lives[i] = err == nil
		return nil
	})
	for i, p := range asked {
		if s.roster.saw(p, lives[i], s.env.Loop.Elapsed()) {
			news = append(news, p)
		}
	}
	return news
}

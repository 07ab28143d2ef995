package hoarder

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

const (
	// probesMax bounds the hoarders that are probed in one interval when no seer answers.
	probesMax    = 4
	probeTimeout = 1500 * time.Millisecond
)

// room is a hoarder's announcement of its free bytes.
type room struct {
	free int64
	said bool
}

func roomOf(m seerapi.Member) room {
	bytesMax, said := m.Capacity[gaugeMax]
	return room{free: bytesMax - m.Usage[gaugeUsed], said: said}
}

// followLiveness keeps the roster up to date from seer's changes; when no seer answers, it probes
// the hoarders of the directory, a few at a time.
func (s *Service) followLiveness(ctx context.Context) {
	live := seerapi.Follow(s.seer, hoarderapi.Service, roomOf)
	var listed []transport.Peer
	agreed := false // whether the roster equals live for all listed hoarders
	for {
		jitter := time.Duration(s.env.Rand.Int64N(int64(s.settings.LivenessInterval) / 2))
		if clock.Sleep(ctx, s.env.Loop, s.settings.LivenessInterval*3/4+jitter) != nil {
			return
		}
		var left []transport.Peer
		peers, known := s.env.Wire.Directory().Lookup(hoarderapi.Service)
		if !slices.Equal(peers, listed) {
			if known {
				left = slices.DeleteFunc(listed, func(p transport.Peer) bool { return slices.Contains(peers, p) })
				s.roster.part(left, s.env.Loop.Elapsed())
			}
			listed, agreed = slices.Clone(peers), false
			s.roster.know(listed)
		}
		if known {
			s.roster.stray(s.env.Loop.Elapsed())
			s.forgetDeparted()
		}
		told, err := live.Refresh(ctx)
		var news []transport.Peer
		if err == nil {
			if !agreed {
				s.roster.know(live.Peers())
				told = s.roster.peers()
			}
			news = s.believe(live, told)
		} else if news = s.probe(ctx); ctx.Err() != nil {
			return
		}
		news = append(news, left...)
		agreed = err == nil // a probe may have found something else
		news = append(news, s.roster.giveUp(s.env.Loop.Elapsed())...)
		for _, p := range news {
			for _, root := range s.roster.member(p).roots() {
				s.evaluate(root)
			}
		}
	}
}

// believe applies seer's changes to the roster and returns the peers whose state has changed.
func (s *Service) believe(live *seerapi.Follower[room], told []transport.Peer) (news []transport.Peer) {
	now := s.env.Loop.Elapsed()
	for _, p := range told {
		r, lives := live.Get(p)
		if lives {
			s.roster.know([]transport.Peer{p})
		} else if !s.roster.listed(p) {
			continue // of another service, or not a member any more when we first heard of it
		}
		if r.said {
			m := s.roster.member(p)
			m.free, m.said = r.free, true
		}
		if s.roster.saw(p, lives, now) {
			news = append(news, p)
		}
	}
	return news
}

// probe asks the next few hoarders, and returns those whose state has changed.
func (s *Service) probe(ctx context.Context) (news []transport.Peer) {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, probeTimeout)
	defer cancel()
	var asked []transport.Peer
	for range min(probesMax, len(s.roster.all)) {
		s.probed = (s.probed + 1) % len(s.roster.all)
		asked = append(asked, s.roster.all[s.probed].peer)
	}
	lives := make([]bool, len(asked))
	_ = clock.First(ctx, s.env.Loop, len(asked), len(asked), func(ctx context.Context, i int) error {
		_, err := hoarderapi.Status.Call(ctx, s.env.Wire, asked[i], hoarderapi.Done{})
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

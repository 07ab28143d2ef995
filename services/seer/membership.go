package seer

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"github.com/taucloud/tau/transport/membership"
)

// What a seer does with its register of members: it takes announcements, tells who asks, and asks the other
// seers. It says that it knows of all members only once it could: knowAfter after its start, when it has heard
// all that each other seer knows, or aloneAfter when it does not reach them.

// load reads the register from the disk. What cannot be read is left out: the others tell it.
func (s *Service) load() error {
	saved, err := s.env.Local.List("")
	if err != nil {
		return err
	}
	for _, e := range saved {
		var v savedMember
		if transport.Decode(e.Value, &v) == nil && s.register.learn(v.Said, false) == nil {
			if a, err := v.Said.Open(); err == nil {
				m := s.register.members[a.Peer]
				m.silent, m.saved, m.gone = v.Silent, v.Silent, v.Gone
				m.remember(v.History)
			}
		}
	}
	s.register.unsaved = map[transport.Peer]bool{}
	return nil
}

// savedMember is a member on the disk.
type savedMember struct {
	Said   addressbook.Signed `cbor:"1,keyasint"`
	Silent time.Duration      `cbor:"2,keyasint"`
	Gone   bool               `cbor:"3,keyasint"`
	// History is of before what Said says.
	History seerapi.History `cbor:"4,keyasint"`
}

// save writes what has changed in the register.
func (s *Service) save(ctx context.Context) error {
	var writes []storage.Entry
	peers := make([]transport.Peer, 0, len(s.register.unsaved))
	for p := range s.register.unsaved {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, transport.Peer.Compare)
	for _, p := range peers {
		e := storage.Entry{Key: storage.K("member", p.String())}
		if m := s.register.members[p]; m != nil {
			m.saved = m.silent
			e.Value = transport.Encode(savedMember{Said: m.entry.Signed, Silent: m.silent, Gone: m.gone, History: m.history})
		}
		writes = append(writes, e)
	}
	s.register.unsaved = map[transport.Peer]bool{}
	return saveAll(ctx, s.env.Local, writes)
}

// announced takes what a member says of itself.
func (s *Service) announced(_ context.Context, from transport.Peer, req announceRequest) (announceResponse, error) {
	a, err := ofItself(s.env, from, req.Said)
	if err != nil {
		return announceResponse{}, err
	}
	if m := s.register.members[from]; m != nil && m.left() && a.Stamp().Compare(m.entry.Stamp()) <= 0 && !a.Left {
		newer := m.entry.Signed // it is back: it must say so in a newer form than others know
		return announceResponse{Newer: &newer}, nil
	}
	if err := s.register.learn(req.Said, true); err != nil {
		return announceResponse{}, transport.New(transport.Refused, announceAt.Name, err.Error())
	}
	s.met(from)
	s.here[from] = true
	resp := announceResponse{}
	if e := s.register.book.Get(from); a.Stamp().Compare(e.Stamp()) < 0 {
		newer := e.Signed
		resp.Newer = &newer
	}
	return resp, nil
}

// met notes that a member was here: when, and who has signed what it shows. That counts if nobody has seen it before.
func (s *Service) met(p transport.Peer) {
	h := seerapi.History{FirstSeen: s.env.Loop.Now().Unix()}
	if s.env.Authority != nil {
		h.AdmittedBy = s.env.Authority.AdmittedBy(p)
	}
	if m := s.register.members[p]; m != nil && m.remember(h) {
		s.register.unsaved[p] = true
	}
}

// History is what is known of a member's past, zero if nothing is.
func (s *Service) History(p transport.Peer) (h seerapi.History) {
	if m := s.register.members[p]; m != nil {
		h = m.history
	}
	return h
}

// followed tells what has changed in the register.
func (s *Service) followed(_ context.Context, from transport.Peer, req followRequest) (followResponse, error) {
	if s.env.Members() == nil {
		return followResponse{}, transport.New(transport.Refused, follow.Name, "members of this cloud are told of each other")
	}
	if len(req.Services) == 0 || len(req.Services) > servicesLenMax {
		return followResponse{}, transport.New(transport.Invalid, follow.Name, "ask for 1 to 64 services")
	}
	if req.Cursor.Run != s.life {
		req.Cursor = seerapi.Cursor{}
	}
	page := s.register.since(req.Cursor, inquiry{from, req.Services, req.Some})
	page.Cursor.Run = s.life
	page.Known = s.knowsAll(s.now())
	page.Announce, page.Newer = s.register.stale(from, req.Says)
	return page, nil
}

// knowsAll reports whether this seer's register has all members, as far as anybody could tell.
func (s *Service) knowsAll(now time.Duration) bool {
	switch {
	case s.all:
	case s.allContacts(func(p transport.Peer) bool { return s.here[p] }):
		s.all = true
	case now-s.began < s.settings.KnowAfter:
		return false
	case now-s.began >= s.settings.AloneAfter:
		s.all = true
	default:
		s.all = !slices.ContainsFunc(s.colleagues(), func(p transport.Peer) bool { return !s.heardAll[p] })
	}
	return s.all
}

// colleagues are the other seers, and those of the configuration that may be.
func (s *Service) colleagues() (list []transport.Peer) {
	known, _ := s.env.Wire.Directory().Lookup(seerapi.Service)
	list = slices.Clone(known)
	for _, c := range s.env.Members().Contacts() {
		e := s.register.book.Get(c.Peer)
		may := c.Services == nil || slices.Contains(c.Services, seerapi.Service)
		if !slices.Contains(list, c.Peer) && (e == nil && may || e != nil && e.Offers(seerapi.Service)) {
			list = append(list, c.Peer)
		}
	}
	return slices.DeleteFunc(list, func(p transport.Peer) bool { return p == s.env.Self })
}

// meet asks the other seers for all that they know, until that is known.
func (s *Service) meet(ctx context.Context) {
	asking := map[transport.Peer]bool{}
	_ = clock.Every(ctx, s.env.Loop, discoveryRetry, func(context.Context) bool {
		for _, p := range s.colleagues() {
			if s.heardAll[p] || asking[p] {
				continue
			}
			asking[p] = true
			s.env.Loop.Go("meet", func(ctx context.Context) {
				defer delete(asking, p)
				ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, seerapi.TryTimeout)
				defer cancel()
				_ = s.pullMembers(ctx, p) // the next round tries again
			})
		}
		return !s.knowsAll(s.now())
	})
}

// heardUpToNow reports whether this seer has heard all that another one's register has, which goes up to a
// cursor.
func (s *Service) heardUpToNow(from transport.Peer, register seerapi.Cursor) bool {
	upTo := s.heardUpTo[from]
	return s.heardAll[from] && register.Run != 0 && register.Run == upTo.Run && register.Version == upTo.Version
}

// pullMembers asks another seer what has changed in its register.
func (s *Service) pullMembers(ctx context.Context, from transport.Peer) error {
	_, says := s.env.Members().Own()
	req := followRequest{Cursor: s.heardUpTo[from], Services: []string{allServices}, Says: says}
	for range followPagesMax {
		page, err := follow.Call(ctx, s.env.Wire, from, req)
		if err != nil {
			return err
		}
		for i, said := range page.Members[:min(len(page.Members), seerapi.PageLenMax)] {
			if err := s.register.learn(said, false); err != nil {
				s.env.Log.Info("an announcement was not taken", "from", from, "err", err)
			} else if a, err := said.Open(); err == nil && i < len(page.Histories) {
				s.learnHistory(a.Peer, page.Histories[i])
			}
		}
		req.Cursor, s.heardUpTo[from] = page.Cursor, page.Cursor
		if !page.More {
			s.heardAll[from] = true
			return nil
		}
	}
	return transport.New(transport.Invalid, follow.Name, "too many pages")
}

// learnHistory takes over what another seer knows of a member's past. One that was not seen before today's clock, and SkewMax, was
// not seen.
func (s *Service) learnHistory(p transport.Peer, h seerapi.History) {
	if m := s.register.members[p]; m != nil && h.FirstSeen <= s.env.Loop.Now().Add(membership.SkewMax).Unix() && m.remember(h) {
		s.register.unsaved[p] = true
	}
}

// Present lists whom this seer takes for members. For checks.
func (s *Service) Present() []addressbook.Announcement { return s.register.present() }

// KnowsAll reports whether it says that these are all. For checks.
func (s *Service) KnowsAll() bool { return s.all }

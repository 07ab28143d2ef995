// Package seer knows who is alive and what they offer. Every node runs a beacon
// agent (BeaconSpec) that announces it to some seers; the seers (Spec) exchange
// what they heard and answer questions.
//
// Which nodes belong to the cloud is not its business but the directory's.
package seer

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// Spec is seer's entry in the catalogue.
func Spec() node.Spec {
	return node.Spec{
		Name:     seerapi.Service,
		Doc:      "who is alive and what they offer",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return newService(env, *settings.(*Settings)), nil
		},
	}
}

// Service is one seer.
type Service struct {
	env      node.Env
	settings Settings
	table    *table
	pulling  map[transport.Peer]bool // seers that are being asked
	turn     int                     // of the seers to ask
	life     uint64                  // names this run
	// lastTurn is when this seer was last seen awake, wokeAt when it started or
	// last woke from a stall.
	lastTurn, wokeAt time.Duration
	lookedAt         time.Duration // for the silent

	register *register
	began    time.Duration
	all      bool // the register has all members
	// here are those that have announced themselves to this seer in this life, early: it has heard all contacts, of which there
	// are no more, before settle-after.
	here  map[transport.Peer]bool
	early bool
	// heardAll are the other seers of which this one has heard all that they know in this life, heardUpTo
	// what it has heard of each.
	heardAll  map[transport.Peer]bool
	heardUpTo map[transport.Peer]seerapi.Cursor
}

func newService(env node.Env, settings Settings) *Service {
	s := &Service{
		env:      env,
		settings: settings,
		table:    newTable(settings.GoneAfter, settings.MembersMax),
		pulling:  map[transport.Peer]bool{},

		register: newRegister(settings.DepartAfter, settings.MembersMax).of(env.Cloud(), settings.MembersMax),
		here:     map[transport.Peer]bool{}, heardAll: map[transport.Peer]bool{}, heardUpTo: map[transport.Peer]seerapi.Cursor{},
	}
	if env.Authority != nil {
		s.register.revoked = env.Authority.Revoked
	}
	return s
}

// Start implements node.Service.
func (s *Service) Start(context.Context) error {
	if err := s.load(); err != nil {
		return err
	}
	s.began = s.env.Loop.Elapsed()
	s.lookedAt = s.began
	s.life = newLife(s.env)
	s.lastTurn, s.wokeAt = s.began, s.began
	beaconNote.Serve(s.env.Wire, s.hear)
	answer.Serve(s.env.Wire, s.answer)
	leave.Serve(s.env.Wire, s.leave)
	seerapi.Lookup.Serve(s.env.Wire, s.lookup)
	seerapi.Changes.Serve(s.env.Wire, s.changes)
	digest.Serve(s.env.Wire, s.digest)
	records.Serve(s.env.Wire, s.records)
	announceAt.Serve(s.env.Wire, s.announced)
	follow.Serve(s.env.Wire, s.followed)
	if s.env.Members() != nil { // else all are told of each other
		s.env.Loop.Go("meet", s.meet)
	}
	s.env.Loop.Go("exchange", s.exchange)
	s.env.Loop.Go("expire", func(ctx context.Context) {
		_ = clock.Every(ctx, s.env.Loop, s.tick(), func(context.Context) bool {
			s.look(s.now())
			if err := s.save(ctx); err != nil && ctx.Err() == nil {
				s.env.Log.Warn("the register was not saved", "err", err)
			}
			return true
		})
	})
	return nil
}

// Stop implements node.Service. Who lives the nodes announce again.
func (s *Service) Stop(ctx context.Context) error { return s.save(ctx) }

// Live lists the peers that this seer believes alive, in canonical order.
func (s *Service) Live() []transport.Peer {
	now := s.env.Loop.Elapsed()
	var peers []transport.Peer
	for _, m := range s.table.sorted {
		if s.table.live(now, m) {
			peers = append(peers, m.peer)
		}
	}
	return peers
}

// Members lists what this seer would answer, all pages, in canonical order.
func (s *Service) Members() []seerapi.Member {
	now := s.env.Loop.Elapsed()
	var members []seerapi.Member
	for _, m := range s.table.sorted {
		if s.table.live(now, m) {
			members = append(members, m.answer(now))
		}
	}
	return members
}

// Elapsed is this seer's own clock, by which its bounds are to be judged.
func (s *Service) Elapsed() time.Duration { return s.env.Loop.Elapsed() }

// Settled reports whether this seer answers at all: not right after its start
// or after a stall.
func (s *Service) Settled() bool { return s.settled(s.env.Loop.Elapsed()) }

func (s *Service) settled(now time.Duration) bool {
	return (s.early || now-s.wokeAt >= s.settings.SettleAfter) && now-s.lastTurn < s.stall()
}

// allContacts reports whether there are no members but the contacts of the configuration, and something is so of all of them.
func (s *Service) allContacts(is func(transport.Peer) bool) bool {
	m := s.env.Members()
	return m != nil && m.AllContacts() && !slices.ContainsFunc(m.Contacts(), func(c node.Contact) bool { return !is(c.Peer) })
}

// hear handles a beacon.
func (s *Service) hear(_ context.Context, from transport.Peer, raw []byte) {
	b, err := decodeBeacon(raw)
	if err == nil {
		s.take(from, b, 0)
	}
}

// answer handles the answer to a question of this run.
func (s *Service) answer(_ context.Context, from transport.Peer, m answerMessage) {
	if m.Life != 0 && m.Ask.Seer == s.life && m.Ask.At > 0 && m.Ask.At <= s.env.Loop.Elapsed() {
		s.take(from, m.beacon(), m.Ask.At)
	}
}

// take records a node's beacon, and asks for its announcement if that is missing.
func (s *Service) take(from transport.Peer, b beaconMessage, asked time.Duration) {
	if b.Announcement != nil && !sound(b.Announcement) {
		return
	}
	if b.Announcement != nil {
		s.leaveOutUngranted(from, b.Announcement)
	}
	now := s.now()
	if s.table.hear(now, from, b, asked) {
		_ = ask.Tell(s.env.Wire, from, askMessage{Seer: s.life, At: now}) // a later beacon causes another question
	}
	if !s.settled(now) && s.wokeAt == s.began {
		s.early = s.allContacts(func(p transport.Peer) bool { m := s.table.members[p]; return m != nil && s.table.live(now, m) })
	}
	s.report()
}

// leaveOutUngranted takes out of an announcement what its sender may not offer.
func (s *Service) leaveOutUngranted(from transport.Peer, a *announcement) {
	if g, known := s.env.Wire.Grants(from); known {
		a.Services = slices.DeleteFunc(a.Services, func(service string) bool { return !g.Offers(service) })
	}
}

func (s *Service) leave(_ context.Context, from transport.Peer, m leaveMessage) {
	s.table.leave(s.now(), from, m.Life)
	s.report()
}

func (s *Service) lookup(ctx context.Context, _ transport.Peer, req seerapi.LookupRequest) (seerapi.LookupResponse, error) {
	now, err := s.asked(ctx, seerapi.Lookup.Name)
	if err != nil {
		return seerapi.LookupResponse{}, err
	}
	members, more := s.table.lookup(now, req.Service, req.After)
	for i := range members {
		if h := s.History(members[i].Peer); h.FirstSeen > 0 {
			members[i].History = &h
		}
	}
	return seerapi.LookupResponse{Members: members, More: more}, nil
}

func (s *Service) changes(ctx context.Context, _ transport.Peer, req seerapi.ChangesRequest) (seerapi.ChangesResponse, error) {
	now, err := s.asked(ctx, seerapi.Changes.Name)
	if err != nil {
		return seerapi.ChangesResponse{}, err
	}
	if now-s.lookedAt >= s.tick() { // the look is overdue, and followers rely on its interval
		s.look(now)
	}
	if req.Cursor.Run != s.life {
		req.Cursor = seerapi.Cursor{}
	}
	page := s.table.since(now, req.Service, req.Cursor)
	page.Cursor.Run = s.life
	return page, nil
}

// asked returns the time by which to answer who is alive, or refuses.
func (s *Service) asked(ctx context.Context, method string) (time.Duration, error) {
	if err := beforeAnswer.Hit(ctx, s.env); err != nil {
		return 0, transport.New(transport.Refused, method, err.Error())
	}
	now := s.now()
	if !s.settled(now) {
		return 0, transport.New(transport.Refused, method, "this seer has just woken and does not know yet")
	}
	return now, nil
}

func (s *Service) digest(_ context.Context, _ transport.Peer, req digestRequest) (digestResponse, error) {
	heard, more := s.table.digest(s.now(), req.After)
	return digestResponse{Heard: heard, More: more, Register: seerapi.Cursor{Run: s.life, Version: s.register.version}}, nil
}

func (s *Service) records(_ context.Context, _ transport.Peer, req recordsRequest) (recordsResponse, error) {
	return recordsResponse{Records: s.table.records(req.Peers)}, nil
}

// now is the seer's own time. Every turn that depends on the time reads it here, so that the first
// one after a stall notices the stall.
func (s *Service) now() time.Duration {
	now := s.env.Loop.Elapsed()
	if now-s.lastTurn >= s.stall() {
		s.wokeAt, s.early = now, false
		s.table.resume(now)
		s.env.Log.Warn("seer was stalled", "for", now-s.lastTurn)
	}
	s.lastTurn = now
	return now
}

// look finds the members that fell silent.
func (s *Service) look(now time.Duration) {
	s.register.pass(now-s.lookedAt, func(p transport.Peer) bool { m := s.table.members[p]; return m != nil && s.table.live(now, m) })
	s.lookedAt = now
	s.table.expire(now, s.settings.ForgetAfter)
	s.report()
}

// tick is the pause between two looks for silent members; a look that is late by more than stall
// means that this seer itself was stalled.
func (s *Service) tick() time.Duration  { return s.settings.GoneAfter / 5 }
func (s *Service) stall() time.Duration { return s.settings.GoneAfter / 2 }

// report reports the changes as facts.
func (s *Service) report() {
	for _, c := range s.table.changes {
		if c.why == "" {
			s.env.Observe("member-up", node.F("peer", c.peer), node.F("name", c.name), node.F("incarnation", c.incarnation))
		} else {
			s.env.Observe("member-gone", node.F("peer", c.peer), node.F("name", c.name), node.F("why", c.why))
		}
	}
	s.table.changes = s.table.changes[:0]
}

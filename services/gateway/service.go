// Package gateway is the door of the cloud: it takes requests of browsers and hands each to a substrate that lives and is
// well. It knows which these are by seers and by what became of its own requests, and asks nobody for each.
//
// It is not responsible for what is answered, nor which projects there are: substrates know that.
package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// Door is where requests come in from outside of the cloud.
type Door interface {
	// Open lets requests in, each of which h answers. It is a handler for [httpstream.Foreign].
	Open(h http.Handler) error
	// Close lets no more in, and ends those that are not answered within a time.
	Close(ctx context.Context) error
}

// Spec is gateway's entry in the catalogue. doors makes the door of a node; nil, or none of it: requests come over the wire
// only.
func Spec(doors func(node.Env) Door) node.Spec {
	return node.Spec{
		Name:     gatewayapi.Service,
		Doc:      "the door of the cloud: takes requests and hands them to substrates",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			s := &Service{env: env, settings: *settings.(*Settings), backends: map[transport.Peer]*backend{}, buckets: map[string]*bucket{}, room: newRoom(), served: map[string]time.Duration{}}
			if doors != nil {
				s.door = doors(env)
			}
			return s, nil
		},
	}
}

// Service is a running gateway.
type Service struct {
	env      node.Env
	settings Settings
	door     Door
	backends map[transport.Peer]*backend
	followed bool // it was asked who there is

	room     room
	knocking int                      // how many substrates are being asked whether anybody serves a host
	served   map[string]time.Duration // hosts that somebody serves, until when that is believed, in Elapsed
	lines    lines
	draining bool
	drained  []func() // who waits for the last request
	buckets  map[string]*bucket
	recent   []gatewayapi.Access // a ring, of which the oldest is at oldest
	oldest   int
}

const (
	// linger is how long the ends of the last responses may be on their way.
	linger = time.Second
	// probeTimeout bounds the question how a substrate is.
	probeTimeout = time.Second
	// warmMax is of how many hosts it is remembered that a substrate has answered.
	warmMax = 1024
)

// backend is a substrate.
type backend struct {
	peer     transport.Peer
	inFlight int
	latency  time.Duration
	load     float64
	asked    time.Duration
	refuses  string
	health   health
	warm     map[string]bool
	ofHost   map[string]int // of inFlight
	probing  bool
}

// Start implements node.Service.
func (s *Service) Start(context.Context) error {
	gatewayapi.Status.Serve(s.env.Wire, s.status)
	h := handler{clock.Own(s.env.Loop, s)}
	httpstream.Serve(s.env.Wire, gatewayapi.HTTP.Name, gatewayapi.HTTP.Rule, h)
	s.env.Loop.Go("gateway follow", s.follow)
	if s.door != nil {
		return s.door.Open(httpstream.Foreign(s.env.Wire, h))
	}
	return nil
}

// Stop implements node.Service: it takes no more requests, and ends when those that it has are answered.
func (s *Service) Stop(ctx context.Context) error {
	s.draining = true
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, s.settings.DrainTimeout)
	defer cancel()
	if s.room.all > 0 {
		for s.room.all > 0 {
			if s.env.Loop.Park(ctx, func(wake func()) { s.drained = append(s.drained, wake) }) != nil {
				break
			}
		}
		_ = clock.Sleep(ctx, s.env.Loop, linger)
	}
	if s.door != nil {
		return s.door.Close(ctx)
	}
	return nil
}

// follow keeps up with which substrates live, and finds out whether those that failed are well again.
func (s *Service) follow(ctx context.Context) {
	members := seerapi.Follow(seerapi.NewClient(s.env.Wire), substrateapi.Service, func(seerapi.Member) struct{} { return struct{}{} })
	for ctx.Err() == nil {
		if s.env.Presence(seerapi.Service) == transport.Nobody {
			s.know(s.directory())
		} else if _, err := members.Refresh(ctx); err == nil {
			s.know(members.Peers())
		} else if len(s.backends) == 0 {
			s.know(s.directory()) // better than nobody
		}
		s.probe()
		if clock.Sleep(ctx, s.env.Loop, s.settings.FollowInterval) != nil {
			return
		}
	}
}

func (s *Service) directory() []transport.Peer {
	peers, _ := s.env.Wire.Directory().Lookup(substrateapi.Service)
	return peers
}

// know takes over who lives.
func (s *Service) know(peers []transport.Peer) {
	s.followed = true
	for _, p := range s.sorted() {
		if !slices.Contains(peers, p) {
			delete(s.backends, p)
		}
	}
	for _, p := range peers {
		if s.backends[p] == nil {
			s.backends[p] = &backend{peer: p, warm: map[string]bool{}, ofHost: map[string]int{}, asked: s.env.Loop.Elapsed()}
		}
	}
}

func (s *Service) sorted() []transport.Peer {
	peers := make([]transport.Peer, 0, len(s.backends))
	for p := range s.backends {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, transport.Peer.Compare)
	return peers
}

// probe asks those that are out, or refuse, how they are.
func (s *Service) probe() {
	now := s.env.Loop.Elapsed()
	for _, p := range s.sorted() {
		b := s.backends[p]
		if b.probing || !(b.health.ejected && now >= b.health.until) && b.refuses == "" {
			continue
		}
		s.inquire(b)
	}
}

// inquire asks a substrate how it is. One that does not answer is out.
func (s *Service) inquire(b *backend) {
	b.probing = true
	s.env.Loop.Go("gateway probe", func(ctx context.Context) {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, probeTimeout)
		defer cancel()
		is, err := substrateapi.Status.Call(ctx, s.env.Wire, b.peer, substrateapi.StatusRequest{})
		b.probing = false
		switch {
		case err != nil && b.health.ejected:
			b.health.eject(s.env.Loop.Elapsed(), &s.settings)
		case err != nil && b.health.failures > 0:
			s.eject(b)
		case err == nil:
			if b.health.ejected {
				s.env.Observe("substrate-back", node.F("peer", b.peer))
			}
			b.refuses = is.Refuses
			if is.Refuses != substrateapi.Draining && is.Refuses != substrateapi.Starting {
				b.refuses = ""
			}
			b.health.succeeded()
		}
	})
}

// eject gives a substrate no requests for a while.
func (s *Service) eject(b *backend) {
	b.health.eject(s.env.Loop.Elapsed(), &s.settings)
	s.env.Observe("substrate-ejected", node.F("peer", b.peer), node.F("for", b.health.until-s.env.Loop.Elapsed()))
}

// choice is whom to ask, if anybody.
type choice struct {
	peer   transport.Peer
	ok     bool
	others bool // could be asked as well
	full   bool // somebody who is well could be asked if this gateway had not as many requests there as it may
}

// choose picks a substrate for a host that was not tried yet. Where all are out, one of them is asked all the same.
func (s *Service) choose(host string, tried []transport.Peer) (is choice) {
	now := s.env.Loop.Elapsed()
	var well, out []Candidate
	for _, p := range s.sorted() {
		b := s.backends[p]
		if slices.Contains(tried, p) {
			continue
		}
		c := Candidate{Peer: p, InFlight: b.inFlight, Load: b.load, Latency: b.latency, Idle: now - b.asked, Warm: b.warm[host]}
		switch {
		case b.inFlight >= streamsMax || b.ofHost[host] >= streamsOfHost:
			is.full = is.full || !b.health.ejected && b.refuses == ""
		case b.health.ejected || b.refuses != "":
			out = append(out, c)
		default:
			well = append(well, c)
		}
	}
	list := well
	if len(list) == 0 && !is.full {
		list = out
	}
	if len(list) == 0 {
		return is
	}
	c := Choose(list, s.env.Rand.IntN)
	b := s.backends[c.Peer]
	b.inFlight++
	b.ofHost[host]++
	b.asked = now
	is.peer, is.ok, is.others = c.Peer, true, len(well)+len(out) > 1
	return is
}

// outcome is what became of asking a substrate.
type outcome struct {
	peer    transport.Peer
	host    string
	took    time.Duration // to the head
	failed  bool
	grave   bool
	refused string
	load    float64
}

// learn takes over what became of it.
func (s *Service) learn(o outcome) {
	b := s.backends[o.peer]
	if b == nil {
		return // it has gone meanwhile
	}
	switch {
	case o.failed:
		switch b.health.failed(o.grave, &s.settings) {
		case gone:
			s.eject(b)
		case doubtful: // it may be a function that is slow, on a substrate that is well
			if !b.probing {
				s.inquire(b)
			}
		}
		b.latency = max(b.latency, o.took)
	case o.refused != "":
		b.load = 1
		if o.refused != substrateapi.Busy {
			b.refuses = o.refused
		}
	default:
		b.health.succeeded()
		b.refuses = ""
		b.load = o.load
		if b.latency == 0 {
			b.latency = o.took
		}
		b.latency += (o.took - b.latency) / 4
		if len(b.warm) >= warmMax {
			b.warm = map[string]bool{}
		}
		b.warm[o.host] = true
		s.grows(o.host)
	}
}

// over says that a substrate is not busy with a request any more. Who waits for its stream may come, and if it was answered, also who waits for its room there.
func (s *Service) over(peer transport.Peer, host string, answered bool) {
	if b := s.backends[peer]; b != nil && b.ofHost[host] > 0 {
		b.inFlight--
		less(b.ofHost, host)
	}
	s.lines.streams.callNext()
	if answered {
		s.lines.room.call(host)
	}
}

func (s *Service) status(context.Context, transport.Peer, gatewayapi.StatusRequest) (gatewayapi.StatusResponse, error) {
	r := gatewayapi.StatusResponse{InFlight: s.room.all, InFlightMax: s.settings.RequestsMax, Draining: s.draining, Recent: slices.Concat(s.recent[s.oldest:], s.recent[:s.oldest])}
	now := s.env.Loop.Elapsed()
	for _, p := range s.sorted() {
		b := s.backends[p]
		view := gatewayapi.Substrate{Peer: p, InFlight: b.inFlight, Latency: b.latency, Refuses: b.refuses}
		if b.health.ejected {
			view.Ejected = max(0, b.health.until-now)
		}
		r.Substrates = append(r.Substrates, view)
	}
	return r, nil
}

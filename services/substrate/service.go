// Package substrate serves what is published: it follows the current version of a branch of every project, knows which
// requests each version answers, and answers them with the assets that hoarders keep.
//
// It is not responsible for which substrate a request comes to - gateways decide that - nor for how a function runs: that
// is the business of Guests.
package substrate

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// linger is how long the ends of the last responses may be on their way.
const linger = time.Second

// Spec is substrate's entry in the catalogue. guests makes what runs functions; nil, or none of it: functions are not
// served.
func Spec(guests func(node.Env) Guests) node.Spec {
	return node.Spec{
		Name:     substrateapi.Service,
		Doc:      "serves the websites and functions of published versions",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			s := &Service{
				env: env, settings: *settings.(*Settings), wanted: map[string]tnsapi.Version{}, projects: map[string]*release{},
				byHost: map[string]map[string]bool{}, noted: map[string]bool{}, bundles: map[string]*bundle{},
			}
			if guests != nil {
				s.guests = guests(env)
				s.places.most = s.settings.FunctionsMax
			}
			return s, nil
		},
	}
}

// Service is a running substrate.
type Service struct {
	env      node.Env
	settings Settings
	guests   Guests
	tns      *tnsapi.Client
	hoarder  *hoarderapi.Client
	auth     *authapi.Client

	wanted   map[string]tnsapi.Version // the newest that tns has named, by project
	projects map[string]*release       // what is served
	byHost   map[string]map[string]bool
	owners   owners
	secrets  map[string]secretsKnown // by project
	table    route.Tree[*target]
	tableLen int64

	noted    map[string]bool // projects of which there is something to read
	reading  int
	told     bool // all that was published when it started
	complete bool // and it was read

	bundles map[string]*bundle // by root
	cached  int64              // bytes of them
	inMind  int64              // bytes of them that are in memory

	places   places // where functions run
	warms    warms
	journal  journal
	usages   usages
	inFlight int
	draining bool
	drained  gate
}

// Start implements node.Service.
func (s *Service) Start(context.Context) error {
	s.tns, s.hoarder, s.auth = tnsapi.NewClient(s.env.Wire), hoarderapi.NewClient(s.env.Wire), authapi.NewClient(s.env.Wire)
	if err := s.forgetBundles(); err != nil {
		return err
	}
	if err := s.recallOwners(); err != nil {
		return err
	}
	substrateapi.Status.Serve(s.env.Wire, s.status)
	substrateapi.Logs.Serve(s.env.Wire, s.logs)
	substrateapi.FunctionUsage.Serve(s.env.Wire, s.usage)
	httpstream.Serve(s.env.Wire, substrateapi.HTTP.Name, substrateapi.HTTP.Rule, handler{clock.Own(s.env.Loop, s)})
	s.env.Loop.Go("substrate follow", s.follow)
	s.env.Loop.Go("substrate owners", s.followOwners)
	return nil
}

// Stop implements node.Service: it takes no more requests, and ends when those that it has are answered.
func (s *Service) Stop(ctx context.Context) error {
	s.draining = true
	if s.guests != nil {
		defer s.guests.Close()
	}
	if s.inFlight > 0 {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, s.settings.DrainTimeout)
		defer cancel()
		_ = s.drained.wait(ctx, s.env.Loop)
		_ = clock.Sleep(ctx, s.env.Loop, linger) // the last of it is on its way
	}
	return nil
}

func (s *Service) status(context.Context, transport.Peer, substrateapi.StatusRequest) (substrateapi.StatusResponse, error) {
	return substrateapi.StatusResponse{
		Refuses: s.refuses(), InFlight: s.inFlight, InFlightMax: s.settings.RequestsMax,
		Projects: len(s.projects), Unread: s.unread(), Cached: s.cached, CacheMax: s.settings.CacheSize,
	}, nil
}

// unread is of how many projects the current version could not be read yet, and none is served.
func (s *Service) unread() (n int) {
	for project := range s.wanted {
		if s.projects[project] == nil {
			n++
		}
	}
	return n
}

// gate is waited for by tasks until it is open.
type gate struct {
	open  bool
	wakes []func()
}

func (g *gate) wait(ctx context.Context, loop clock.Loop) error {
	for !g.open {
		if err := loop.Park(ctx, func(wake func()) { g.wakes = append(g.wakes, wake) }); err != nil {
			return err
		}
	}
	return nil
}

func (g *gate) opens() {
	g.open = true
	for _, wake := range g.wakes {
		wake()
	}
	g.wakes = nil
}

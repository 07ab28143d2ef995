// Package monkey builds jobs: it competes for them, holds one under a lease,
// runs a builder, has the artifact kept, publishes it under its fencing token
// and reports the outcome.
//
// Which monkey holds a job is patrick's decision, what is live is tns's, and
// where artifacts stay is hoarder's.
package monkey

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// Spec is monkey's entry in the catalogue. builder and fetcher make those of a node,
// which differ between the worlds. fetcher may be nil: then nothing is fetched.
func Spec(builder func(node.Env) Builder, fetcher func(node.Env) Fetcher) node.Spec {
	return node.Spec{
		Name:     monkeyapi.Service,
		Doc:      "competes for jobs, builds and publishes them",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return New(env, *settings.(*Settings), builder(env), fetcherOf(fetcher, env)), nil
		},
	}
}

// New returns a monkey that builds with builder what fetcher fetches.
func New(env node.Env, settings Settings, builder Builder, fetcher Fetcher) *Service {
	return &Service{
		env: env, settings: settings, builder: builder, fetcher: fetcher,
		held: map[string]*lock{}, racing: map[string]bool{}, uses: map[cid.Cid]int{},
	}
}

// Service is a running monkey.
type Service struct {
	env      node.Env
	settings Settings
	builder  Builder
	fetcher  Fetcher
	patrick  *patrickapi.Client
	auth     *authapi.Client
	tns      *tnsapi.Client
	hoarder  *hoarderapi.Client
	// held are the locks by job, racing the jobs that were or are about to be
	// claimed. Both take slots, and are forgotten in a crash.
	held    map[string]*lock
	racing  map[string]bool
	backlog []patrickapi.Offer
	// uses counts the attempts that need a root, kept are the artifacts that
	// nobody else keeps, oldest first.
	uses map[cid.Cid]int
	kept []cid.Cid
	// busyLately: patrick listed open jobs at the last poll
	busyLately bool
	polling    bool
	// monkeys is how many a patrick knew at the last poll
	monkeys  int
	stopping bool
}

// Start implements node.Service.
func (s *Service) Start(context.Context) error {
	s.auth = authapi.NewClient(s.env.Wire)
	s.patrick, s.tns, s.hoarder = patrickapi.NewClient(s.env.Wire), tnsapi.NewClient(s.env.Wire), hoarderapi.NewClient(s.env.Wire)
	monkeyapi.Status.Serve(s.env.Wire, s.status)
	monkeyapi.Holds.Serve(s.env.Wire, s.holds)
	monkeyapi.Offer.Serve(s.env.Wire, func(_ context.Context, _ transport.Peer, a patrickapi.Announcement) { s.hear(a) })
	monkeyapi.Jobs.Subscribe(s.env.Wire, func(_ context.Context, _ transport.Peer, a patrickapi.Announcement) { s.hear(a) })
	s.gauge()
	s.forgetBlocks()
	s.env.OnDirectory(s.handOver)
	s.env.Loop.Go("polls", s.polls)
	return nil
}

// Stop implements node.Service: the attempts end without an outcome, and
// patrick is told, so that other monkeys need not wait for the leases to end.
func (s *Service) Stop(ctx context.Context) error {
	s.stopping = true
	locks := s.locks()
	for _, l := range locks {
		s.lose(l, "the monkey stops")
	}
	_ = clock.First(ctx, s.env.Loop, len(locks), len(locks), func(ctx context.Context, i int) error {
		s.abandon(ctx, locks[i])
		return nil
	})
	return nil
}

const stopTimeout = 3 * time.Second

// gauge announces the slots.
func (s *Service) gauge() {
	s.env.SetGauge("monkey.slots", int64(s.settings.Slots))
	s.env.SetGauge("monkey.slots-free", int64(s.free()))
}

// holds answers a coordinator that asks whether a grant is used. A claim that is under way may
// still obtain it.
func (s *Service) holds(_ context.Context, _ transport.Peer, req monkeyapi.HoldsRequest) (monkeyapi.HoldsResponse, error) {
	l := s.held[req.Job]
	held := l != nil && l.token == req.Token && l.valid(s.env.Loop.Elapsed())
	return monkeyapi.HoldsResponse{Holds: held || s.racing[req.Job]}, nil
}

func (s *Service) status(context.Context, transport.Peer, monkeyapi.StatusRequest) (monkeyapi.StatusResponse, error) {
	resp := monkeyapi.StatusResponse{Slots: s.settings.Slots}
	for _, l := range s.locks() {
		resp.Work = append(resp.Work, monkeyapi.Work{Job: l.job.ID, Token: l.token, Phase: l.phase, For: s.env.Loop.Elapsed() - l.takenAt})
	}
	return resp, nil
}

// locks lists the locks that are held, by job.
func (s *Service) locks() []*lock {
	return slices.SortedFunc(maps.Values(s.held), func(a, b *lock) int { return cmp.Compare(a.job.ID, b.job.ID) })
}

// Stored is how many trees, artifacts and logs are on this node's disk for this
// monkey. For checks.
func (s *Service) Stored() int { return len(s.env.Blocks.Roots()) }

// Held is a lock that a monkey believes to hold.
type Held struct {
	Job   string
	Token fencing.Token
	// Renewed is how long ago, on this node's clock, the last request that
	// patrick granted was sent.
	Renewed time.Duration
}

// Holding lists the locks that this monkey believes to hold right now, by job.
// For checks.
func (s *Service) Holding() []Held {
	var list []Held
	now := s.env.Loop.Elapsed()
	for _, l := range s.locks() {
		if l.valid(now) {
			list = append(list, Held{Job: l.job.ID, Token: l.token, Renewed: now - l.renewedAt})
		}
	}
	return list
}

package substrate

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// office is a stand-in for an auth, and a substrate of which only that runs which asks it.
type office struct {
	*nodetest.Cloud
	domains  []authapi.Domain
	projects []authapi.Project
	secrets  map[string]string
	refuses  bool
	asked    int // for secrets
	listed   int // for domains
	env      node.Env
}

func inOffice(t *testing.T, f func(o *office)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		o := &office{Cloud: c}
		no := func() error {
			if o.refuses {
				return transport.New(transport.Refused, authapi.Service, "not now")
			}
			return nil
		}
		c.Add("auth", node.Configured{Spec: nodetest.Part(authapi.Service, func(env node.Env) {
			authapi.DomainList.Serve(env.Wire, func(context.Context, transport.Peer, authapi.PageRequest) (authapi.DomainsResponse, error) {
				o.listed++
				return authapi.DomainsResponse{List: o.domains}, no()
			})
			authapi.ProjectList.Serve(env.Wire, func(context.Context, transport.Peer, authapi.PageRequest) (authapi.ProjectsResponse, error) {
				return authapi.ProjectsResponse{List: o.projects}, no()
			})
			authapi.FunctionSecrets.Serve(env.Wire, func(_ context.Context, _ transport.Peer, r authapi.Named) (authapi.FunctionSecretsResponse, error) {
				o.asked++
				return authapi.FunctionSecretsResponse{Secrets: o.secrets}, no()
			})
		})}).Start()
		c.Add("substrate", node.Configured{Spec: nodetest.Part(substrateapi.Service, func(env node.Env) { o.env = env })}).Start()
		nodetest.Sleep(3 * time.Second)
		f(o)
	})
}

// fresh is a substrate that has just started on the machine's disk.
func (o *office) fresh() *Service { return &Service{env: o.env, auth: authapi.NewClient(o.env.Wire)} }

func (o *office) do(f func(ctx context.Context)) {
	require.NoError(o, clock.Do(context.Background(), o.env.Loop, f))
}

// TestSecretsAreThoseThatAuthSays: only those that a function names, asked for again after 30 s, those that are known for 10 minutes while no
// auth answers, and then none.
func TestSecretsAreThoseThatAuthSays(t *testing.T) {
	inOffice(t, func(o *office) {
		s := o.fresh()
		of := func(names ...string) (own map[string]string, err error) {
			f := &target{release: &release{version: tnsapi.Version{Project: "p"}}, function: &project.Function{Secrets: names}}
			o.do(func(ctx context.Context) { own, err = s.secretsOf(ctx, f) })
			return own, err
		}
		is := func(want map[string]string, asked int) {
			t.Helper()
			own, err := of("A", "NONE")
			require.NoError(t, err)
			require.Equal(t, want, own)
			require.Equal(t, asked, o.asked)
		}
		own, err := of()
		require.NoError(t, err)
		require.Empty(t, own)
		require.Zero(t, o.asked, "who names none is no reason to ask")
		o.refuses = true
		_, err = of("A")
		require.Error(t, err, "none are known")
		o.refuses, o.asked, o.secrets = false, 0, map[string]string{"A": "one", "B": "other"}
		is(map[string]string{"A": "one"}, 1)
		o.secrets = map[string]string{"A": "two"}
		nodetest.Sleep(secretsFresh - 2*time.Second)
		is(map[string]string{"A": "one"}, 1)
		nodetest.Sleep(3 * time.Second)
		is(map[string]string{"A": "two"}, 2)
		o.refuses = true
		nodetest.Sleep(secretsKept - time.Minute)
		own, err = of("A")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"A": "two"}, own)
		nodetest.Sleep(time.Minute + time.Second)
		_, err = of("A")
		require.Error(t, err)
		require.Empty(t, s.secrets, "what counts no more is not kept")
	})
}

// TestTheOldestSecretsGo: the project whose are oldest goes for a new one, and nobody for one that is there.
func TestTheOldestSecretsGo(t *testing.T) {
	s := &Service{}
	for i := range secretsProjects {
		s.keepSecrets(fmt.Sprint(i), secretsKnown{at: time.Duration(1 + (i+secretsProjects-7)%secretsProjects)})
	}
	require.Len(t, s.secrets, secretsProjects)
	s.keepSecrets("9", secretsKnown{at: 1000})
	require.Len(t, s.secrets, secretsProjects)
	require.Contains(t, s.secrets, "7")
	s.keepSecrets("new", secretsKnown{at: 1001})
	require.Len(t, s.secrets, secretsProjects)
	require.NotContains(t, s.secrets, "7")
	require.Contains(t, s.secrets, "new")
}

// TestOwnersAreThoseThatAuthSays: asked for every 20 s, 2 s after no answer, and known to the next start; what is no record is as if nothing were known.
func TestOwnersAreThoseThatAuthSays(t *testing.T) {
	inOffice(t, func(o *office) {
		o.domains = []authapi.Domain{{Host: "a.example.com", Project: "p"}}
		o.projects = []authapi.Project{{Name: "p", Made: 7}, {Name: "old", Made: -1}}
		o.refuses = true
		s := o.fresh()
		require.NoError(t, s.recallOwners())
		require.False(t, s.owners.known)
		o.do(func(ctx context.Context) { require.Error(t, s.askOwners(ctx)) })
		require.False(t, s.owners.known)
		o.refuses, o.listed = false, 0
		want := owners{known: true, hosts: map[string]string{"a.example.com": "p"}, since: map[string]uint64{"p": 7, "old": 0}}
		o.env.Loop.Go("owners", s.followOwners)
		nodetest.Sleep(time.Second)
		require.Equal(t, want, s.owners)
		require.Equal(t, 1, o.listed)
		nodetest.Sleep(ownersEvery - 2*time.Second)
		require.Equal(t, 1, o.listed)
		o.domains[0].Project = "old"
		nodetest.Sleep(2 * time.Second)
		require.Equal(t, 2, o.listed)
		require.Equal(t, "old", s.owners.hosts["a.example.com"])
		next := o.fresh()
		require.NoError(t, next.recallOwners())
		require.Equal(t, s.owners, next.owners)
		require.NoError(t, o.env.Local.Apply(new(storage.Batch).Put(ownersKey, []byte("nonsense"))))
		next = o.fresh()
		require.NoError(t, next.recallOwners())
		require.False(t, next.owners.known)
		o.refuses, o.domains[0].Project = true, "p"
		nodetest.Sleep(ownersEvery)
		require.Equal(t, "old", s.owners.hosts["a.example.com"])
		o.refuses = false
		nodetest.Sleep(ownersAgain + time.Second)
		require.Equal(t, "p", s.owners.hosts["a.example.com"])
	})
}

// TestWhoseAHostIs: of several that claim it, or of one whose it is not, owners decide; projects that no auth knows come last.
func TestWhoseAHostIs(t *testing.T) {
	s := &Service{
		owners: owners{known: true, hosts: map[string]string{"h": "p", "own": "p"}, since: map[string]uint64{"p": 7}},
		byHost: map[string]map[string]bool{
			"own": {"p\x00main": true, "p\x00next": true}, "h": {"q\x00main": true}, "two": {"p\x00main": true, "q\x00main": true}, "free": {"q\x00main": true, "q\x00next": true},
		},
	}
	for host, want := range map[string]bool{"own": false, "h": true, "two": true, "free": false, "nobody": false} {
		require.Equal(t, want, s.contested(host), host)
	}
	c := s.ranked(route.Claimant{Project: "p\x00main"}, "h")
	require.Equal(t, map[string]uint64{"h": 7}, c.Since)
	require.Equal(t, map[string]bool{"h": true}, c.Verified)
	c = s.ranked(route.Claimant{Project: "q\x00main"}, "h")
	require.Equal(t, map[string]uint64{"h": math.MaxUint64}, c.Since)
	require.Equal(t, map[string]bool{"h": false}, c.Verified)
}

// TestWhyARequestIsRefused: the end comes before the start, and the start before that there are too many.
func TestWhyARequestIsRefused(t *testing.T) {
	s := &Service{settings: Settings{RequestsMax: 2}, inFlight: 2, draining: true}
	require.Equal(t, substrateapi.Draining, s.refuses())
	require.ErrorContains(t, s.Ready(), "it is ending")
	s.draining = false
	require.Equal(t, substrateapi.Starting, s.refuses())
	require.ErrorContains(t, s.Ready(), "what is published")
	s.complete = true
	require.Equal(t, substrateapi.Busy, s.refuses())
	require.NoError(t, s.Ready(), "who is busy is ready")
	s.inFlight = 1
	require.Empty(t, s.refuses())
}

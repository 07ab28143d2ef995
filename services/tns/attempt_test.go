package tns

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// locksmith stands in for patricks: it says what it has granted.
type locksmith struct {
	granted []patrickapi.GrantedRequest // without commit and order: any
	fails   error
	asked   int
}

func (l *locksmith) start(env node.Env) {
	patrickapi.Granted.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req patrickapi.GrantedRequest) (yes patrickapi.GrantedResponse, err error) {
		l.asked++
		if l.fails != nil {
			return yes, l.fails
		}
		for _, g := range l.granted {
			if g.Commit == "" || req.Commit == "" {
				g.Commit, g.Order = req.Commit, req.Order
			}
			if g == req {
				return yes, nil
			}
		}
		return yes, transport.New(transport.NotFound, patrickapi.Granted.Name, "no such grant here")
	})
}

// inGuardedHall is a hall whose cloud has a patrick.
func inGuardedHall(t *testing.T, f func(h *hall, l *locksmith)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		l := &locksmith{}
		c.Add("patrick", node.Configured{Spec: nodetest.Part(patrickapi.Service, l.start)}).Start()
		fillHall(c, &hall{Cloud: c}, 1, nil, func(h *hall) { f(h, l) })
	})
}

// tryFence fences once, at the first replica.
func (h *hall) tryFence(by *nodetest.Caller, job string, token fencing.Token) (err error) {
	by.Do(func(ctx context.Context) {
		_, err = tnsapi.Fence.Call(ctx, by.Env.Wire, h.replicas[0].Peer(), tnsapi.FenceRequest{Project: "p", Branch: "b", Job: job, Token: token})
	})
	return err
}

func (h *hall) tryPublish(by *nodetest.Caller, req tnsapi.PublishRequest) (err error) {
	by.Do(func(ctx context.Context) {
		_, err = tnsapi.Publish.Call(ctx, by.Env.Wire, h.replicas[0].Peer(), req)
	})
	return err
}

// TestOnlyWhatWasGrantedIsPublished: of that job, branch, commit and order, by its holder.
func TestOnlyWhatWasGrantedIsPublished(t *testing.T) {
	inGuardedHall(t, func(h *hall, l *locksmith) {
		token := fencing.Token{Attempt: 1, Holder: h.user.Peer()}
		refused := func(err error) {
			t.Helper()
			require.Equal(t, transport.NotAllowed, transport.KindOf(err), "%v", err)
		}
		good := aVersion("j", 1, 1)
		good.Token = token
		refused(h.tryFence(h.user, "j", token))
		refused(h.tryPublish(h.user, good))
		l.granted = []patrickapi.GrantedRequest{{Job: "j", Token: token, Project: "p", Branch: "b", Commit: good.Commit, Order: 1}}
		for what, change := range map[string]func(r *tnsapi.PublishRequest){
			"job":     func(r *tnsapi.PublishRequest) { r.Job = "k" },
			"project": func(r *tnsapi.PublishRequest) { r.Project = "q" },
			"branch":  func(r *tnsapi.PublishRequest) { r.Branch = "c" },
			"commit":  func(r *tnsapi.PublishRequest) { r.Commit += "x" },
			"order":   func(r *tnsapi.PublishRequest) { r.Order = 2 },
			"attempt": func(r *tnsapi.PublishRequest) { r.Token.Attempt = 2 },
		} {
			bad := good
			change(&bad)
			require.Equal(t, transport.NotAllowed, transport.KindOf(h.tryPublish(h.user, bad)), what)
		}
		refused(h.tryFence(h.user, "j", fencing.Token{Attempt: tnsapi.AttemptMax, Holder: h.user.Peer()}))
		require.Empty(t, h.Facts("published"))
		require.Empty(t, h.Facts("fenced"))

		require.NoError(t, h.tryFence(h.user, "j", token))
		require.NoError(t, h.tryPublish(h.user, good))
		asked := l.asked
		require.NoError(t, h.tryFence(h.user, "j", token))
		require.NoError(t, h.tryPublish(h.user, good))
		require.Equal(t, asked, l.asked, "what was confirmed is remembered")
		other := h.Caller("other", "monkey")
		refused(h.tryPublish(other, good))
		refused(h.tryFence(other, "j", token))
		require.Equal(t, asked, l.asked, "nobody is asked about those that speak for others")
	})
}

// TestPatricksAreNotAsked about what they say themselves, which is only that a job is closed, or what
// they have granted themselves.
func TestPatricksAreNotAsked(t *testing.T) {
	inGuardedHall(t, func(h *hall, l *locksmith) {
		closer, both := h.Caller("closes", "patrick"), h.Caller("both", "monkey", "patrick")
		require.NoError(t, h.tryFence(closer, "j", fencing.Token{Attempt: 3}))
		require.Equal(t, transport.NotAllowed, transport.KindOf(h.tryFence(h.user, "j", fencing.Token{Attempt: 4})), "a monkey closes nothing")
		for _, attempt := range []uint64{0, tnsapi.AttemptMax + 1} {
			require.Equal(t, transport.Invalid, transport.KindOf(h.tryFence(closer, "j", fencing.Token{Attempt: attempt})))
		}
		req := aVersion("j", 1, 4)
		req.Token = fencing.Token{Attempt: 4, Holder: h.user.Peer()}
		require.Equal(t, transport.NotAllowed, transport.KindOf(h.tryFence(both, "j", req.Token)), "not for a monkey")
		require.Equal(t, transport.NotAllowed, transport.KindOf(h.tryPublish(both, req)))
		req.Token.Holder = both.Peer()
		require.NoError(t, h.tryPublish(both, req))
		require.Zero(t, l.asked)
		h.turn(h.replicas[0], func(_ context.Context, s *Service) {
			require.False(t, s.isPatrick(transport.NewIdentity([]byte("nobody")).Peer()))
			require.False(t, s.isPatrick(h.user.Peer()))
		})
	})
}

// TestASilentPatrickIsNoNo: what cannot be looked up now may be asked for again; what is stale is said
// to be at once.
func TestASilentPatrickIsNoNo(t *testing.T) {
	inGuardedHall(t, func(h *hall, l *locksmith) {
		token := fencing.Token{Attempt: 2, Holder: h.user.Peer()}
		l.fails = transport.New(transport.Unreachable, "test", "no")
		require.Equal(t, transport.Unreachable, transport.KindOf(h.tryFence(h.user, "j", token)))
		l.fails = transport.New(transport.Conflict, "test", "forgotten")
		require.Equal(t, transport.Conflict, transport.KindOf(h.tryFence(h.user, "j", token)))
		l.fails = nil
		l.granted = []patrickapi.GrantedRequest{{Job: "j", Token: token, Project: "p", Branch: "b"}}
		require.NoError(t, h.tryFence(h.user, "j", token))
		asked := l.asked
		require.Equal(t, transport.Conflict, transport.KindOf(h.tryFence(h.user, "j", fencing.Token{Attempt: 1, Holder: h.user.Peer()})))
		require.Equal(t, asked, l.asked)
	})
}

// TestGrantsAreRememberedInBounds, the newest of them.
func TestGrantsAreRememberedInBounds(t *testing.T) {
	var g grants
	nth := func(i int) claim { return claim{job: fmt.Sprint(i)} }
	for i := range 3 * grantsKept {
		g.remember(nth(i))
		g.remember(nth(i))
	}
	require.Len(t, g.known, grantsKept)
	require.Len(t, g.order, grantsKept)
	require.True(t, g.known[nth(2*grantsKept)])
	require.False(t, g.known[nth(2*grantsKept-1)])
}

// TestQuestionsAreBounded: those of one that floods tns with tokens wait at nobody.
func TestQuestionsAreBounded(t *testing.T) {
	inGuardedHall(t, func(h *hall, l *locksmith) {
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { s.grants.asks = asksMax })
		err := h.tryFence(h.user, "j", fencing.Token{Attempt: 1, Holder: h.user.Peer()})
		require.Equal(t, transport.Refused, transport.KindOf(err), "%v", err)
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { s.grants.asks = 0 })
		nodetest.Sleep(time.Second)
		_ = h.tryFence(h.user, "j", fencing.Token{Attempt: 1, Holder: h.user.Peer()})
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { require.Zero(t, s.grants.asks) })
		require.Equal(t, 1, l.asked)
	})
}

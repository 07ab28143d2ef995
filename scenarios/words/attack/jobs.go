package attack

import (
	"context"
	"fmt"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// found are the jobs of the branch that some patrick tells the attacker of, and one that does not
// exist.
func (a *one) found(ctx context.Context) []patrickapi.Job {
	list := []patrickapi.Job{a.ghost(0)}
	for _, t := range a.Offering(patrickapi.Service) {
		resp, err := call(ctx, a, patrickapi.List, t.Peer, patrickapi.ListRequest{Project: a.Project, Branch: a.Branch, Limit: a.Count})
		if err == nil {
			return append(list, resp.Jobs...)
		}
	}
	return list
}

// ghost is a job of the branch that nobody has pushed.
func (a *one) ghost(i int) patrickapi.Job {
	e := patrickapi.Event{ID: fmt.Sprintf("ghost-%d-%d", a.n, i), Order: uint64(1 + i)}
	return patrickapi.Job{
		ID: patrickapi.JobID(a.Project, a.Branch, "ghost", e), Project: a.Project, Branch: a.Branch, Commit: "ghost", Order: e.Order,
		Token: fencing.Token{Attempt: 1, Holder: a.env().Self},
	}
}

// tokens are what is tried for a job: one's own first, next and highest attempt, and the holder's.
func (a *one) tokens(j patrickapi.Job, highest uint64) []fencing.Token {
	self := a.env().Self
	return []fencing.Token{
		{Attempt: 1, Holder: self}, {Attempt: j.Token.Attempt, Holder: self}, {Attempt: j.Token.Attempt + 1, Holder: self}, {Attempt: highest, Holder: self},
		j.Token, {Attempt: highest, Holder: j.Token.Holder}, {Attempt: highest},
	}
}

// publish takes the branch over, if it is let.
func publish(ctx context.Context, a *one) error {
	for _, t := range a.on(tnsapi.Service) {
		now, err := call(ctx, a, tnsapi.Current, t.Peer, tnsapi.BranchRequest{Project: a.Project, Branch: a.Branch})
		if err != nil {
			now = tnsapi.Version{}
		}
		for _, j := range a.found(ctx) {
			for i, token := range a.tokens(j, tnsapi.AttemptMax) {
				req := tnsapi.PublishRequest{
					Project: a.Project, Branch: a.Branch, Job: j.ID, Token: token,
					Entries: []tnsapi.Entry{{Path: "functions/bad", Value: []byte("bad")}},
				}
				try := func(commit string, order uint64) {
					req := req
					req.Commit, req.Order = commit, order
					a.apart(func(ctx context.Context) { _, _ = call(ctx, a, tnsapi.Publish, t.Peer, req) })
				}
				try(j.Commit, j.Order)
				for _, order := range []uint64{now.Order + 1, now.Order + tnsapi.OrderStepMax, tnsapi.OrderMax} {
					try(fmt.Sprintf("bad-%d", i), order)
				}
			}
		}
	}
	return nil
}

// fence takes all later attempts away from the jobs' holders, if it is let.
func fence(ctx context.Context, a *one) error {
	for _, j := range a.found(ctx) {
		for _, t := range a.on(tnsapi.Service) {
			for _, token := range a.tokens(j, tnsapi.AttemptMax) {
				a.apart(func(ctx context.Context) {
					_, _ = call(ctx, a, tnsapi.Fence, t.Peer, tnsapi.FenceRequest{Project: a.Project, Branch: a.Branch, Job: j.ID, Token: token})
				})
			}
		}
	}
	return nil
}

// finish ends jobs that the attacker does not hold, if it is let.
func finish(ctx context.Context, a *one) error {
	for _, j := range a.found(ctx) {
		for _, t := range a.on(patrickapi.Service) {
			for i, token := range a.tokens(j, tnsapi.AttemptMax) {
				req := patrickapi.FinishRequest{Job: j.ID, Token: token, Success: i%2 == 0, Published: i%2 == 0, Permanent: i%2 == 1, Artifact: "bad", Error: "bad"}
				a.apart(func(ctx context.Context) { _, _ = call(ctx, a, patrickapi.Finish, t.Peer, req) })
			}
		}
	}
	return nil
}

// renew keeps jobs from those that would build them, if it is let.
func renew(ctx context.Context, a *one) error {
	monkeys := a.Offering(monkeyapi.Service)
	for i, j := range a.found(ctx) {
		for _, t := range a.on(patrickapi.Service) {
			for _, token := range a.tokens(j, tnsapi.AttemptMax) {
				a.apart(func(ctx context.Context) {
					_, _ = call(ctx, a, patrickapi.Renew, t.Peer, patrickapi.RenewRequest{Job: j.ID, Token: token})
				})
			}
			if len(monkeys) > 0 {
				victim := monkeys[i%len(monkeys)].Peer
				a.apart(func(ctx context.Context) {
					_, _ = call(ctx, a, patrickapi.Claim, t.Peer, patrickapi.ClaimRequest{Job: j.ID, Holder: victim, Incarnation: 1})
				})
			}
		}
	}
	return nil
}

// stallFor is how long a bad patrick keeps a monkey waiting that claims a ghost.
const stallFor = time.Minute

// ghosts fills monkeys' slots with races for jobs that there are not. A bad patrick is asked for them, and says nothing.
func ghosts(_ context.Context, a *one) error {
	if a.Pretends(patrickapi.Service) && a.once("serves patrick") {
		env := a.Env(patrickapi.Service)
		patrickapi.Claim.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ patrickapi.ClaimRequest) (resp patrickapi.Grant, err error) {
			env.Observe("claim-stalled")
			return resp, clock.Sleep(ctx, env.Loop, stallFor)
		})
	}
	for i := range a.Count {
		j := a.ghost(a.n*a.Count + i)
		offer := patrickapi.Announcement{Jobs: []patrickapi.Offer{{Job: j.ID, Attempt: 1, Round: 9}}}
		for _, t := range a.on(monkeyapi.Service) {
			_ = monkeyapi.Offer.Tell(a.env().Wire, t.Peer, offer)
		}
	}
	return nil
}

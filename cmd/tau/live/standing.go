package live

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// standingFirst is how long after its start a node looks for the first time whether others take it for a member, and
	// standingEvery how often from then on, standingWithin how long an auth may take to say so.
	standingFirst  = time.Second
	standingEvery  = 15 * time.Second
	standingWithin = 5 * time.Second
)

// StrangerRemedy is what to do about a node that others do not take for a member.
const StrangerRemedy = "a revoked key never comes back: stop this node, and let one with a new key join by an invitation (tau invite, tau config generate --invite); " +
	"if its certificate has ended: tau certify, or an invitation"

// standing is what others take a node for. A node that was revoked hears of that from nobody: members tell strangers
// nothing but why they are none. So it asks, and says what it hears.
type standing struct {
	turn int    // whom it asks next
	why  string // why it is no member, "" if it is one, as far as is known
}

// watchStanding looks again and again, until ctx ends or it is stopped.
func (r *running) watchStanding(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for wait := standingFirst; ; wait = standingEvery {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
				r.lookAtStanding(ctx)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// lookAtStanding asks once. Without an answer, what was known stays.
func (r *running) lookAtStanding(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, standingWithin+time.Second)
	defer cancel()
	why, known := "", false
	if r.onEarly(ctx, func(ctx context.Context, env node.Env) error {
		why, known = r.askStanding(ctx, env)
		return nil
	}) != nil || !known {
		return
	}
	was := r.stranger()
	r.keep(func() { r.standing.why = why })
	switch {
	case why != "" && was == "":
		r.cfg.Log.Warn("this node is no member of its cloud", slog.String("because", why), slog.String("remedy", StrangerRemedy))
	case why == "" && was != "":
		r.cfg.Log.Info("this node is a member of its cloud again")
	}
}

// askStanding asks itself first, and then the next other auth.
func (r *running) askStanding(ctx context.Context, env node.Env) (why string, known bool) {
	if err := env.Authority.OwnCounts(); err != nil && !errors.Is(err, credentials.ErrNothing) {
		return "as this node knows itself: " + err.Error(), true
	}
	auths, _ := env.Wire.Directory().Lookup(authapi.Service)
	auths = slices.Clone(auths)
	if len(auths) == 0 { // a node whose disk is empty, and whom nobody tells anything, knows those of its configuration
		_, contacts, _ := r.told()
		for _, c := range contacts {
			auths = append(auths, c.Peer)
		}
	}
	auths = slices.DeleteFunc(auths, func(p transport.Peer) bool { return p == env.Self })
	if len(auths) == 0 {
		return "", true // nobody else says who is a member
	}
	asked := auths[r.standing.turn%len(auths)]
	r.standing.turn++
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, standingWithin)
	defer cancel()
	_, err := authapi.Revocations.Call(ctx, env.Wire, asked, authapi.RevocationsRequest{Known: env.Authority.Digest()})
	if err == nil {
		return "", true
	}
	// That this node is a stranger is what a member says, with its reason. The reason is text: kinds of errors of another
	// package do not cross the wire.
	if transport.KindOf(err) != transport.NotAllowed || !strings.Contains(err.Error(), membership.ErrRevoked.Error()) {
		return "", false
	}
	name := asked.String()
	if a := env.Members().Known(asked); a != nil {
		name = a.Name
	}
	return "the auth " + name + " says: " + err.Error(), true
}

// stranger is why others do not take this node for a member, "" if they do, as far as is known.
func (r *running) stranger() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.standing.why
}

// estranged is that as a reason why the node is not ready.
func (r *running) estranged() []string {
	if why := r.stranger(); why != "" {
		return []string{"membership: " + why}
	}
	return nil
}

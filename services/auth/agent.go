package auth

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// askTimeout bounds one auth's answer about revocations: with another one to ask, and a round of
	// CheckEvery, a revocation is here within 5 s.
	askTimeout = time.Second
	// toldMax bounds how many auths' digests are remembered.
	toldMax = 64
	// renewAgain is the pause after a renewal, or after one that has failed.
	renewAgain = 10 * time.Second
	// admitTimeout bounds the answer to an invitation: the auth waits for its disk.
	admitTimeout = 6 * time.Second
)

// AgentSpec is the agent that runs on every node: it comes into the cloud by an invitation if the node
// has one and nothing else, learns what was revoked, renews what the node shows in time, and keeps both on
// its disk. It starts early: without a certificate nobody answers the other services.
func AgentSpec() node.Spec {
	return node.Spec{
		Name:       node.MembershipService,
		Everywhere: true, Early: true,
		Doc:      "keeps this node's certificate, and knows what was revoked",
		Settings: func() any { return DefaultAgentSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &agent{env: env, settings: *settings.(*AgentSettings)}, nil
		},
	}
}

// agent is that of one node.
type agent struct {
	env      node.Env
	settings AgentSettings
	client   *authapi.Client
	asker    *ask.Asker
	told     map[transport.Peer][]byte // the digest of what each auth has told
	renewAt  time.Duration             // not before, in Elapsed
	share    float64                   // of the last third of its time that it lets pass before it renews
	shown    int64                     // when the certificate begins that is on the disk
	rotated  int                       // how many rotations are on the disk
	kept     []byte                    // the digest of the revocations that are
	written  map[string]bool           // those, by their signatures; a failed sync leaves them for the next change
}

// Start implements node.Service.
func (a *agent) Start(ctx context.Context) error {
	if a.env.Authority == nil {
		return nil // its Directory says who is a member
	}
	if err := a.join(ctx); err != nil {
		return err
	}
	a.client = authapi.NewClient(a.env.Wire)
	a.asker = ask.New(a.env.Wire, ask.Policy{Service: authapi.Service, InTurn: true, AvoidFor: 2 * time.Second})
	a.told = map[transport.Peer][]byte{}
	a.share = a.env.Rand.Float64() / 2
	a.env.Observe("certificate-shown", node.F("until", a.env.Authority.OwnUntil()))
	a.env.Loop.Go("membership", a.run)
	return nil
}

// joinAgain is the pause after an invitation was not answered.
const joinAgain = time.Second

// join comes into the cloud by the node's invitation, unless it has a certificate already, and keeps what
// it gets before anything else starts. It asks until an auth that honours it answers; an answer that
// no other will follow is the error: Conflict if the invitation is used up, withdrawn or over.
func (a *agent) join(ctx context.Context) error {
	if _, own := a.env.Authority.Own(); a.env.Ticket == nil || !own.Subject.IsZero() {
		return nil
	}
	for {
		err := a.joinOnce(ctx)
		kind := transport.KindOf(err)
		if err == nil || kind == transport.Conflict || kind == transport.Invalid || clock.Sleep(ctx, a.env.Loop, joinAgain) != nil {
			return err
		}
	}
}

func (a *agent) joinOnce(ctx context.Context) error {
	within, cancel := clock.WithTimeout(ctx, a.env.Loop, admitTimeout)
	defer cancel()
	services := slices.Sorted(slices.Values(a.env.ServiceNames()))
	fresh, err := authapi.Join(within, a.env.Wire, *a.env.Ticket, a.env.Node, services)
	if err != nil {
		return err
	}
	if err := a.env.Authority.SetOwn(fresh); err != nil {
		return err
	}
	if err := node.KeepCertificate(a.env.Local, fresh); err != nil {
		return err
	}
	if err := a.env.Local.Sync(ctx); err != nil {
		return err
	}
	a.env.Observe(node.JoinedFact, node.F("services", strings.Join(services, " ")), node.F("until", a.env.Authority.OwnUntil()))
	return nil
}

// Until is the last second at which what this node shows counts, 0 if it does not, and Turned how many
// replacements of the cloud key it knows. For checks.
func (a *agent) Until() int64 { return a.env.Authority.OwnUntil() }
func (a *agent) Turned() int  { return len(a.env.Authority.Rotations()) }

// Stop implements node.Service.
func (a *agent) Stop(ctx context.Context) error { return a.env.Local.Sync(ctx) }

func (a *agent) run(ctx context.Context) {
	wait := time.Duration(a.env.Rand.Int64N(int64(a.settings.CheckEvery))) // nodes that start together do not stay in step
	for a.idle(ctx) == nil && clock.Sleep(ctx, a.env.Loop, wait) == nil {
		wait = a.settings.CheckEvery
		if a.env.Presence(authapi.Service) == transport.Somebody {
			a.pull(ctx)
			a.renew(ctx)
		}
		a.keep(ctx)
	}
}

// idle waits while there is nobody to ask and nothing to keep.
func (a *agent) idle(ctx context.Context) (err error) {
	busy := func() bool { return a.env.Presence(authapi.Service) == transport.Somebody || !a.isKept() }
	for err == nil && !busy() {
		var stops [2]func()
		err = a.env.Loop.Park(ctx, func(wake func()) {
			stops[0], stops[1] = a.env.Wire.Directory().Watch(wake), a.env.Authority.OnLearned(wake)
			if busy() { // since it was asked
				wake()
			}
		})
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
	}
	return err
}

// pull asks an auth for what was revoked. What changes while it turns the pages may be on one that it has
// had: so it knows the digest of the first page, and asks for all again if that was not the last one's.
// Each time it is the next one: one that does not know, or does not tell, keeps nothing from this node for long.
func (a *agent) pull(ctx context.Context) {
	var learned []membership.Revoking
	_ = a.asker.Put(ctx, authapi.Revocations.Name, "", askTimeout, func(ctx context.Context, p transport.Peer) error {
		known := a.told[p]
		var digest []byte
		for after := 0; ; {
			page, err := authapi.Revocations.Call(ctx, a.env.Wire, p, authapi.RevocationsRequest{Known: known, After: after})
			if err != nil {
				return err
			}
			if after == 0 {
				digest = page.Digest
			}
			news, _ := a.env.Authority.Revoke(page.List...)
			learned = append(learned, news...)
			if after += len(page.List); !page.More || len(page.List) == 0 {
				if len(a.told) >= toldMax {
					clear(a.told)
				}
				a.told[p] = digest
				return nil
			}
		}
	})
	for _, r := range learned {
		a.env.Observe("revocation-known", node.F("subject", r.Subject()))
	}
}

// due reports whether it is time to renew: after two thirds of the time that the certificate has, and
// a share of the rest that differs from node to node.
func (a *agent) due() bool {
	_, c := a.env.Authority.Own()
	if c.Subject.IsZero() || len(c.Issues) > 0 || a.env.Loop.Elapsed() < a.renewAt {
		return false
	}
	until := a.env.Authority.OwnUntil()
	if until == 0 {
		return true // it has ended
	}
	whole := float64(until - c.NotBefore)
	return a.env.Loop.Now().Unix() >= c.NotBefore+int64(whole*(2+a.share)/3)
}

// renew asks for another certificate when it is time. It is shown on all conns at once.
func (a *agent) renew(ctx context.Context) {
	if !a.due() {
		return
	}
	a.renewAt = a.env.Loop.Elapsed() + renewAgain
	own, _ := a.env.Authority.Own()
	fresh, err := a.client.Renew(ctx, own)
	if err == nil && !a.lastsAsLong(fresh) {
		err = errShorter
	}
	if err != nil {
		a.env.Observe("renewal-failed", node.F("error", err.Error()))
		return
	}
	if err := a.env.Authority.SetOwn(fresh); err == nil {
		a.env.Observe("certificate-renewed", node.F("until", a.env.Authority.OwnUntil()))
	}
}

var errShorter = errors.New("it ends before what is shown")

// lastsAsLong reports whether a certificate ends no sooner than what the node shows: an auth whose clock is behind, or whose own
// certificate ends soon, may give one that does.
func (a *agent) lastsAsLong(fresh membership.Presented) bool {
	own, _ := a.env.Authority.Own() // another one may have come meanwhile
	until, err := a.env.Authority.EndOf(own)
	ends, wrong := a.env.Authority.EndOf(fresh)
	return wrong == nil && (err != nil || ends >= until)
}

// keep writes what the node shows, and the rotations that it knows, if they are not on the disk.
func (a *agent) keep(ctx context.Context) {
	own, c := a.env.Authority.Own()
	turned := a.env.Authority.Rotations()
	digest := a.env.Authority.Digest()
	if a.isKept() {
		return
	}
	if !bytes.Equal(digest, a.kept) && !a.keepRevocations() {
		return
	}
	if c.NotBefore != a.shown && node.KeepCertificate(a.env.Local, own) != nil {
		return
	}
	if len(turned) > a.rotated && node.KeepRotations(a.env.Local, turned) != nil {
		return
	}
	if a.env.Local.Sync(ctx) == nil {
		a.shown, a.rotated, a.kept = c.NotBefore, len(turned), digest
	}
}

// isKept reports whether all that keep writes is on the disk.
func (a *agent) isKept() bool {
	_, c := a.env.Authority.Own()
	return c.NotBefore == a.shown && len(a.env.Authority.Rotations()) == a.rotated && bytes.Equal(a.env.Authority.Digest(), a.kept)
}

// keepRevocations writes those that this run has not written: the node may know them by others than
// this agent.
func (a *agent) keepRevocations() bool {
	all := a.env.Authority.Revocations()
	fresh := slices.DeleteFunc(slices.Clone(all), func(r membership.Revoking) bool { return a.written[string(r.Revocation.Signature)] })
	if node.KeepRevocations(a.env.Local, fresh) != nil {
		return false
	}
	a.written = make(map[string]bool, len(all))
	for _, r := range all {
		a.written[string(r.Revocation.Signature)] = true
	}
	return true
}

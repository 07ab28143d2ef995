// Package trust are the words about auth: who belongs to the cloud, and who does not any more.
package trust

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// revokeParams is what a revoke in a timeline may say.
type revokeParams struct {
	Node     string        `yaml:"node" range:"1..63" doc:"whose certificates are taken back; it must be alive, since seers tell who it is"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again when no auth answers"`
}

// Actions are what is asked of auth.
func Actions() []scenario.Action {
	return []scenario.Action{inviteAction(), rotateAction(), {
		Name: "revoke", Service: authapi.Service, Example: "revoke: {node: monkey-1}",
		Doc:    "those who run the cloud take a member's certificates back",
		Params: func() any { return &revokeParams{Node: "monkey-1", RetryFor: time.Minute} },
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			return params.(*revokeParams).run(ctx, client)
		},
	}}
}

// memberRevoked is the fact that an auth has acknowledged a revocation.
const memberRevoked = "member-revoked"

func (p *revokeParams) run(ctx context.Context, env node.Env) error {
	auths, seers := authapi.NewClient(env.Wire), seerapi.NewClient(env.Wire)
	_, err := users.Insist(ctx, env, p.RetryFor, []transport.Kind{transport.Invalid}, func(ctx context.Context) error {
		members, err := seers.Lookup(ctx, "")
		if err != nil {
			return err
		}
		for _, m := range members {
			if m.Name != p.Node {
				continue
			}
			copies, err := auths.Revoke(ctx, m.Peer)
			if err == nil {
				env.Observe(memberRevoked, node.F("node", p.Node), node.F("peer", m.Peer), node.F("copies", copies))
			}
			return err
		}
		return transport.New(transport.NotFound, "revoke", "no seer knows "+p.Node)
	})
	return err
}

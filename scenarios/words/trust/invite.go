package trust

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// inviteParams is what an invite in a timeline may say.
type inviteParams struct {
	Name     string        `yaml:"name" range:"1..63" doc:"what groups of nodes with join call it"`
	Services []string      `yaml:"services" range:"1..16" doc:"what the nodes that come may offer"`
	Expires  time.Duration `yaml:"expires" range:"1s..2160h" doc:"how long it counts"`
	Count    int           `yaml:"count" range:"1..1024" doc:"how many nodes may come by it"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again when no auth answers"`
}

func inviteAction() scenario.Action {
	return scenario.Action{
		Name: "invite", Service: authapi.Service, Example: "invite: {name: welcome, services: [monkey], expires: 10m, count: 2}",
		Doc: "those who run the cloud have an auth make an invitation, and give it to the nodes that are to join by it",
		Params: func() any {
			return &inviteParams{Name: "welcome", Services: []string{"monkey"}, Expires: 10 * time.Minute, Count: 1, RetryFor: time.Minute}
		},
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			return params.(*inviteParams).run(ctx, client, n)
		},
	}
}

// invitationMade is the fact that an auth has made an invitation.
const invitationMade = "invitation-made"

func (p *inviteParams) run(ctx context.Context, env node.Env, _ int) error {
	custody := scenario.CustodyOf(ctx)
	if custody == nil {
		return transport.New(transport.Refused, "invite", "only those who run a cloud invite")
	}
	var secret []byte
	for range 4 {
		secret = binary.BigEndian.AppendUint64(secret, env.Rand.Uint64())
	}
	auths := authapi.NewClient(env.Wire)
	_, err := users.Insist(ctx, env, p.RetryFor, []transport.Kind{transport.Invalid}, func(ctx context.Context) error {
		ticket, err := auths.Invite(ctx, secret, custody.Key.Peer(), p.Services, p.Expires, uint32(p.Count))
		if err != nil {
			return err
		}
		i, err := membership.OpenInvitation(ticket.Invitation)
		if err != nil {
			return err
		}
		ticket.Addresses = custody.Addresses(i.AdmittedBy)
		for _, p := range i.With {
			ticket.Others = append(ticket.Others, membership.Contact{Peer: p, Addresses: custody.Addresses(p)})
		}
		env.Observe(invitationMade, node.F("invitation", fmt.Sprintf("%016x", i.ID)), node.F("name", p.Name), node.F("uses", p.Count), node.F("expires", p.Expires))
		custody.HandOver(p.Name, ticket)
		return nil
	})
	return err
}

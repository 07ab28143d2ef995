package trust

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// rotateParams is what a rotate in a timeline may say.
type rotateParams struct {
	Overlap  time.Duration `yaml:"overlap" range:"1s..8760h" doc:"how long what the old key has signed still counts"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again when no auth answers"`
}

func rotateAction() scenario.Action {
	return scenario.Action{
		Name: "rotate", Service: authapi.Service, Example: "rotate: {overlap: 10m}",
		Doc:    "those who run the cloud replace its key by another one, which has signed new certificates of all auths",
		Params: func() any { return &rotateParams{Overlap: 10 * time.Minute, RetryFor: time.Minute} },
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			return params.(*rotateParams).run(ctx, client)
		},
	}
}

// keyReplaced is the fact that an auth has acknowledged another cloud key.
const keyReplaced = "key-replaced"

// issuerFor is how long the successor's certificates of auths count.
const issuerFor = 300 * 24 * time.Hour

func (p *rotateParams) run(ctx context.Context, env node.Env) error {
	custody := scenario.CustodyOf(ctx)
	if custody == nil {
		return transport.New(transport.Refused, "rotate", "only those who run a cloud have its key")
	}
	// Signed once: two statements of one key would be a sign that somebody else has it, too.
	now := env.Loop.Now()
	until := now.Add(p.Overlap)
	var req authapi.RotateRequest
	for _, c := range custody.Issuers {
		req.Rotation = membership.Rotate(custody.Key, membership.Rotation{Cloud: c.Cloud, To: custody.Successor.Peer(), Until: until.Unix()})
		c.Serial += 1 << 32
		c.NotBefore, c.NotAfter = now.Add(-membership.SkewMax).Unix(), now.Add(issuerFor).Unix()
		signed, err := membership.Issue(custody.Successor, c)
		if err != nil {
			return err
		}
		req.Issuers = append(req.Issuers, signed)
	}
	auths := authapi.NewClient(env.Wire)
	_, err := users.Insist(ctx, env, p.RetryFor, []transport.Kind{transport.Invalid}, func(ctx context.Context) error {
		copies, err := auths.Rotate(ctx, req)
		if err == nil {
			custody.Replaced()
			env.Observe(keyReplaced, node.F("copies", copies), node.F("overlap", p.Overlap))
		}
		return err
	})
	return err
}
